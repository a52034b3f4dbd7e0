/* manifest/: what a child allows beyond its parents is marked, and nothing else. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"
#include "manifest/print.h"

static void write_bottle(const char *root, const char *name, const char *text)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/bottles", root);
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s.md", dir, name);
	BB_AUTO_FREE char *all = bb_text_printf("---\n%s---\n", text);

	assert_int_equal(bb_path_mkdirs(dir, 0700, NULL), 0);
	assert_int_equal(bb_path_write_atomic(path, all, strlen(all), 0600, NULL), 0);
}

/* The keys of the marked lines of "child", which extends "base", separated by spaces. */
static char *marked(const char *base, const char *child)
{
	static char child_name[] = "child";
	char *const names[] = { child_name, NULL };
	char root[] = "/tmp/bb-manifest-XXXXXX";
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO_FREE char *text = bb_text_printf("extends: base\n%s", child);
	BB_AUTO_FREE char *page = NULL;
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_BUF struct bb_buf keys = { 0 };
	struct bb_err err = { 0 };
	char *rest = NULL;

	assert_non_null(mkdtemp(root));
	write_bottle(root, "base", base);
	write_bottle(root, "child", text);
	if (manifest_load_bottle(root, names, &b, &err) < 0)
		fail_msg("%s", err.msg);
	(void)bb_path_remove_tree(root, NULL);
	bb_buf_init(&out, 65536);
	bb_buf_init(&keys, 65536);
	assert_int_equal(manifest_print_bottle(b, &out), 0);
	page = bb_buf_dup_str(&out);
	for (char *line = strtok_r(page, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (strstr(line, "WIDER") == NULL)
			continue;
		line += strspn(line, " -");
		if (strncmp(line, "host: ", 6) == 0)
			line += 6;
		assert_int_equal(bb_buf_printf(&keys, "%.*s ", (int)strcspn(line, ": "), line), 0);
	}
	return bb_buf_dup_str(&keys);
}

#define ROUTES(text) "egress:\n  routes:\n" text

static void marks_what_is_wider(void **state)
{
	static const struct {
		const char *base, *child, *want;
	} cases[] = {
		/* routes */
		{ "", ROUTES("    - host: a.example\n"), "a.example " },
		{ ROUTES("    - host: a.example\n"), ROUTES("    - host: a.example\n"), "" },
		{ ROUTES("    - host: a.example\n"),
		  ROUTES("    - host: a.example\n    - host: b.example\n"), "b.example " },
		{ ROUTES("    - host: \"*.b.example\"\n"), ROUTES("    - host: a.b.example\n"),
		  "" },
		{ ROUTES("    - host: \"*.b.example\"\n"), ROUTES("    - host: xb.example\n"),
		  "xb.example " },
		{ ROUTES("    - host: a.b.example\n"), ROUTES("    - host: \"*.b.example\"\n"),
		  "\"*.b.example\" " },
		{ ROUTES("    - host: a.example\n      ports: [443, 8443]\n"),
		  ROUTES("    - host: a.example\n      ports: [8443]\n"), "" },
		{ ROUTES("    - host: a.example\n"),
		  ROUTES("    - host: a.example\n      ports: [443, 8443]\n"), "a.example " },
		{ ROUTES("    - host: a.example\n"),
		  ROUTES("    - host: a.example\n      plain_ports: [80]\n"), "a.example " },
		{ ROUTES("    - host: a.example\n"),
		  ROUTES("    - host: a.example\n      auth: {scheme: Bearer, token_ref: T}\n"),
		  "a.example " },
		{ ROUTES("    - host: a.example\n      auth: {scheme: Bearer, token_ref: T}\n"),
		  ROUTES("    - host: a.example\n"), "" },
		{ ROUTES("    - host: a.example\n"),
		  ROUTES("    - host: a.example\n      dlp: {inbound_detectors: false}\n"),
		  "a.example " },
		{ ROUTES("    - host: a.example\n"),
		  ROUTES("    - host: a.example\n      dlp: {outbound_on_match: block}\n"), "" },
		{ ROUTES("    - host: a.example\n      dlp: {outbound_on_match: block}\n"),
		  ROUTES("    - host: a.example\n"), "a.example " },
		{ ROUTES("    - host: a.example\n"),
		  ROUTES("    - host: a.example\n      matches: [{methods: [GET]}]\n"), "" },
		{ ROUTES("    - host: a.example\n      matches: [{methods: [GET]}]\n"),
		  ROUTES("    - host: a.example\n"), "a.example " },
		{ ROUTES("    - host: a.example\n      matches: [{methods: [GET]}, {methods: "
			 "[PUT]}]\n"),
		  ROUTES("    - host: a.example\n      matches: [{methods: [PUT]}]\n"), "" },
		{ ROUTES("    - host: a.example\n      matches: [{methods: [GET]}]\n"),
		  ROUTES("    - host: a.example\n      matches: [{methods: [GET, PUT]}]\n"),
		  "a.example " },
		/* env: a literal is the bottle's own, a variable is the operator's */
		{ "", "env: {A: 1, B: \"${B}\", C: \"?c\"}\n", "B " },
		{ "env: {X: \"${B}\"}\n", "env: {A: \"${B}\"}\n", "" },
		/* the rest */
		{ "", "agent_provider: {template: claude, auth_token: T}\n",
		  "template auth_token " },
		{ "agent_provider: {template: claude, auth_token: T}\n",
		  "agent_provider: {template: claude, auth_token: T}\n", "" },
		{ "agent_provider: {template: claude, auth_token: T}\n",
		  "agent_provider: {template: claude, auth_token: U}\n", "auth_token " },
		{ "agent_provider: {template: codex}\n",
		  "agent_provider: {template: codex, forward_host_credentials: true}\n",
		  "forward_host_credentials " },
		{ "", "git-gate: {repos: {r: {url: ssh://h/r, key: {path: /k}}}}\n", "r " },
		{ "git-gate: {repos: {q: {url: ssh://h/r, key: {path: /k}}}}\n",
		  "git-gate: {repos: {r: {url: ssh://h/r, key: {path: /k}}}}\n", "" },
		{ "git-gate: {repos: {q: {url: ssh://h/r, key: {path: /k}}}}\n",
		  "git-gate: {repos: {r: {url: ssh://h/r, key: {path: /l}}}}\n", "r " },
		{ "image: base\n", "image: host\n", "image " },
		{ "image: base\n", "image: claude\n", "" },
		{ "", "workspace: {path: /a, include: [x]}\n", "path include " },
		{ "workspace: {include: [x, y]}\n", "workspace: {include: [x]}\n", "" },
		{ "workspace: {git: false}\n", "workspace: {git: true}\n", "git " },
		{ "resources: {cpus: 2, memory: 1G, disk: 1G, pids: 100, time: 1h}\n",
		  "resources: {cpus: 3, memory: 2G, disk: 2G, pids: 200, time: 2h}\n",
		  "cpus memory disk pids time " },
		{ "resources: {cpus: 2, time: 2h}\n", "resources: {cpus: 1, time: 1h, pids: 99}\n",
		  "" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		BB_AUTO_FREE char *got = marked(cases[i].base, cases[i].child);

		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s over %s: marked '%s', not '%s'", cases[i].child, cases[i].base,
				 got, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_what_is_wider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
