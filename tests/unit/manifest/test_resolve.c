/* manifest/: what extends and several bottles side by side make of each other. */
#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"
#include "manifest/manifest.h"

#define FILES_MAX 5

struct file {
	const char *name, *text;
};

/* One line that says all of a bottle that these tests are about. */
static char *summary(const struct manifest_bottle *b)
{
	struct bb_buf out = { 0 };
	char *text;

	bb_buf_init(&out, 4096);
	assert_int_equal(bb_buf_printf(&out, "%s;", b->chain), 0);
	for (size_t i = 0; i < b->env_count; i++)
		assert_int_equal(bb_buf_printf(&out, " %s=%s", b->env[i].name, b->env[i].value), 0);
	for (size_t i = 0; i < b->policy->route_count; i++)
		assert_int_equal(bb_buf_printf(&out, " %s@%s", b->policy->routes[i].host,
					       b->policy->routes[i].origin),
				 0);
	if (b->log_at.file != NULL)
		assert_int_equal(bb_buf_printf(&out, " log=%u", b->log), 0);
	if (b->image != NULL)
		assert_int_equal(bb_buf_printf(&out, " image=%s", b->image), 0);
	if (b->provider != NULL)
		assert_int_equal(bb_buf_printf(&out, " provider=%s/%s", b->provider,
					       b->auth_token != NULL ? b->auth_token : "-"),
				 0);
	if (b->resources.cpus != 0 || b->resources.pids != 0)
		assert_int_equal(bb_buf_printf(&out, " cpus=%u pids=%u", b->resources.cpus,
					       b->resources.pids),
				 0);
	text = bb_buf_dup_str(&out);
	bb_buf_done(&out);
	return text;
}

static void write_files(const char *root, const struct file *files)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/bottles", root);

	assert_int_equal(bb_path_mkdirs(dir, 0700, NULL), 0);
	for (size_t i = 0; i < FILES_MAX && files[i].name != NULL; i++) {
		BB_AUTO_FREE char *path = bb_text_printf("%s/%s.md", dir, files[i].name);
		BB_AUTO_FREE char *text = bb_text_printf("---\n%s---\n", files[i].text);

		assert_int_equal(bb_path_write_atomic(path, text, strlen(text), 0600, NULL), 0);
	}
}

/* names: separated by spaces. */
static char *outcome(const char *root, const char *names)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO_STRV char **list = calloc(1, sizeof(*list));
	struct bb_err err = { 0 };

	for (const char *p = names; *p != '\0';) {
		size_t n = strcspn(p, " ");

		assert_int_equal(bb_strv_push(&list, strndup(p, n)), 0);
		p += n + strspn(p + n, " ");
	}
	if (manifest_load_bottle(root, list, &b, &err) < 0)
		return strdup(err.msg);
	return summary(b);
}

#define EGRESS(host) "egress:\n  routes:\n    - host: " host "\n"

static const struct {
	const char *names;
	struct file files[FILES_MAX];
	const char *want;
} cases[] = {
	/* one parent: env key by key, egress as a whole, a scalar of the child wins */
	{ "dev",
	  { { "dev", "extends: base\nenv: {B: 3, C: 4}\nimage: base\n" },
	    { "base", "env: {A: 1, B: 2}\nimage: claude\n" EGRESS("a.example") } },
	  "dev <- base; A=1 B=3 C=4 a.example@bottles/base.md:6 image=base" },
	{ "dev",
	  { { "dev", "extends: base\n" EGRESS("b.example") },
	    { "base", "egress: {log: 1, routes: [{host: a.example}]}\n" } },
	  "dev <- base; b.example@bottles/dev.md:5" },
	{ "dev",
	  { { "dev", "extends: base\negress: {}\n" }, { "base", EGRESS("a.example") } },
	  "dev <- base;" },
	{ "dev",
	  { { "dev", "extends: base\nagent_provider: {template: claude}\n" },
	    { "base", "agent_provider: {template: claude, auth_token: T}\n" } },
	  "dev <- base; provider=claude/-" },
	{ "dev",
	  { { "dev", "extends: base\nresources: {pids: 99}\n" },
	    { "base", "resources: {cpus: 3, pids: 50}\n" } },
	  "dev <- base; cpus=3 pids=99" },
	{ "c",
	  { { "c", "extends: b\nenv: {C: 1}\n" },
	    { "b", "extends: [a]\nenv: {B: 1}\n" },
	    { "a", "env: {A: 1}\n" } },
	  "c <- b <- a; A=1 B=1 C=1" },
	/* several parents, folded from left to right, the child over both */
	{ "dev",
	  { { "dev", "extends: [a, b]\nenv: {Z: 9}\n" },
	    { "a",
	      "env: {A: 1, X: 1}\nimage: claude\negress: {log: 1, routes: [{host: a.example}]}\n" },
	    { "b", "env: {X: 2}\nimage: base\n" EGRESS("b.example") } },
	  "dev <- (a, b); A=1 X=2 Z=9 a.example@bottles/a.md:4 b.example@bottles/b.md:6 log=1 "
	  "image=base" },
	{ "dev",
	  { { "dev", "extends: [a, b]\n" EGRESS("c.example") },
	    { "a", EGRESS("a.example") },
	    { "b", EGRESS("b.example") } },
	  "dev <- (a, b); c.example@bottles/dev.md:5" },
	/* side by side on the command line */
	{ "a b",
	  { { "a", "env: {A: 1, X: 1}\n" EGRESS("a.example") },
	    { "b", "env: {X: 2}\negress: {log: 1}\n" } },
	  "a, b; A=1 X=2 a.example@bottles/a.md:5 log=1" },
	{ "b a",
	  { { "a", "env: {X: 1}\nimage: base\n" }, { "b", "env: {X: 2}\nimage: claude\n" } },
	  "b, a; X=1 image=base" },
	/* what both have from one ancestor is there once */
	{ "a b",
	  { { "a", "extends: base\nenv: {A: 1}\n" },
	    { "b", "extends: base\nenv: {B: 1}\n" },
	    { "base", "egress: {routes: [{host: a.example}, {host: b.example}]}\n" } },
	  "a <- base, b <- base; A=1 B=1 a.example@bottles/base.md:2 b.example@bottles/base.md:2" },
	{ "a b",
	  { { "a", EGRESS("x.example") }, { "b", EGRESS("y.example") EGRESS("") } },
	  "manifest 'bottles/b.md':5: key 'egress' is given twice, first in line 2" },
	{ "a b",
	  { { "a", EGRESS("x.example") }, { "b", "\n" EGRESS("X.example") } },
	  "manifest 'bottles/b.md':5: host 'x.example' has two routes, the first at "
	  "bottles/a.md:4; one entry a host" },
	/* what cannot be */
	{ "a",
	  { { "a", "extends: a\n" } },
	  "manifest 'bottles/a.md':2: 'extends' names this bottle itself" },
	{ "x",
	  { { "x", "extends: a\n" },
	    { "a", "image: base\nextends: b\n" },
	    { "b", "extends: a\n" } },
	  "manifest 'bottles/b.md':2: 'extends' goes in a circle: a <- b <- a" },
	{ "a",
	  { { "a", "extends: [b, c]\n" }, { "b", "extends: c\n" }, { "c", "extends: b\n" } },
	  "manifest 'bottles/c.md':2: 'extends' goes in a circle: b <- c <- b" },
	{ "a",
	  { { "a", "image: base\nextends: basee\n" }, { "base", "" } },
	  "manifest 'bottles/a.md':3: there is no bottle 'basee'; did you mean 'base'?" },
	{ "a",
	  { { "a", "extends: base\n" }, { "base", "egres: {}\n" } },
	  "manifest 'bottles/base.md':2: unknown key 'egres' in a bottle; did you mean 'egress'?" },
	/* every file is right by itself: a parent does not lend its child a half of a block */
	{ "a",
	  { { "a", "extends: base\nagent_provider: {auth_token: T}\n" },
	    { "base", "agent_provider: {template: claude}\n" } },
	  "manifest 'bottles/a.md':3: agent_provider needs 'template', such as claude" },
	{ "a a", { { "a", "" } }, "bottle 'a' is named twice" },
	{ "nix", { { "nixx", "" } }, "there is no bottle 'nix'; did you mean 'nixx'?" },
};

static void merges_as_the_tables_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		char root[] = "/tmp/bb-manifest-XXXXXX";
		BB_AUTO_FREE char *got = NULL;

		assert_non_null(mkdtemp(root));
		write_files(root, cases[i].files);
		got = outcome(root, cases[i].names);
		(void)bb_path_remove_tree(root, NULL);
		assert_string_equal(got, cases[i].want);
	}
}

static void limits_chain_and_files(void **state)
{
	char root[] = "/tmp/bb-manifest-XXXXXX";
	BB_AUTO_FREE char *deep = NULL;
	BB_AUTO_FREE char *wide = NULL;

	(void)state;
	assert_non_null(mkdtemp(root));
	for (int i = 0; i <= LIMIT_MANIFEST_CHAIN; i++) {
		BB_AUTO_FREE char *name = bb_text_printf("d%d", i);
		BB_AUTO_FREE char *text = bb_text_printf("extends: d%d\n", i + 1);
		const struct file file[FILES_MAX] = { { name, text } };

		write_files(root, file);
	}
	deep = outcome(root, "d0");
	/* each of five levels extends both of the next: 2 + 4 + 8 + 16 + 32 readings */
	for (int i = 0; i < 6; i++)
		for (char side = 'a'; side <= 'b'; side++) {
			BB_AUTO_FREE char *name = bb_text_printf("w%d%c", i, side);
			BB_AUTO_FREE char *text =
				i == 5 ? strdup("image: base\n")
				       : bb_text_printf("extends: [w%da, w%db]\n", i + 1, i + 1);
			const struct file file[FILES_MAX] = { { name, text } };

			write_files(root, file);
		}
	wide = outcome(root, "w0a");
	(void)bb_path_remove_tree(root, NULL);
	assert_string_equal(deep,
			    "manifest 'bottles/d7.md':2: more than 8 bottles that extend each "
			    "other, one behind the other");
	assert_non_null(strstr(wide, "more than 32 files for one bottle"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges_as_the_tables_say),
		cmocka_unit_test(limits_chain_and_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
