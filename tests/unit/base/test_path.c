/* base/path.h: our own files, in a directory of the test's own. */
#include "../unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

static int make_dir(void **state)
{
	char template[] = "/tmp/bb-path-XXXXXX";

	*state = mkdtemp(template) == NULL ? NULL : strdup(template);
	return *state == NULL;
}

static int remove_dir(void **state)
{
	int r = bb_path_remove_tree(*state, NULL);

	free(*state);
	return r;
}

static char *below(void **state, const char *name)
{
	return bb_text_printf("%s/%s", (const char *)*state, name);
}

static void write_atomic_replaces_and_read_is_bounded(void **state)
{
	BB_AUTO_FREE char *path = below(state, "file");
	struct bb_err err = { 0 };
	struct bb_buf b;

	assert_int_equal(bb_path_write_atomic(path, "old", 3, 0600, &err), 0);
	assert_int_equal(bb_path_write_atomic(path, "newer", 5, 0600, &err), 0);
	bb_buf_init(&b, 5);
	assert_int_equal(bb_path_read(path, 1, &b, &err), 0);
	assert_true(bb_view_eq_str(bb_buf_peek(&b), "newer"));
	bb_buf_done(&b);
	bb_buf_init(&b, 4);
	assert_error(bb_path_read(path, 1, &b, &err), -EMSGSIZE, err);
	bb_buf_done(&b);
}

static void write_new_replaces_nothing(void **state)
{
	BB_AUTO_FREE char *dir = below(state, "fresh");
	BB_AUTO_FREE char *path = below(state, "fresh/new");
	BB_AUTO_FREE char *link = below(state, "fresh/link");
	struct bb_err err = { 0 };
	BB_AUTO_BUF struct bb_buf b = { 0 };

	bb_buf_init(&b, 64);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(bb_path_write_new(path, "one", 3, 0600, &err), 0);
	assert_error(bb_path_write_new(path, "two", 3, 0600, &err), -EEXIST, err);
	assert_int_equal(bb_path_read(path, 1, &b, &err), 0);
	assert_memory_equal(bb_buf_peek(&b).p, "one", 3);
	/* A name that is a link which leads nowhere is taken, too. */
	assert_int_equal(symlink("nowhere", link), 0);
	assert_error(bb_path_write_new(link, "two", 3, 0600, &err), -EEXIST, err);
	/* No temporary file stays beside them. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void read_refuses_links_and_directories(void **state)
{
	BB_AUTO_FREE char *link = below(state, "link");
	struct bb_err err = { 0 };
	struct bb_buf b;

	bb_buf_init(&b, 4096);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_error(bb_path_read(link, 1, &b, &err), -ELOOP, err);
	assert_error(bb_path_read(*state, 1, &b, &err), -EINVAL, err);
	bb_buf_done(&b);
}

static void remove_tree_does_not_follow_links(void **state)
{
	BB_AUTO_FREE char *outside = below(state, "outside");
	BB_AUTO_FREE char *inner = below(state, "tree/a/b");
	BB_AUTO_FREE char *link = below(state, "tree/a/link");
	BB_AUTO_FREE char *tree = below(state, "tree");
	struct bb_err err = { 0 };
	struct stat st;

	assert_int_equal(bb_path_mkdirs(inner, 0700, &err), 0);
	assert_int_equal(bb_path_mkdirs(inner, 0700, &err), 0);
	assert_int_equal(bb_path_write_atomic(outside, "x", 1, 0600, &err), 0);
	assert_int_equal(symlink("../../outside", link), 0);
	assert_int_equal(bb_path_remove_tree(tree, &err), 0);
	assert_int_equal(lstat(tree, &st), -1);
	assert_int_equal(lstat(outside, &st), 0);
	assert_int_equal(bb_path_remove_tree(tree, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_new_replaces_nothing),
		cmocka_unit_test(write_atomic_replaces_and_read_is_bounded),
		cmocka_unit_test(read_refuses_links_and_directories),
		cmocka_unit_test(remove_tree_does_not_follow_links),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
