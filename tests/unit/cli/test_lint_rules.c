/* cli/: every rule of lint, by a bottle that breaks it and the same bottle mended. */
#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/lint_rules.h"

#define ROUTE(text) "egress:\n  routes:\n    - {" text "}\n"
#define NARROW      ", matches: [{paths: [{type: prefix, value: /me/mine}]}]"

static const struct {
	const char *rule; /* the only finding; NULL: none */
	const char *front;
	const char *says; /* in its text */
} cases[] = {
	{ "public-suffix", ROUTE("host: '*.github.io'" NARROW), "'*.github.io'" },
	{ "public-suffix", ROUTE("host: '*.co.uk'"), "anybody can have a name" },
	{ NULL, ROUTE("host: '*.example.co.uk'"), NULL },
	{ NULL, ROUTE("host: docs.python.org"), NULL },
	{ "uploads", ROUTE("host: gist.github.com"), "'gist.github.com' stores" },
	{ "uploads", ROUTE("host: github.com, matches: [{methods: [GET]}]"), "stores" },
	{ "uploads", ROUTE("host: github.com, matches: [{paths: [{type: prefix, value: /}]}]"),
	  "stores" },
	{ "uploads", ROUTE("host: github.com, matches: [{paths: [{type: regex, value: '.*'}]}]"),
	  "stores" },
	{ NULL, ROUTE("host: github.com" NARROW), NULL },
	{ "uploads", ROUTE("host: bucket.s3.amazonaws.com"), "'bucket.s3.amazonaws.com' stores" },
	{ "uploads", ROUTE("host: '*.google.com'"), "'*.google.com' allows '" },
	{ "uploads", ROUTE("host: somebody.herokuapp.com"), "runs anybody's programs" },
	{ NULL, ROUTE("host: notgithub.com"), NULL },
	{ "collector", ROUTE("host: webhook.site"), "hands what it is sent" },
	{ "collector", ROUTE("host: hooks.slack.com" NARROW), "hands what it is sent" },
	{ "tunnel", ROUTE("host: dns.google"), "carries requests on" },
	{ "tunnel", ROUTE("host: x.trycloudflare.com"), "carries requests on" },
	{ "auth-wildcard", ROUTE("host: '*.example.org', auth: {scheme: Bearer, token_ref: TOK}"),
	  "'TOK'" },
	{ NULL, ROUTE("host: api.example.org, auth: {scheme: Bearer, token_ref: TOK}"), NULL },
	{ "plain-http", ROUTE("host: a.example.org, plain_ports: [8080]"), "port 8080" },
	{ NULL, ROUTE("host: a.example.org, ports: [8443]"), NULL },
	{ "shadowed", "agent_provider: {template: claude}\n" ROUTE("host: api.anthropic.com"),
	  "provider 'claude' has its own route" },
	{ NULL, ROUTE("host: api.anthropic.com"), NULL },
	{ "secret-env",
	  "env: {A: '${TOK}'}\n" ROUTE(
		  "host: a.example.org, auth: {scheme: Bearer, token_ref: TOK}"),
	  "env 'A' shows the agent the value of 'TOK'" },
	{ "secret-env", "env: {A: '${TOK}'}\nagent_provider: {template: claude, auth_token: TOK}\n",
	  "'TOK'" },
	{ "secret-env",
	  "env: {A: '${TOK}'}\n" ROUTE(
		  "preset: anthropic, auth: {header: x-api-key, token_ref: TOK}"),
	  "'TOK'" },
	{ NULL,
	  "env: {A: '${OTHER}'}\n" ROUTE(
		  "host: a.example.org, auth: {scheme: Bearer, token_ref: TOK}"),
	  NULL },
	{ "secret-literal", "env: {A: ghp_0123456789abcdefghij}\n", "env 'A' looks like" },
	{ NULL, "env: {A: ghp_short}\n", NULL },
};

struct seen {
	size_t count;
	char rule[32], text[256], origin[64];
	bool has_way_out;
};

static void note(void *arg, const struct lint_finding *f)
{
	struct seen *s = arg;

	s->count++;
	s->has_way_out = f->way_out != NULL && f->way_out[0] != '\0';
	assert_int_equal(f->grade, LINT_WARNING);
	(void)snprintf(s->rule, sizeof(s->rule), "%s", f->rule);
	(void)snprintf(s->text, sizeof(s->text), "%s", f->text);
	(void)snprintf(s->origin, sizeof(s->origin), "%s", f->origin);
}

static void look(const struct lint_data *data, const char *front, struct seen *ret)
{
	BB_AUTO_FREE char *text = bb_text_printf("---\n%s---\n", front);
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	struct bb_err err = { 0 };

	*ret = (struct seen){ 0 };
	if (manifest_parse_bottle(bb_view_str(text), "b", "bottles/b.md", &b, &err) < 0)
		fail_msg("%s: %s", front, err.msg);
	lint_bottle(data, b, note, ret);
}

static void each_rule_finds_its_own_and_nothing_else(void **state)
{
	BB_AUTO(lint_data) struct lint_data *data = NULL;
	struct bb_err err = { 0 };

	(void)state;
	if (lint_data_load(&data, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct seen s;

		look(data, cases[i].front, &s);
		if (s.count != (cases[i].rule != NULL ? 1u : 0u))
			fail_msg("%s: %zu findings, the last '%s'", cases[i].front, s.count,
				 s.text);
		if (cases[i].rule == NULL)
			continue;
		assert_string_equal(s.rule, cases[i].rule);
		assert_true(s.has_way_out);
		assert_non_null(strstr(s.text, cases[i].says));
		assert_non_null(strstr(s.origin, "bottles/b.md:"));
	}
}

static void every_rule_has_a_case_and_a_line_of_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < lint_rule_count; i++) {
		bool has_case = lint_rules[i].grade == LINT_ERROR; /* the parser's own tests */

		for (size_t k = 0; k < BB_ARRAY_LEN(cases); k++)
			has_case |= cases[k].rule != NULL &&
				    strcmp(cases[k].rule, lint_rules[i].name) == 0;
		if (!has_case)
			fail_msg("rule '%s' has no case", lint_rules[i].name);
		assert_true(strlen(lint_rules[i].text) > 10);
	}
}

static void a_route_in_the_third_line_is_named_by_it(void **state)
{
	BB_AUTO(lint_data) struct lint_data *data = NULL;
	struct bb_err err = { 0 };
	struct seen s;

	(void)state;
	assert_int_equal(lint_data_load(&data, &err), 0);
	look(data, ROUTE("host: pastebin.com"), &s);
	assert_string_equal(s.origin, "bottles/b.md:4");
	look(data, "image: base\nenv:\n  A: ghp_0123456789abcdefghij\n", &s);
	assert_string_equal(s.origin, "bottles/b.md:4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_finds_its_own_and_nothing_else),
		cmocka_unit_test(every_rule_has_a_case_and_a_line_of_help),
		cmocka_unit_test(a_route_in_the_third_line_is_named_by_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
