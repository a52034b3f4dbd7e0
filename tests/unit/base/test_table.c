/* base/table.h: names and hints. */
#include "../unit.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/table.h"

static const char *const names[] = { "env", "egress", "agent_provider", "image" };

static void index_finds_exact_names_only(void **state)
{
	(void)state;
	assert_int_equal(bb_table_index(names, BB_ARRAY_LEN(names), bb_view_str("egress")), 1);
	assert_int_equal(bb_table_index(names, BB_ARRAY_LEN(names), bb_view_str("Egress")),
			 -EINVAL);
	assert_int_equal(bb_table_index(names, BB_ARRAY_LEN(names), bb_view_str("egres")), -EINVAL);
}

static void suggest_finds_the_nearest_or_nothing(void **state)
{
	static const struct {
		const char *word, *want;
	} cases[] = {
		{ "egres", "egress" },
		{ "EGRESS", "egress" },
		{ "agent-provider", "agent_provider" },
		{ "imgae", "image" },
		{ "zzzzzz", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		const char *got =
			bb_table_suggest(names, BB_ARRAY_LEN(names), bb_view_str(cases[i].word));

		if (cases[i].want == NULL)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_finds_exact_names_only),
		cmocka_unit_test(suggest_finds_the_nearest_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
