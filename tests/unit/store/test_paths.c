/* store/paths.c: which variable moves what. */
#include "../unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "home.h"
#include "store/store.h"
#include "store/store_impl.h"

static void expect_path(char *got, const char *below_home)
{
	char *want = bb_text_printf("%s%s", test_home, below_home);

	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
	free(want);
}

static void variables_move_the_root_and_the_caches(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	expect_path(store_root(&err), "/root");
	expect_path(store_state_dir("dev-1", &err), "/root/state/dev-1");
	expect_path(store_run_dir("dev-1", &err), "/run/bot-bottle/dev-1");
	expect_path(store_image_dir(&err), "/.cache/bot-bottle/images");
	unsetenv("BOT_BOTTLE_HOME");
	expect_path(store_root(&err), "/.bot-bottle");
	setenv("BOT_BOTTLE_HOME", test_home, 1);
	expect_path(store_root(&err), "");
	setenv("XDG_CACHE_HOME", test_home, 1);
	expect_path(store_cache_dir(&err), "/bot-bottle");
}

static void relative_roots_are_refused(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	setenv("BOT_BOTTLE_HOME", "relative/dir", 1);
	assert_null(store_root(&err));
	assert_int_equal(err.code, BB_E_USAGE);
}

static void names_that_leave_the_root_are_refused(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_null(store_state_dir("..", &err));
	assert_int_equal(err.code, BB_E_USAGE);
	assert_null(store_run_dir("a/b", &err));
}

static void a_long_runtime_directory_is_not_used_for_sockets(void **state)
{
	char *deep = bb_text_printf("%s/%0120d", test_home, 1);
	struct bb_err err = { 0 };
	char *dir;

	(void)state;
	assert_int_equal(bb_path_mkdirs(deep, 0700, &err), 0);
	setenv("XDG_RUNTIME_DIR", deep, 1);
	dir = store_run_dir("dev-1", &err);
	assert_non_null(dir);
	assert_memory_equal(dir, "/tmp/bot-bottle-", 16);
	assert_true(strlen(dir) < STORE_SOCKET_PATH_MAX);
	free(dir);
	free(deep);
}

static void a_run_directory_open_to_others_is_refused(void **state)
{
	char *base = bb_text_printf("%s/run/bot-bottle", test_home);
	struct bb_err err = { 0 };
	char *dir;

	(void)state;
	assert_int_equal(mkdir(base, 0700), 0);
	assert_int_equal(chmod(base, 0777), 0);
	assert_null(store_run_base(&err));
	assert_int_equal(err.code, -EPERM);
	assert_int_equal(rmdir(base), 0);
	assert_int_equal(symlink(test_home, base), 0);
	assert_null(store_run_base(&err));
	assert_int_equal(unlink(base), 0);
	dir = store_run_base(&err);
	assert_non_null(dir);
	free(dir);
	free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(variables_move_the_root_and_the_caches, home_setup,
						home_teardown),
		cmocka_unit_test_setup_teardown(relative_roots_are_refused, home_setup,
						home_teardown),
		cmocka_unit_test_setup_teardown(names_that_leave_the_root_are_refused, home_setup,
						home_teardown),
		cmocka_unit_test_setup_teardown(a_long_runtime_directory_is_not_used_for_sockets,
						home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(a_run_directory_open_to_others_is_refused,
						home_setup, home_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
