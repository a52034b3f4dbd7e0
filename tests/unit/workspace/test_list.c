/* workspace/list without git: what a plain directory gives. With git:
 * tests/integration/test_pull.py. */
#include "../unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "workspace/list.h"

static int no_wait(int fd, short events, int timeout_ms, struct bb_err *err)
{
	(void)fd;
	(void)events;
	(void)timeout_ms;
	(void)err;
	return 1;
}

static char top[] = "/tmp/bb-list-XXXXXX";

static void write_at(const char *name, const char *text)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", top, name);
	BB_AUTO_FREE char *parent = strdup(path);

	*strrchr(parent, '/') = '\0';
	assert_int_equal(bb_path_mkdirs(parent, 0755, NULL), 0);
	assert_int_equal(bb_path_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static int set_up(void **state)
{
	BB_AUTO_FREE char *fifo = NULL, *empty = NULL, *link = NULL;

	(void)state;
	assert_non_null(mkdtemp(top));
	write_at("a.txt", "12345");
	write_at("d/b.txt", "1");
	write_at("d/.env", "S=1");
	write_at(".npmrc", "save-exact=true");
	write_at("sub/.git/HEAD", "ref: refs/heads/x");
	write_at("sub/c", "1");
	write_at("tls.key", "-----BEGIN PRIVATE KEY-----");
	fifo = bb_text_printf("%s/pipe", top);
	empty = bb_text_printf("%s/empty", top);
	link = bb_text_printf("%s/link", top);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(mkdir(empty, 0755), 0);
	assert_int_equal(symlink("/etc", link), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return bb_path_remove_tree(top, NULL);
}

static bool has(const struct workspace_list *l, const char *path)
{
	struct bb_view v = bb_buf_peek(&l->paths);
	const char *name;

	while (git_next(&v, &name))
		if (strcmp(name, path) == 0)
			return true;
	return false;
}

static const char *left(const struct workspace_list *l, const char *path)
{
	for (size_t i = 0; i < l->left_count; i++)
		if (strcmp(l->left[i].path, path) == 0)
			return l->left[i].why;
	return NULL;
}

static void files_go_credentials_and_special_files_stay(void **state)
{
	BB_AUTO(workspace_list) struct workspace_list *l = NULL;
	const struct workspace_want want = { .wait = no_wait, .dir = top, .no_git = true };
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(workspace_list(&want, &l, &err), 0);
	assert_true(has(l, "a.txt") && has(l, "d/b.txt") && has(l, ".npmrc") && has(l, "sub/c"));
	assert_true(has(l, "link"));
	assert_false(has(l, "link/passwd"));
	assert_false(has(l, "d/.env") || has(l, "tls.key") || has(l, "pipe") ||
		     has(l, "sub/.git/HEAD"));
	assert_non_null(left(l, "d/.env"));
	assert_non_null(left(l, "tls.key"));
	assert_non_null(left(l, "pipe"));
	assert_non_null(left(l, "sub/.git"));
	assert_int_equal(l->left_count, 4);
	assert_int_equal(l->count, 5);
	assert_int_equal(bb_strv_len(l->empty_dirs), 1);
	assert_string_equal(l->empty_dirs[0], "empty");
	assert_null(l->taken);
}

static void what_is_named_goes_along_and_is_told(void **state)
{
	BB_AUTO(workspace_list) struct workspace_list *l = NULL;
	char *include[] = { (char[]){ "d" }, (char[]){ "tls.key" }, NULL };
	const struct workspace_want want = {
		.wait = no_wait, .dir = top, .include = include, .no_git = true
	};
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(workspace_list(&want, &l, &err), 0);
	assert_true(has(l, "d/.env") && has(l, "tls.key"));
	assert_int_equal(bb_strv_len(l->taken), 2);
}

static void what_is_named_has_to_be_inside_and_there(void **state)
{
	static const char *const bad[] = { "../x", "/etc/passwd", "a/../..", ".", "" };
	struct bb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(bad); i++) {
		BB_AUTO(workspace_list) struct workspace_list *l = NULL;
		BB_AUTO_FREE char *name = strdup(bad[i]);
		char *include[] = { name, NULL };
		const struct workspace_want want = {
			.wait = no_wait, .dir = top, .include = include, .no_git = true
		};

		assert_error(workspace_list(&want, &l, &err), BB_E_USAGE, err);
	}
	for (size_t i = 0; i < 2; i++) {
		BB_AUTO(workspace_list) struct workspace_list *l = NULL;
		char *include[] = { i == 0 ? (char[]){ "nowhere" } : (char[]){ "link/passwd" },
				    NULL };
		const struct workspace_want want = {
			.wait = no_wait, .dir = top, .include = include, .no_git = true
		};

		assert_true(workspace_list(&want, &l, &err) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_go_credentials_and_special_files_stay),
		cmocka_unit_test(what_is_named_goes_along_and_is_told),
		cmocka_unit_test(what_is_named_has_to_be_inside_and_there),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
