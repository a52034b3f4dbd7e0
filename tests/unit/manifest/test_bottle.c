/* manifest/: bottles, good ones by what they give and bad ones by their exact message. */
#include "../unit.h"

#include <string.h>

#include "base/text.h"
#include "manifest/manifest.h"

#define B(text) "---\n" text "---\nfor people\n"

static const struct {
	const char *text;
	const char *want; /* behind "manifest 'bottles/b.md':" */
} refused[] = {
	/* keys */
	{ B("egres:\n  routes: []\n"),
	  "2: unknown key 'egres' in a bottle; did you mean 'egress'?" },
	{ B("zzzzzzzz: 1\n"), "2: unknown key 'zzzzzzzz' in a bottle" },
	{ B("env:\n  A: 1\n  A: 2\n"), "4: key 'A' is given twice, first in line 3" },
	{ B("image: base\nimage: base\n"), "3: key 'image' is given twice, first in line 2" },
	{ B("egress: x\n"), "2: 'egress' must be a block of keys, not a value" },
	{ B("egress:\n  routes:\n    host: x\n"),
	  "4: 'routes' must be a list, not a block of keys" },
	{ B("image: [a]\n"), "2: 'image' must be a value, not a list" },
	{ B("image:\n"), "2: 'image' has no value" },
	{ B("image: ~\n"), "2: 'image' has no value" },
	{ B("? [a]\n: b\n"), "2: a key must be a plain word" },
	/* extends */
	{ B("extends: b\n"), "2: 'extends' names this bottle itself" },
	{ B("extends: [a, b]\n"), "2: 'extends' names this bottle itself" },
	{ B("extends: [a, a]\n"), "2: 'extends' names 'a' twice" },
	{ B("extends: []\n"), "2: 'extends' is an empty list; leave it out" },
	{ B("extends: {a: b}\n"), "2: 'extends' must be a value or a list, not a block of keys" },
	{ B("extends: [[a]]\n"), "2: 'an entry of the list' must be a value, not a list" },
	{ B("extends: ../a\n"),
	  "2: 'extends': '../a' is not the name of a bottle; names are like 'my-bottle2'" },
	{ B("extends:\n"), "2: 'extends' has no value" },
	{ B("agent_provider: {template: claude, dockerfile: ./Dockerfile}\n"),
	  "2: 'dockerfile' is refused: images are built by 'bot-bottle image build', not from "
	  "Dockerfiles; use 'image'" },
	{ B("egress:\n  routes:\n    - host: a.example\n      role: x\n"),
	  "5: 'role' is reserved and takes no value" },
	{ B("egress:\n  log: 3\n"), "3: 'log' is 3; it must be between 0 and 2" },
	{ B("egress:\n  log: full\n"), "3: 'log' must be a whole number, not full" },
	/* env */
	{ B("env:\n  1A: x\n"), "3: env: '1A' is not a variable name" },
	{ B("env:\n  \"A\\eB\": x\n"), "3: env: 'A\\x1bB' is not a variable name" },
	{ B("env:\n  A: [x]\n"), "3: env 'A' must be a value, not a list" },
	{ B("env:\n  A: x${B}\n"),
	  "3: env 'A': ${NAME} must be the whole value, not a part of it" },
	{ B("env:\n  A: ${B}${C}\n"),
	  "3: env 'A': ${NAME} must be the whole value, not a part of it" },
	{ B("env:\n  A: ${}\n"), "3: env 'A': ${NAME} must be the whole value, not a part of it" },
	{ B("env:\n  A: ${1B}\n"), "3: env 'A': '1B' is not a variable name" },
	{ B("env:\n  A: \"x\\ny\"\n"), "3: env 'A' may not span lines" },
	/* agent_provider */
	{ B("agent_provider: {template: claude, auth_token: sk-ant-1}\n"),
	  "2: 'auth_token' is the name of a variable of your environment that holds the token, "
	  "such as "
	  "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN; never the token itself" },
	/* routes */
	{ B("egress:\n  routes:\n    - docs.python.org\n"),
	  "4: an egress route is written '- host: NAME'" },
	{ B("egress:\n  routes:\n    - ports: [443]\n"),
	  "4: an egress route needs 'host' or 'preset'" },
	{ B("egress:\n  routes:\n    - host: a.example\n    - host: A.example\n"),
	  "5: host 'a.example' has two routes, the first at bottles/b.md:4; one entry a host" },
	{ B("egress:\n  routes:\n    - host: a.example\n      ports: []\n"),
	  "5: 'ports' is empty; an empty list allows nothing" },
	{ B("egress:\n  routes:\n    - host: a.example\n      ports: [0]\n"),
	  "5: 'an entry of the list' is 0; it must be between 1 and 65535" },
	{ B("egress:\n  routes:\n    - host: a.example\n      ports: [70000]\n"),
	  "5: 'an entry of the list' is 70000; it must be between 1 and 65535" },
	{ B("egress:\n  routes:\n    - host: a.example\n      ports: ['443']\n"),
	  "5: 'an entry of the list' must be a whole number, not 443" },
	{ B("egress:\n  routes:\n    - host: a.example\n      ports: [443, 443]\n"),
	  "5: port 443 is listed twice" },
	{ B("egress:\n  routes:\n    - host: a.example\n      ports: [80]\n      plain_ports: "
	    "[80]\n"),
	  "6: port 80 is in 'ports' and in 'plain_ports'" },
	{ B("egress:\n  routes:\n    - host: a.example\n      plain_ports: [80]\n"
	    "      auth: {scheme: Bearer, token_ref: T}\n"),
	  "5: 'plain_ports' and 'auth' on one route: a credential never travels over plain HTTP" },
	{ B("egress:\n  routes:\n    - host: a.example\n      auth: {scheme: Digest, token_ref: "
	    "T}\n"),
	  "5: auth scheme 'Digest' is not known; there are Bearer, token and Basic, or 'header: "
	  "NAME' and 'query: NAME' instead of a scheme" },
	{ B("egress:\n  routes:\n    - host: a.example\n"
	    "      auth: {scheme: Bearer, user: x, token_ref: T}\n"),
	  "5: 'user' belongs to 'scheme: Basic'" },
	{ B("egress:\n  routes:\n    - host: a.example\n"
	    "      auth: {scheme: Basic, user: 'a:b', token_ref: T}\n"),
	  "4: host 'a.example': user 'a:b' is not 1 to 64 letters, digits and -._~" },
	{ B("egress:\n  routes:\n    - host: a.example\n"
	    "      auth: {query: 'a&b', token_ref: T}\n"),
	  "4: host 'a.example': 'a&b' is not the name of a parameter" },
	{ B("egress:\n  routes:\n    - host: a.example\n"
	    "      auth: {header: x-key, query: key, token_ref: T}\n"),
	  "5: auth needs exactly one of 'scheme', 'header' and 'query'" },
	{ B("egress:\n  routes:\n    - host: a.example\n      auth: {scheme: Bearer}\n"),
	  "5: auth needs 'token_ref', the variable that holds the token" },
	{ B("egress:\n  routes:\n    - host: a.example\n      auth: {token_ref: T}\n"),
	  "5: auth needs exactly one of 'scheme', 'header' and 'query'" },
	{ B("egress:\n  routes:\n    - host: a.example\n"
	    "      auth: {scheme: Bearer, header: x-api-key, token_ref: T}\n"),
	  "5: auth needs exactly one of 'scheme', 'header' and 'query'" },
	{ B("egress:\n  routes:\n    - host: a.example\n      auth: {header: Host, token_ref: "
	    "T}\n"),
	  "5: header 'host' cannot carry a credential" },
	{ B("egress:\n  routes:\n    - host: a.example\n      auth: {header: 'a b', token_ref: "
	    "T}\n"),
	  "5: 'a b' is not the name of a header" },
	{ B("egress:\n  routes:\n    - host: a.example\n      auth: {scheme: Bearer, token_ref: gh "
	    "p}\n"),
	  "5: 'token_ref' is the name of a variable of your environment that holds the token, "
	  "never the "
	  "token itself" },
	{ B("egress:\n  allowlist: [a.example]\n"),
	  "3: 'allowlist' is an old key; write 'routes' with one '- host: NAME' per host" },
	/* resources */
	{ B("resources: {cpus: 0}\n"), "2: 'cpus' is 0; it must be between 1 and 64" },
	{ B("resources: {cpus: -1}\n"), "2: 'cpus' must be a whole number, not -1" },
	{ B("resources: {memory: 1K}\n"),
	  "2: 'memory' is '1K'; it must be a size such as 512M or 4G between 64M and 1048576M" },
	{ B("resources: {memory: lots}\n"),
	  "2: 'memory' is 'lots'; it must be a size such as 512M or 4G between 64M and 1048576M" },
	{ B("resources: {pids: 1}\n"), "2: 'pids' is 1; it must be between 16 and 1048576" },
	{ B("resources: {time: 0}\n"),
	  "2: 'time' is '0'; it must be a time such as 90s, 30m or 8h, at most 720h" },
	{ B("resources: {time: 721h}\n"),
	  "2: 'time' is '721h'; it must be a time such as 90s, 30m or 8h, at most 720h" },
	{ B("resources: {cpu: 2}\n"), "2: unknown key 'cpu' in resources; did you mean 'cpus'?" },
	/* YAML that is not part of the format */
	{ B("image: &a base\n"), "2: anchors ('&name') are not part of this format" },
	{ B("image: *a\n"), "2: aliases ('*name') are not part of this format" },
	{ B("image: !!str base\n"), "2: tags ('!name') are not part of this format" },
	{ B("env: {<<: {A: b}}\n"), "2: merge keys ('<<') are not part of this format" },
	{ B("- a\n"), "2: the front matter is a list; it must be a block of keys ('key: value')" },
	{ B("word\n"),
	  "2: the front matter is a value; it must be a block of keys ('key: value')" },
	{ "---\nimage: base\n",
	  "1: the front matter that begins here has no end; close it with a line "
	  "'---'" },
	{ B("image: 'base\n"), "3: not valid YAML: found unexpected end of stream" },
	{ B("image: a\n...\nimage: b\n"), NULL },
	{ B("%YAML 1.1\n"), NULL },
	{ B("env:\n\tA: b\n"), NULL },
	/* characters */
	{ B("image: \xff\n"), "2: not valid UTF-8" },
	{ B("image: a\x1b[31m\n"), "2: control character U+001B" },
	{ "---\nimage: base\n---\ntext \xe2\x80\xae end\n",
	  "4: character U+202E makes text look other than it is" },
	{ B("image: \"a\\u202Eb\"\n"), "2: character U+202E makes text look other than it is" },
	{ B("image: \"a\\0b\"\n"), "2: a value may not hold a NUL byte" },
};

static void bottle_refuses_with_file_and_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(refused); i++) {
		BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
		BB_AUTO_FREE char *want =
			bb_text_printf("manifest 'bottles/b.md':%s",
				       refused[i].want != NULL ? refused[i].want : "");
		struct bb_err err = { 0 };
		int r = manifest_parse_bottle(bb_view_str(refused[i].text), "b", "bottles/b.md", &b,
					      &err);

		if (r >= 0)
			print_error("not refused: %s\n", refused[i].text);
		assert_int_equal(r, BB_E_USAGE);
		assert_null(b);
		if (refused[i].want != NULL)
			assert_string_equal(err.msg, want);
		else
			assert_int_equal(strncmp(err.msg, want, strlen(want)), 0);
	}
}

/* The sentence comes from policy/; here only that it is refused at its line. */
static void bottle_refuses_hosts_that_cannot_match(void **state)
{
	static const char *const hosts[] = { "https://a.example", "a.example/x",
					     "a.example:443",     "*",
					     "a.*.example",       "\"\"",
					     "a..example",        "\"*.\"",
					     "\"a b\"",           "-a.example" };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(hosts); i++) {
		BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
		BB_AUTO_FREE char *text =
			bb_text_printf("---\negress:\n  routes:\n    - host: \"%s\"\n---\n",
				       hosts[i][0] == '"' ? "" : hosts[i]);
		struct bb_err err = { 0 };

		assert_error(
			manifest_parse_bottle(bb_view_str(text), "b", "bottles/b.md", &b, &err),
			BB_E_USAGE, err);
		assert_int_equal(strncmp(err.msg, "manifest 'bottles/b.md':4: ", 27), 0);
	}
}

static struct manifest_bottle *good(const char *text)
{
	struct manifest_bottle *b = NULL;
	struct bb_err err = { 0 };

	if (manifest_parse_bottle(bb_view_str(text), "b", "bottles/b.md", &b, &err) < 0)
		fail_msg("%s", err.msg);
	return b;
}

static void bottle_gives_what_was_written(void **state)
{
	static const char text[] =
		"---\n# a comment\nenv:\n  NODE_ENV: development\n  PORT: 8080\n  GH: ${GH_PAT}\n"
		"  EMPTY: \"\"\n"
		"agent_provider: {template: claude, auth_token: MY_TOKEN}\n"
		"image: base\n"
		"egress:\n  log: 1\n  routes:\n"
		"    - host: Docs.Python.org\n"
		"    - host: \"*.example.org\"\n      ports: [443, 8443]\n      plain_ports: [80]\n"
		"    - host: api.example.net\n      auth: {header: X-Api-Key, token_ref: KEY}\n"
		"    - host: plain.example.net\n      plain_ports: [8080]\n"
		"resources: {cpus: 4, memory: 2G, disk: 512M, pids: 100, time: 2h}\n"
		"---\nanything: goes here\n";
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = good(text);
	const struct policy_route *r;

	(void)state;
	assert_int_equal(b->env_count, 4);
	assert_string_equal(b->env[0].name, "NODE_ENV");
	assert_string_equal(b->env[0].value, "development");
	assert_int_equal(b->env[0].at.line, 4);
	assert_string_equal(b->env[1].value, "8080");
	assert_null(b->env[2].value);
	assert_string_equal(b->env[2].host_var, "GH_PAT");
	assert_string_equal(b->env[3].value, "");
	assert_string_equal(b->provider, "claude");
	assert_string_equal(b->auth_token, "MY_TOKEN");
	assert_string_equal(b->image, "base");
	assert_int_equal(b->log, 1);
	assert_int_equal(b->policy->route_count, 4);
	r = &b->policy->routes[0];
	assert_string_equal(r->host, "docs.python.org");
	assert_false(r->is_wildcard);
	assert_int_equal(r->tls_port_count, 1);
	assert_int_equal(r->tls_ports[0], 443);
	assert_int_equal(r->plain_port_count, 0);
	assert_string_equal(r->origin, "bottles/b.md:13");
	r = &b->policy->routes[1];
	assert_string_equal(r->host, "example.org");
	assert_true(r->is_wildcard);
	assert_int_equal(r->tls_port_count, 2);
	assert_int_equal(r->plain_ports[0], 80);
	r = &b->policy->routes[2];
	assert_int_equal(r->auth, POLICY_AUTH_HEADER);
	assert_string_equal(r->auth_header, "x-api-key");
	assert_string_equal(r->token_ref, "KEY");
	r = &b->policy->routes[3];
	assert_int_equal(r->tls_port_count, 0);
	assert_int_equal(r->plain_ports[0], 8080);
	assert_int_equal(b->resources.cpus, 4);
	assert_true(b->resources.memory_bytes == 2ull << 30);
	assert_true(b->resources.disk_bytes == 512ull << 20);
	assert_int_equal(b->resources.pids, 100);
	assert_int_equal(b->resources.max_seconds, 7200);
}

static void bottle_without_front_matter_allows_nothing(void **state)
{
	static const char *const texts[] = { "", "only words\n", "---\n---\n",
					     "---\n# words\n---\n",
					     "\xef\xbb\xbf---\r\nimage: base\r\n---\r\n" };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(texts); i++) {
		BB_AUTO(manifest_bottle) struct manifest_bottle *b = good(texts[i]);

		assert_int_equal(b->policy->route_count, 0);
		assert_int_equal(b->env_count, 0);
		assert_null(b->provider);
	}
}

static void expect_refusal(struct bb_buf *text, const char *what)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	struct bb_err err = { 0 };

	assert_error(manifest_parse_bottle(bb_buf_peek(text), "b", "bottles/b.md", &b, &err),
		     BB_E_USAGE, err);
	assert_non_null(strstr(err.msg, what));
}

static void bottle_limits_depth(void **state)
{
	BB_AUTO_BUF struct bb_buf text = { 0 };

	(void)state;
	bb_buf_init(&text, LIMIT_MANIFEST_FILE);
	assert_int_equal(bb_buf_append_str(&text, "---\nenv: "), 0);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(bb_buf_append_byte(&text, '['), 0);
	assert_int_equal(bb_buf_append_str(&text, "\n---\n"), 0);
	expect_refusal(&text, "nested deeper than 16 levels");
}

static void bottle_limits_nodes(void **state)
{
	BB_AUTO_BUF struct bb_buf text = { 0 };

	(void)state;
	bb_buf_init(&text, LIMIT_MANIFEST_FILE);
	assert_int_equal(bb_buf_append_str(&text, "---\nenv:\n"), 0);
	for (int i = 0; i < LIMIT_MANIFEST_NODES; i++)
		assert_int_equal(bb_buf_printf(&text, "  A%d: b\n", i), 0);
	assert_int_equal(bb_buf_append_str(&text, "---\n"), 0);
	expect_refusal(&text, "more than 8192 values and keys");
}

static void bottle_limits_env(void **state)
{
	BB_AUTO_BUF struct bb_buf text = { 0 };

	(void)state;
	bb_buf_init(&text, LIMIT_MANIFEST_FILE);
	assert_int_equal(bb_buf_append_str(&text, "---\nenv:\n"), 0);
	for (int i = 0; i <= LIMIT_MANIFEST_ENV; i++)
		assert_int_equal(bb_buf_printf(&text, "  A%d: b\n", i), 0);
	assert_int_equal(bb_buf_append_str(&text, "---\n"), 0);
	expect_refusal(&text, "env has 257 entries, limit 256");
}

static void bottle_limits_routes_and_ports(void **state)
{
	BB_AUTO_BUF struct bb_buf text = { 0 };
	BB_AUTO_BUF struct bb_buf ports = { 0 };

	(void)state;
	bb_buf_init(&text, LIMIT_MANIFEST_FILE);
	assert_int_equal(bb_buf_append_str(&text, "---\negress:\n  routes:\n"), 0);
	for (int i = 0; i <= LIMIT_ROUTES; i++)
		assert_int_equal(bb_buf_printf(&text, "    - host: a%d.example\n", i), 0);
	assert_int_equal(bb_buf_append_str(&text, "---\n"), 0);
	expect_refusal(&text, "1025 routes, limit 1024");

	bb_buf_init(&ports, LIMIT_MANIFEST_FILE);
	assert_int_equal(bb_buf_append_str(&ports,
					   "---\negress:\n  routes:\n    - host: a.example\n"
					   "      ports: [1"),
			 0);
	for (int i = 2; i <= LIMIT_ROUTE_PORTS + 1; i++)
		assert_int_equal(bb_buf_printf(&ports, ", %d", i), 0);
	assert_int_equal(bb_buf_append_str(&ports, "]\n---\n"), 0);
	expect_refusal(&ports, "'ports' has 17 ports, limit 16");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bottle_refuses_with_file_and_line),
		cmocka_unit_test(bottle_refuses_hosts_that_cannot_match),
		cmocka_unit_test(bottle_gives_what_was_written),
		cmocka_unit_test(bottle_without_front_matter_allows_nothing),
		cmocka_unit_test(bottle_limits_depth),
		cmocka_unit_test(bottle_limits_nodes),
		cmocka_unit_test(bottle_limits_env),
		cmocka_unit_test(bottle_limits_routes_and_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
