/* manifest/: a printed bottle reads well, says where each line is from, and reads back the same. */
#include "../unit.h"

#include <string.h>

#include "base/text.h"
#include "manifest/print.h"
#include "same.h"

static struct manifest_bottle *read_bottle(const char *text)
{
	struct manifest_bottle *b = NULL;
	struct bb_err err = { 0 };

	if (manifest_parse_bottle(bb_view_str(text), "b", "b.md", &b, &err) < 0)
		fail_msg("%s", err.msg);
	return b;
}

static char *printed(const struct manifest_bottle *b)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };

	bb_buf_init(&out, 1024 * 1024);
	assert_int_equal(manifest_print_bottle(b, &out), 0);
	return bb_buf_dup_str(&out);
}

static const char everything[] =
	"---\n"
	"supervise: true\n"
	"resources: {time: 90m, pids: 100, disk: 8G, memory: 512M, cpus: 4}\n"
	"workspace: {path: ~/src/x, include: [.env.test, a/b], git: false}\n"
	"image: base\n"
	"egress:\n"
	"  log: 1\n"
	"  routes:\n"
	"    - host: Docs.Python.org\n"
	"    - host: \"*.example.org\"\n"
	"      ports: [443, 8443]\n"
	"      plain_ports: [80]\n"
	"    - host: api.example.net\n"
	"      auth: {header: X-Api-Key, token_ref: KEY}\n"
	"      dlp:\n"
	"        outbound_detectors: [entropy, token_patterns]\n"
	"        inbound_detectors: false\n"
	"        outbound_on_match: redact\n"
	"git-gate:\n"
	"  user: {name: \"J\xc3\xb6rg\", email: j@example.org}\n"
	"  repos:\n"
	"    site:\n"
	"      url: ssh://git@h.example:2222/a/site.git\n"
	"      host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\n"
	"      key: {path: ~/.ssh/k}\n"
	"    x: {url: ssh://h/r, key: {provider: gitea, forge_token_env: T}}\n"
	"agent_provider:\n"
	"  template: pi\n"
	"  settings: {base_url: http://o:1/v1, models: [a, 'b c'], compat: {x: true}, api_key: k}\n"
	"env:\n"
	"  A: plain\n"
	"  B: \"a: b # c\"\n"
	"  C: ${HOST}\n"
	"  D: \"?paste 'it'\"\n"
	"  E: \"\"\n"
	"  F: 'null'\n"
	"  G: \"tab\\there \\\"q\\\" \\\\ \\u2028 \\xa0 \xc3\xa9\"\n"
	"---\n";

static void prints_every_key_with_its_line(void **state)
{
	static const char want[] =
		"env:\n"
		"  A: plain  # b.md:31\n"
		"  B: \"a: b # c\"  # b.md:32\n"
		"  C: ${HOST}  # b.md:33\n"
		"  D: \"?paste 'it'\"  # b.md:34\n"
		"  E: \"\"  # b.md:35\n"
		"  F: \"null\"  # b.md:36\n"
		"  G: \"tab\\x09here \\\"q\\\" \\\\ \\u2028 \\xa0 \xc3\xa9\"  # b.md:37\n"
		"agent_provider:\n"
		"  template: pi  # b.md:28\n"
		"  settings:  # b.md:29\n"
		"    base_url: \"http://o:1/v1\"\n"
		"    api_key: k\n"
		"    models: [a, \"b c\"]\n"
		"    compat:\n"
		"      x: true\n"
		"git-gate:\n"
		"  user:\n"
		"    name: \"J\xc3\xb6rg\"  # b.md:20\n"
		"    email: j@example.org  # b.md:20\n"
		"  repos:\n"
		"    site:  # b.md:22\n"
		"      url: \"ssh://git@h.example:2222/a/site.git\"  # b.md:23\n"
		"      host_key: \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\"  # b.md:24\n"
		"      key: {provider: static, path: \"~/.ssh/k\"}  # b.md:25\n"
		"    x:  # b.md:26\n"
		"      url: \"ssh://h/r\"  # b.md:26\n"
		"      key: {provider: gitea, forge_token_env: T}  # b.md:26\n"
		"egress:\n"
		"  log: 1  # b.md:7\n"
		"  routes:\n";
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = read_bottle(everything);
	BB_AUTO_FREE char *text = printed(b);

	(void)state;
	if (strncmp(text, want, strlen(want)) != 0)
		fail_msg("%s", text);
	assert_non_null(strstr(text, "        outbound_detectors: [token_patterns, entropy]\n"
				     "        inbound_detectors: false\n"
				     "        outbound_on_match: redact\n"));
	assert_non_null(strstr(text, "image: base  # b.md:5\n"
				     "workspace:\n"
				     "  path: \"~/src/x\"  # b.md:4\n"
				     "  include: [\".env.test\", a/b]  # b.md:4\n"
				     "  git: false  # b.md:4\n"
				     "resources:\n"
				     "  cpus: 4  # b.md:3\n"
				     "  memory: 512M  # b.md:3\n"
				     "  disk: 8G  # b.md:3\n"
				     "  pids: 100  # b.md:3\n"
				     "  time: 90m  # b.md:3\n"
				     "supervise: true  # b.md:2\n"));
}

static void check_round_trip(const char *input)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = read_bottle(input);
	BB_AUTO_FREE char *text = printed(b);
	BB_AUTO_FREE char *again = bb_text_printf("---\n%s---\n", text);
	BB_AUTO(manifest_bottle) struct manifest_bottle *back = read_bottle(again);

	if (!same_bottle(b, back))
		fail_msg("reads back as another bottle:\n%s", text);
}

static void what_is_printed_reads_back_the_same(void **state)
{
	static const char *const texts[] = {
		"---\n---\n",
		"---\negress: {log: 0}\n---\n",
		"---\nenv: {}\ngit-gate: {}\nresources: {}\nworkspace: {}\n---\n",
		"---\nenv: {A: ~, B: null, C: true, D: 0x10, E: \"  \", F: '-', G: '- a', H: "
		"'#'}\n---\n",
		"---\nenv: {A: \"?  two\", B: \"\\U0001F600\", C: '%', D: '@', E: '`', F: '[', G: "
		"'!'}\n"
		"---\n",
		"---\nenv: {A: \"\\L\\P\"}\n---\n",
		"---\nagent_provider: {template: codex, forward_host_credentials: false}\n---\n",
		"---\nagent_provider: {template: pi, settings: {}}\n---\n",
		"---\nresources: {memory: 104857601, time: 3601}\n---\n",
		"---\nworkspace: {git: true}\n---\n",
		"---\nimage: 'null'\n---\n",
	};

	(void)state;
	check_round_trip(everything);
	for (size_t i = 0; i < BB_ARRAY_LEN(texts); i++)
		check_round_trip(texts[i]);
}

/* A page of more than a buffer may hold is an error, never a page that looks whole. */
static void a_page_that_does_not_fit_is_an_error(void **state)
{
	BB_AUTO(manifest_bottle)
	struct manifest_bottle *b = read_bottle("---\nenv: {A: x, B: y, C: z}\n---\n");
	BB_AUTO_BUF struct bb_buf out = { 0 };

	(void)state;
	bb_buf_init(&out, 30);
	assert_int_equal(manifest_print_bottle(b, &out), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_every_key_with_its_line),
		cmocka_unit_test(what_is_printed_reads_back_the_same),
		cmocka_unit_test(a_page_that_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
