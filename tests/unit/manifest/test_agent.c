/* manifest/: agents, and files on disk. */
#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/text.h"
#include "manifest/manifest.h"

static void agent_gives_bottle_and_prompt(void **state)
{
	static const char text[] =
		"---\nbottle: dev\nname: x\ndescription: y\nmodel: z\ncolor: red\n"
		"memory: user\n---\n\n  You help.\n\nMore.\n\n";
	struct manifest_agent *a = NULL;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(manifest_parse_agent(bb_view_str(text), "a", "agents/a.md", &a, &err), 0);
	assert_string_equal(a->bottle, "dev");
	assert_string_equal(a->prompt, "You help.\n\nMore.");
	manifest_agent_free(a);
}

static void agent_refuses_by_name(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "---\nbotle: dev\n---\n",
		  "unknown key 'botle' in an agent; did you mean 'bottle'?" },
		{ "---\negress: {routes: []}\n---\n",
		  "'egress' belongs into the bottle, not into the agent" },
		{ "---\nrepos: {}\n---\n",
		  "'repos' is refused on an agent: it carries credentials" },
		{ "---\nbottle: [a, b]\n---\n", "'bottle' must be a value, not a list" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		BB_AUTO_FREE char *want =
			bb_text_printf("manifest 'agents/a.md':2: %s", cases[i].want);
		struct manifest_agent *a = NULL;
		struct bb_err err = { 0 };

		assert_error(manifest_parse_agent(bb_view_str(cases[i].text), "a", "agents/a.md",
						  &a, &err),
			     BB_E_USAGE, err);
		assert_string_equal(err.msg, want);
	}
}

/* On disk. */

struct home {
	char root[64];
};

static int make_home(void **state)
{
	struct home *h = calloc(1, sizeof(*h));
	BB_AUTO_FREE char *dir = NULL;

	(void)snprintf(h->root, sizeof(h->root), "/tmp/bb-manifest-XXXXXX");
	if (mkdtemp(h->root) == NULL)
		return -1;
	dir = bb_text_printf("%s/agents", h->root);
	*state = h;
	return bb_path_mkdirs(dir, 0700, NULL);
}

static int remove_home(void **state)
{
	struct home *h = *state;

	(void)bb_path_remove_tree(h->root, NULL);
	free(h);
	return 0;
}

static void write_agent(const struct home *h, const char *name, const char *text, mode_t mode)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/agents/%s", h->root, name);
	struct bb_err err = { 0 };

	assert_int_equal(bb_path_write_atomic(path, text, strlen(text), 0600, &err), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void load_names_what_is_wrong_with_a_file(void **state)
{
	const struct home *h = *state;
	BB_AUTO_FREE char *link = bb_text_printf("%s/agents/linked.md", h->root);
	BB_AUTO_FREE char *dir = bb_text_printf("%s/agents/dir.md", h->root);
	const struct {
		const char *name, *want;
	} cases[] = {
		{ "helprr", "there is no agent 'helprr'; did you mean 'helper'?" },
		{ "quite-else", "there is no agent 'quite-else'; write " },
		{ "../helper", "'../helper' is not a valid name in agents" },
		{ "Helper", "'Helper' is not a valid name in agents" },
		{ "linked", "is a symbolic link; a manifest is a file of its own" },
		{ "open", "can be written by everybody; run: chmod o-w" },
		{ "dir", "is not a regular file" },
		{ "large", "is larger than 1024 KiB" },
	};
	const struct manifest_places places = { .home = h->root };
	BB_AUTO_FREE char *large = malloc(LIMIT_MANIFEST_FILE + 2);

	memset(large, 'x', LIMIT_MANIFEST_FILE + 1);
	large[LIMIT_MANIFEST_FILE + 1] = '\0';
	write_agent(h, "helper.md", "---\nbottle: b\n---\n", 0600);
	write_agent(h, "open.md", "x", 0646);
	write_agent(h, "large.md", large, 0600);
	assert_int_equal(symlink("helper.md", link), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct manifest_agent *a = NULL;
		struct bb_err err = { 0 };

		assert_error(manifest_load_agent(&places, cases[i].name, &a, &err), BB_E_USAGE,
			     err);
		if (strstr(err.msg, cases[i].want) == NULL)
			fail_msg("'%s' does not say '%s'", err.msg, cases[i].want);
	}
}

static void list_gives_names_only_and_survives_a_broken_file(void **state)
{
	const struct home *h = *state;
	BB_AUTO_STRV char **names = NULL;
	BB_AUTO_STRV char **none = NULL;
	struct bb_err err = { 0 };

	write_agent(h, "b.md", "---\nbroken", 0600);
	write_agent(h, "a.md", "", 0600);
	write_agent(h, "Bad Name.md", "", 0600);
	write_agent(h, "notes.txt", "", 0600);
	names = manifest_list(h->root, "agents", &err);
	assert_int_equal(bb_strv_len(names), 2);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "b");
	none = manifest_list(h->root, "bottles", &err);
	assert_non_null(none);
	assert_int_equal(bb_strv_len(none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agent_gives_bottle_and_prompt),
		cmocka_unit_test(agent_refuses_by_name),
		cmocka_unit_test_setup_teardown(load_names_what_is_wrong_with_a_file, make_home,
						remove_home),
		cmocka_unit_test_setup_teardown(list_gives_names_only_and_survives_a_broken_file,
						make_home, remove_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
