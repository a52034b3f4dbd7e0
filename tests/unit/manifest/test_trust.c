/* manifest/: which places agents come from, and whose files are believed. */
#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/text.h"
#include "manifest/manifest.h"
#include "manifest/secret.h"

struct fixture {
	char root[64];
	char *home, *cwd;
	struct manifest_places places;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->root, sizeof(f->root), "/tmp/bb-manifest-XXXXXX");
	if (mkdtemp(f->root) == NULL)
		return -1;
	f->home = bb_text_printf("%s/home", f->root);
	f->cwd = bb_text_printf("%s/work/.bot-bottle", f->root);
	f->places.home = f->home;
	f->places.cwd = f->cwd;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)bb_path_remove_tree(f->root, NULL);
	free(f->home);
	free(f->cwd);
	free(f);
	return 0;
}

/* name: with its directory, "agents/a.md" */
static char *put_file(const char *place, const char *name, const char *text)
{
	char *path = bb_text_printf("%s/%s", place, name);
	BB_AUTO_FREE char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));

	assert_int_equal(bb_path_mkdirs(dir, 0700, NULL), 0);
	assert_int_equal(bb_path_write_atomic(path, text, strlen(text), 0600, NULL), 0);
	return path;
}

static void lay_file(const char *place, const char *name, const char *text)
{
	free(put_file(place, name, text));
}

static void expect_agent_error(const struct fixture *f, const char *name, const char *want)
{
	struct manifest_agent *a = NULL;
	struct bb_err err = { 0 };

	assert_error(manifest_load_agent(&f->places, name, &a, &err), BB_E_USAGE, err);
	if (strstr(err.msg, want) == NULL)
		fail_msg("'%s' does not say '%s'", err.msg, want);
}

static void agents_come_from_both_places(void **state)
{
	const struct fixture *f = *state;
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;
	BB_AUTO(manifest_agent) struct manifest_agent *b = NULL;
	BB_AUTO_STRV char **names = NULL;
	struct bb_err err = { 0 };

	lay_file(f->home, "agents/mine.md", "---\nbottle: dev\n---\n");
	lay_file(f->cwd, "agents/theirs.md", "---\nbottle: d\n---\nhi");
	assert_int_equal(manifest_load_agent(&f->places, "mine", &a, &err), 0);
	assert_string_equal(a->file, "agents/mine.md");
	assert_false(a->is_from_cwd);
	assert_int_equal(manifest_load_agent(&f->places, "theirs", &b, &err), 0);
	assert_string_equal(b->file, "./.bot-bottle/agents/theirs.md");
	assert_true(b->is_from_cwd);
	assert_string_equal(b->prompt, "hi");
	names = manifest_list_agents(&f->places, &err);
	assert_int_equal(bb_strv_len(names), 2);
	assert_string_equal(names[0], "mine");
	assert_string_equal(names[1], "theirs");
	expect_agent_error(f, "their", "there is no agent 'their'; did you mean 'theirs'?");
}

static void one_name_in_both_places_is_refused(void **state)
{
	const struct fixture *f = *state;
	BB_AUTO_FREE char *home = put_file(f->home, "agents/a.md", "");
	BB_AUTO_FREE char *here = put_file(f->cwd, "agents/a.md", "");
	BB_AUTO_FREE char *want = bb_text_printf(
		"there are two agents 'a': '%s' and '%s'; rename one of them", home, here);
	BB_AUTO_STRV char **names = NULL;
	struct bb_err err = { 0 };

	expect_agent_error(f, "a", want);
	names = manifest_list_agents(&f->places, &err);
	assert_int_equal(bb_strv_len(names), 1);
}

static void bottles_come_from_home_only(void **state)
{
	const struct fixture *f = *state;
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;
	struct manifest_bottle *b = NULL;
	struct bb_err err = { 0 };

	lay_file(f->cwd, "bottles/wide.md", "---\nimage: base\n---\n");
	lay_file(f->cwd, "agents/a.md", "---\nbottle: wide\n---\n");
	assert_int_equal(manifest_load_agent(&f->places, "a", &a, &err), 0);
	assert_error(manifest_load_bottle_of(f->home, a, &b, &err), BB_E_USAGE, err);
	assert_non_null(strstr(err.msg, "manifest './.bot-bottle/agents/a.md':2: there is no "
					"bottle 'wide'; write "));
}

static void files_of_others_are_refused(void **state)
{
	const struct fixture *f = *state;
	BB_AUTO_FREE char *a = put_file(f->home, "agents/a.md", "");
	BB_AUTO_FREE char *dir = bb_text_printf("%s/agents", f->home);

	assert_int_equal(chmod(a, 0602), 0);
	expect_agent_error(f, "a", "a.md' can be written by everybody; run: chmod o-w '");
	assert_int_equal(chmod(a, 0620), 0);
	if (getegid() == 0 && chown(a, (uid_t)-1, 12345) == 0)
		expect_agent_error(f, "a", "a.md' can be written by a group; run: chmod g-w '");
	if (geteuid() == 0 && chmod(a, 0600) == 0 && chown(a, 12345, (gid_t)-1) == 0)
		expect_agent_error(f, "a", "a.md' belongs to another user");
	assert_int_equal(chmod(dir, 0707), 0);
	expect_agent_error(f, "a", "agents' can be written by everybody");
}

/* A repository can hold a link to anywhere; home's agents/ may be one, its files not. */
static void links_are_refused(void **state)
{
	const struct fixture *f = *state;
	BB_AUTO_FREE char *elsewhere = bb_text_printf("%s/elsewhere", f->root);
	BB_AUTO_FREE char *home = bb_text_printf("%s/agents", f->home);
	BB_AUTO_FREE char *here = bb_text_printf("%s/agents", f->cwd);
	BB_AUTO_FREE char *link = bb_text_printf("%s/l.md", elsewhere);
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;
	struct bb_err err = { 0 };

	lay_file(f->root, "elsewhere/a.md", "");
	assert_int_equal(bb_path_mkdirs(f->home, 0700, NULL), 0);
	assert_int_equal(bb_path_mkdirs(f->cwd, 0700, NULL), 0);
	assert_int_equal(symlink(elsewhere, here), 0);
	expect_agent_error(f, "a", "work/.bot-bottle/agents' is a symbolic link or no directory");
	assert_int_equal(unlink(here), 0);
	assert_int_equal(symlink(elsewhere, home), 0);
	assert_int_equal(symlink("a.md", link), 0);
	assert_int_equal(manifest_load_agent(&f->places, "a", &a, &err), 0);
	expect_agent_error(f, "l", "l.md' is a symbolic link; a manifest is a file of its own");
}

static void names_that_nobody_can_say_are_told(void **state)
{
	const struct fixture *f = *state;
	BB_AUTO_STRV char **misnamed = NULL;

	lay_file(f->home, "bottles/Bad Name.md", "");
	lay_file(f->home, "bottles/good.md", "");
	misnamed = manifest_list_misnamed(f->home, "bottles", NULL);
	assert_int_equal(bb_strv_len(misnamed), 1);
	assert_string_equal(misnamed[0], "Bad Name.md");
}

static void knows_what_looks_like_a_credential(void **state)
{
	static const char *const secrets[] = {
		"ghp_0123456789abcdef",
		"sk-ant-oat01-abc",
		"AKIAIOSFODNN7EXAMPLE",
		"eyJhbGciOi.eyJzdWIi.x",
		"https://user:pw@host/x",
		"9f86d081884c7d659a2feaa0c55ad015",
		"-----BEGIN OPENSSH PRIVATE KEY-----",
	};
	static const char *const others[] = {
		"",
		"development",
		"8080",
		"/usr/local/share/thing-0123456789-abcdef",
		"https://host.example/path?a=1:2@3",
		"a sentence with 24 or more characters",
		"1234567890123456789012345678",
		"sk-x",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(secrets); i++)
		if (!manifest_is_secret_value(secrets[i]))
			fail_msg("%s", secrets[i]);
	for (size_t i = 0; i < BB_ARRAY_LEN(others); i++)
		if (manifest_is_secret_value(others[i]))
			fail_msg("%s", others[i]);
	assert_true(manifest_is_secret_name("GH_PAT"));
	assert_true(manifest_is_secret_name("my_api_key"));
	assert_true(manifest_is_secret_name("GITHUB_TOKEN_2"));
	assert_false(manifest_is_secret_name("NODE_ENV"));
	assert_false(manifest_is_secret_name("KEYBOARD"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(agents_come_from_both_places),
		TEST(one_name_in_both_places_is_refused),
		TEST(bottles_come_from_home_only),
		TEST(files_of_others_are_refused),
		TEST(links_are_refused),
		TEST(names_that_nobody_can_say_are_told),
		cmocka_unit_test(knows_what_looks_like_a_credential),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
