/* manifest/match.c: `matches` of a route, and that a printed route is read back as the same one. */
#include "../unit.h"

#include <string.h>

#include "base/text.h"
#include "manifest/manifest.h"

#define R(matches) "---\negress:\n  routes:\n    - host: a.example\n" matches "---\n"
#define M(entry)   R("      matches:\n        - " entry "\n")

static const struct {
	const char *text;
	const char *want; /* behind "manifest 'bottles/b.md':" */
} refused[] = {
	{ R("      matches: []\n"), "5: 'matches' is empty; an empty list allows nothing" },
	{ R("      matches: /v1\n"), "5: 'matches' must be a list, not a value" },
	{ M("/v1"), "6: an entry of 'matches' says at least one of 'paths', 'methods', 'headers' "
		    "and 'query'" },
	{ M("{}"), "6: an entry of 'matches' says at least one of 'paths', 'methods', 'headers' "
		   "and 'query'" },
	{ M("path: /v1"), "6: unknown key 'path' in an entry of 'matches'; did you mean 'paths'?" },
	{ M("paths: []"), "6: 'paths' is empty; an empty list allows nothing" },
	{ M("paths: /v1"), "6: 'paths' must be a list, not a value" },
	{ M("paths: [/v1]"), "6: a path of 'matches' is written {type: prefix, value: /v1}" },
	{ M("paths: [{value: /v1}]"),
	  "6: a path needs 'type: exact', 'type: prefix' or 'type: regex'" },
	{ M("paths: [{type: prefix}]"), "6: a path of 'matches' needs 'value'" },
	{ M("paths: [{type: glob, value: /v1/*}]"),
	  "6: type 'glob' is not known; there are exact, prefix and regex" },
	{ M("paths: [{type: prefix, value: v1}]"),
	  "6: path 'v1' can never match: write it from '/', without '//', '.', '..', '%', '?' or "
	  "'#'" },
	{ M("paths: [{type: exact, value: /a/../b}]"),
	  "6: path '/a/../b' can never match: write it from '/', without '//', '.', '..', '%', '?' "
	  "or '#'" },
	{ M("paths: [{type: regex, value: '/a(b'}]"),
	  "6: '/a(b': byte 5 of the regex: a '(' without its ')'" },
	{ M("paths: [{type: exact, value: /a, name: x}]"),
	  "6: unknown key 'name' in a path of 'matches'" },
	{ M("paths: [{type: exact, value: ''}]"), "6: 'value' has no value" },
	{ M("methods: []"), "6: 'methods' is empty; an empty list allows nothing" },
	{ M("methods: [GET, get]"), "6: method GET is listed twice" },
	{ M("methods: ['GET POST']"), "6: 'GET POST' is not a method" },
	{ M("methods: [{a: b}]"),
	  "6: 'an entry of the list' must be a value, not a block of keys" },
	{ M("headers: [accept]"),
	  "6: a header of 'matches' is written {name: accept, value: application/json}" },
	{ M("headers: [{value: x}]"), "6: a header of 'matches' needs 'name'" },
	{ M("headers: [{name: x}]"), "6: a header of 'matches' needs 'value'" },
	{ M("headers: [{name: 'a b', value: x}]"), "6: 'a b' is not a header name" },
	{ M("headers: [{name: Host, value: x}]"),
	  "6: header 'host' is written anew on the way out, so no rule can judge it" },
	{ M("headers: [{name: x, type: prefix, value: x}]"),
	  "6: only a path can be a prefix; use a regex" },
	{ M("query: [{name: q, type: regex, value: '('}]"),
	  "6: '(': byte 2 of the regex: an empty alternative; write '?' behind what may be "
	  "missing" },
	{ M("query: [{name: \"q\\tx\", value: x}]"),
	  "6: 'q\\x09x' is not a name: 1 to 64 bytes of visible ASCII" },
	{ R("      auth: {scheme: Bearer, token_ref: T}\n      matches:\n"
	    "        - headers: [{name: Authorization, value: x}]\n"),
	  "6: header 'authorization' is replaced where a route has 'auth', so no rule can judge "
	  "it" },
	{ R("      auth: {header: X-Key, token_ref: T}\n      matches:\n"
	    "        - headers: [{name: x-key, value: x}]\n"),
	  "6: header 'x-key' is replaced where a route has 'auth', so no rule can judge it" },
	{ R("      auth: {query: key, token_ref: T}\n      matches:\n"
	    "        - query: [{name: key, value: x}]\n"),
	  "6: query parameter 'key' carries the token of 'auth', so no rule can judge it" },
	{ R("      git: {fetch: maybe}\n"), "5: 'fetch' must be true or false" },
	{ R("      git: {push: true}\n"), "5: unknown key 'push' in git" },
	{ R("      private: yes\n      ports: [443]\n"),
	  "5: 'private' must be true, false or loopback, not yes" },
	{ R("      private: true\n"),
	  "5: 'private' needs its ports written out, under 'ports' or 'plain_ports'" },
	{ "---\negress:\n  routes:\n    - host: \"*.a.example\"\n      private: true\n"
	  "      ports: [443]\n---\n",
	  "5: 'private' needs one exact host, not '*.a.example'" },
	{ R("      rate: {}\n"), "5: rate needs 'requests', 'bytes_out' or both" },
	{ R("      rate: {requests: 0}\n"),
	  "5: 'requests' is 0; it must be between 1 and 1000000" },
	{ R("      rate: {burst: 1}\n"), "5: unknown key 'burst' in rate" },
	{ R("      path_allowlist: [/v1]\n"),
	  "5: 'path_allowlist' is an old key; it became 'matches'" },
};

static void matches_refuse_with_the_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(refused); i++) {
		struct manifest_bottle *b = NULL;
		BB_AUTO_FREE char *want =
			bb_text_printf("manifest 'bottles/b.md':%s", refused[i].want);
		struct bb_err err = { 0 };

		if (manifest_parse_bottle(bb_view_str(refused[i].text), "b", "bottles/b.md", &b,
					  &err) >= 0)
			fail_msg("not refused: %s", refused[i].text);
		assert_string_equal(err.msg, want);
		assert_null(b);
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

static const char whole[] =
	"---\negress:\n  routes:\n"
	"    - host: api.github.com\n"
	"      auth: {scheme: Bearer, token_ref: GH_PAT}\n"
	"      matches:\n"
	"        - paths: [{type: prefix, value: /repos/a/}, {type: exact, value: /user}]\n"
	"          methods: [get, POST]\n"
	"          headers: [{name: Accept, type: exact, value: application/json}]\n"
	"        - query: [{name: q, value: 'a \"b\" \\ c'}, {name: n, type: regex, value: "
	"'\\d+'}]\n"
	"        - paths: [{type: regex, value: '/x/[^/]+'}]\n"
	"    - host: b.example\n"
	"      ports: [8443]\n"
	"      plain_ports: [80]\n"
	"      matches: [{methods: [GET]}]\n"
	"    - host: \"*.c.example\"\n"
	"      auth: {header: X-Api-Key, token_ref: \"NULL\"}\n"
	"    - host: p.example\n"
	"      ports: [8443]\n"
	"      private: true\n"
	"      git: {fetch: true}\n"
	"      rate: {requests: 100, bytes_out: 10M}\n"
	"    - host: localhost\n"
	"      plain_ports: [8080]\n"
	"      private: loopback\n"
	"      rate: {requests: 5}\n"
	"    - host: d.example\n"
	"      auth: {scheme: token, token_ref: T}\n"
	"    - host: e.example\n"
	"      auth: {scheme: Basic, user: x-access-token, token_ref: T}\n"
	"    - host: f.example\n"
	"      auth: {scheme: Basic, token_ref: T}\n"
	"    - host: g.example\n"
	"      auth: {query: api_key, token_ref: T}\n"
	"      matches: [{query: [{name: a, value: b}]}]\n"
	"---\n";

static void matches_give_what_was_written(void **state)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = good(whole);
	const struct policy_match *m = b->policy->routes[0].matches;

	(void)state;
	assert_int_equal(b->policy->routes[0].match_count, 3);
	assert_int_equal(m[0].paths.count, 2);
	assert_int_equal(m[0].paths.items[0].how, POLICY_PREFIX);
	assert_string_equal(m[0].paths.items[1].text, "/user");
	assert_string_equal(m[0].methods[0], "GET");
	assert_string_equal(m[0].methods[1], "POST");
	assert_string_equal(m[0].headers.items[0].name, "accept");
	assert_int_equal(m[1].query.items[0].how, POLICY_EXACT);
	assert_string_equal(m[1].query.items[0].text, "a \"b\" \\ c");
	assert_int_equal(m[1].query.items[1].how, POLICY_REGEX);
	assert_int_equal(m[2].paths.items[0].how, POLICY_REGEX);
	assert_non_null(m[2].paths.items[0].regex);
}

/* The page of a preflight is a manifest: reading it gives the same policy. */
static void a_printed_route_is_read_back_as_the_same(void **state)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = good(whole);
	BB_AUTO(manifest_bottle) struct manifest_bottle *again = NULL;
	BB_AUTO_BUF struct bb_buf first = { 0 }, second = { 0 };
	BB_AUTO_FREE char *text = NULL;

	(void)state;
	bb_buf_init(&first, 65536);
	bb_buf_init(&second, 65536);
	assert_int_equal(bb_buf_append_str(&first, "---\negress:\n  routes:\n"), 0);
	for (size_t i = 0; i < b->policy->route_count; i++) {
		free(b->policy->routes[i].origin);
		b->policy->routes[i].origin = NULL;
		assert_int_equal(policy_put_yaml(&b->policy->routes[i], 4, &first), 0);
	}
	assert_int_equal(bb_buf_append_str(&first, "---\n"), 0);
	text = bb_buf_dup_str(&first);
	again = good(text);
	assert_int_equal(again->policy->route_count, b->policy->route_count);
	for (size_t i = 0; i < again->policy->route_count; i++) {
		free(again->policy->routes[i].origin);
		again->policy->routes[i].origin = NULL;
	}
	bb_buf_reset(&first);
	assert_int_equal(policy_encode(b->policy, &first), 0);
	assert_int_equal(policy_encode(again->policy, &second), 0);
	assert_true(bb_view_eq(bb_buf_peek(&first), bb_buf_peek(&second)));
}

static void matches_are_bounded(void **state)
{
	static const struct {
		const char *head, *entry, *tail, *want;
		size_t count;
	} table[] = {
		{ "", "        - methods: [GET]\n", "", "'matches' has 65 entries, limit 64", 65 },
		{ "        - paths:\n", "            - {type: exact, value: /a}\n", "",
		  "'paths' has 33 entries, limit 32", 33 },
		{ "        - headers:\n", "            - {name: a, value: b}\n", "",
		  "'headers' has 17 entries, limit 16", 17 },
		{ "        - query:\n", "            - {name: a, value: b}\n", "",
		  "'query' has 17 entries, limit 16", 17 },
		{ "        - methods:\n", "            - GET\n", "",
		  "'methods' has 17 entries, limit 16", 17 },
		{ "        - paths: [{type: exact, value: /a", "a", "}]\n",
		  "visible ASCII, at most 1024 bytes", 1024 },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		BB_AUTO_BUF struct bb_buf text = { 0 };
		struct manifest_bottle *b = NULL;
		struct bb_err err = { 0 };

		bb_buf_init(&text, 65536);
		(void)bb_buf_printf(&text,
				    "---\negress:\n  routes:\n    - host: a.example\n"
				    "      matches:\n%s",
				    table[i].head);
		for (size_t k = 0; k < table[i].count; k++)
			(void)bb_buf_append_str(&text, table[i].entry);
		(void)bb_buf_printf(&text, "%s---\n", table[i].tail);
		assert_error(
			manifest_parse_bottle(bb_buf_peek(&text), "b", "bottles/b.md", &b, &err),
			BB_E_USAGE, err);
		if (strstr(err.msg, table[i].want) == NULL)
			fail_msg("%s", err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_refuse_with_the_line),
		cmocka_unit_test(matches_give_what_was_written),
		cmocka_unit_test(a_printed_route_is_read_back_as_the_same),
		cmocka_unit_test(matches_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
