/* base/relative: what leads out of a tree. */
#include "../unit.h"

#include "base/cleanup.h"
#include "base/relative.h"

static void a_plain_path_has_names_only(void **state)
{
	static const char *const good[] = { "a", "a/b", ".a/..b/c..", "...", "a b/\xff" };
	static const char *const bad[] = { "",  "/",  "/a",   "a/",   "a//b",
					   ".", "..", "a/..", "../a", "a/./b" };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(good); i++)
		assert_true(bb_relative_is_plain(good[i]));
	for (size_t i = 0; i < BB_ARRAY_LEN(bad); i++)
		assert_false(bb_relative_is_plain(bad[i]));
}

static void a_link_stays_when_dots_are_in_front_and_few(void **state)
{
	static const struct {
		const char *path, *text;
		bool stays;
	} rows[] = {
		{ "l", "a", true },
		{ "l", "a/b", true },
		{ "d/l", "../a", true },
		{ "l", "./a", true },
		{ "d/e/l", "../../a", true },
		{ "l", "", false },
		{ "l", "/a", false },
		{ "l", "..", false },
		{ "l", "../a", false },
		{ "d/l", "../../a", false },
		{ "d/l", "a/../../..", false },
		{ "l", "a/..", false },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++)
		assert_int_equal(bb_relative_link_stays(rows[i].path, rows[i].text), rows[i].stays);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_path_has_names_only),
		cmocka_unit_test(a_link_stays_when_dots_are_in_front_and_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
