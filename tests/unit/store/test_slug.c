/* store/slug.c: names that may become file names. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include "store/store.h"

static const struct {
	const char *text;
	bool is_slug;
} slugs[] = {
	{ "a", true },
	{ "dev-1", true },
	{ "a234567890123456789012345678901234567890", true },
	{ "a2345678901234567890123456789012345678901", false },
	{ "", false },
	{ "1a", false },
	{ "-a", false },
	{ "A", false },
	{ "a.b", false },
	{ "a/b", false },
	{ "..", false },
	{ "a b", false },
	{ "a\n", false },
};

static void only_plain_names_are_slugs(void **state)
{
	(void)state;
	assert_false(store_is_slug(NULL));
	for (size_t i = 0; i < sizeof(slugs) / sizeof(slugs[0]); i++)
		if (store_is_slug(slugs[i].text) != slugs[i].is_slug)
			fail_msg("'%s'", slugs[i].text);
}

static void identities_name_the_agent_and_differ(void **state)
{
	struct bb_err err = { 0 };
	char *a = store_new_identity("dev", &err), *b = store_new_identity("dev", &err);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_true(store_is_slug(a));
	assert_memory_equal(a, "dev-", 4);
	assert_int_equal(strlen(a), 9);
	assert_string_not_equal(a, b);
	free(a);
	free(b);
}

static void long_agent_names_are_shortened(void **state)
{
	struct bb_err err = { 0 };
	char *id = store_new_identity("a234567890123456789012345678901234567890", &err);

	(void)state;
	assert_non_null(id);
	assert_int_equal(strlen(id), STORE_SLUG_MAX);
	free(id);
}

static void agents_that_cannot_name_a_bottle_are_refused(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_null(store_new_identity("../x", &err));
	assert_int_equal(err.code, BB_E_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_plain_names_are_slugs),
		cmocka_unit_test(identities_name_the_agent_and_differ),
		cmocka_unit_test(long_agent_names_are_shortened),
		cmocka_unit_test(agents_that_cannot_name_a_bottle_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
