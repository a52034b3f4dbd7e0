/*
 * Each limit of a bottle is hit by a program that wants more, and the host is none the worse: the
 * program is inside, the limit is small, and the twin shows that below the limit it gets what it
 * asks for. cgroup limits where this user may make groups, else rlimits: the tests hold for both.
 */
#include "arena.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define MIB (1ULL << 20)

/* The probe with up to three words; its output and exit code. */
static int greed(const struct jail_limits *limits, uint64_t disk, const char *const words[3],
		 struct bb_buf *out)
{
	char *argv[5] = { (char *)(uintptr_t) "probe" };
	struct arena_run run = { .limits = *limits, .disk = disk, .argv = argv };

	for (size_t i = 0; i < 3 && words[i] != NULL; i++)
		argv[i + 1] = (char *)(uintptr_t)words[i];
	bb_buf_init(out, ARENA_OUTPUT_MAX);
	return arena_finish(&run, out);
}

static void fork_bomb_is_bounded(void **state)
{
	const char *const words[3] = { "fork", "500" };
	const struct jail_limits few = { .pids = 20 }, many = { .pids = 600 };
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_BUF struct bb_buf twin = { 0 };

	(void)state;
	assert_int_equal(greed(&few, 0, words, &out), 0);
	assert_in_range(arena_number(&out, "count"), 10, 20);
	assert_int_equal(greed(&many, 0, words, &twin), 0);
	assert_int_equal(arena_number(&twin, "count"), 500);
}

static void memory_hog_does_not_get_it(void **state)
{
	const char *const words[3] = { "memory", "200" };
	const struct jail_limits little = { .memory = 64 * MIB }, much = { .memory = 512 * MIB };
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_BUF struct bb_buf twin = { 0 };
	int code;

	(void)state;
	/* Killed by the cgroup, or refused by the rlimit at about 64. */
	code = greed(&little, 0, words, &out);
	if (code == 0)
		assert_in_range(arena_number(&out, "count"), 32, 64);
	else
		assert_int_equal(code, 128 + 9);
	assert_int_equal(greed(&much, 0, words, &twin), 0);
	assert_int_equal(arena_number(&twin, "count"), 200);
}

/* The home gets 10 of 16 parts of the disk. */
static void full_disk_says_enospc(void **state)
{
	const char *const words[3] = { "file", "100", "/home/node/big" };
	const struct jail_limits none = { 0 };
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_BUF struct bb_buf twin = { 0 };

	(void)state;
	assert_int_equal(greed(&none, 32 * MIB, words, &out), 0);
	assert_int_equal(arena_number(&out, "errno"), ENOSPC);
	assert_in_range(arena_number(&out, "count"), 18, 20);
	assert_int_equal(greed(&none, 512 * MIB, words, &twin), 0);
	assert_int_equal(arena_number(&twin, "count"), 100);
}

static void files_without_content_run_out_too(void **state)
{
	const char *const words[3] = { "files", "20000", "/tmp" };
	const struct jail_limits none = { 0 };
	BB_AUTO_BUF struct bb_buf out = { 0 };

	(void)state;
	assert_int_equal(greed(&none, 32 * MIB, words, &out), 0);
	assert_int_equal(arena_number(&out, "errno"), ENOSPC);
	assert_in_range(arena_number(&out, "count"), 1000, 5000);
}

static void small_files_of_etc_cannot_grow_without_end(void **state)
{
	const char *const words[3] = { "file", "100", "/etc/hosts" };
	const struct jail_limits none = { 0 };
	BB_AUTO_BUF struct bb_buf out = { 0 };

	(void)state;
	assert_int_equal(greed(&none, 512 * MIB, words, &out), 0);
	assert_int_equal(arena_number(&out, "errno"), ENOSPC);
	assert_in_range(arena_number(&out, "count"), 8, 16);
}

static void file_size_is_limited(void **state)
{
	const char *const words[3] = { "file", "20", "/home/node/big" };
	const struct jail_limits small = { .file_size = 4 * MIB }, none = { 0 };
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_BUF struct bb_buf twin = { 0 };

	(void)state;
	assert_int_equal(greed(&small, 0, words, &out), 0);
	assert_int_equal(arena_number(&out, "errno"), EFBIG);
	assert_int_equal(arena_number(&out, "count"), 4);
	assert_int_equal(greed(&none, 0, words, &twin), 0);
	assert_int_equal(arena_number(&twin, "count"), 20);
}

static void open_files_are_limited(void **state)
{
	const char *const words[3] = { "open", "500" };
	const struct jail_limits few = { .open_files = 64 }, many = { .open_files = 600 };
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_BUF struct bb_buf twin = { 0 };

	(void)state;
	assert_int_equal(greed(&few, 0, words, &out), 0);
	assert_int_equal(arena_number(&out, "count"), 60);
	assert_int_equal(greed(&many, 0, words, &twin), 0);
	assert_int_equal(arena_number(&twin, "count"), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fork_bomb_is_bounded),
		cmocka_unit_test(memory_hog_does_not_get_it),
		cmocka_unit_test(full_disk_says_enospc),
		cmocka_unit_test(files_without_content_run_out_too),
		cmocka_unit_test(small_files_of_etc_cannot_grow_without_end),
		cmocka_unit_test(file_size_is_limited),
		cmocka_unit_test(open_files_are_limited),
	};

	return cmocka_run_group_tests_name("escape-limits", tests, NULL, NULL);
}
