/* http/query.c: credentials in a query, found and taken out. */
#include "../unit.h"

#include "base/cleanup.h"
#include "http/query.h"

static void credentials_in_a_query_are_found(void **state)
{
	static const char *const yes[] = { "api_key=1", "a=1&apikey=2", "access_token",
					   "a;key=1",   "api%5Fkey=1",  "KEY=1",
					   "%6Bey=1",   "a=&token=x" };
	static const char *const no[] = { "",         "beta=true", "keyword=x", "a=api_key",
					  "monkey=1", "tokens=1",  "&&=",       "%" };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(yes); i++)
		if (!http_has_credential_query(bb_view_str(yes[i]), NULL))
			fail_msg("'%s' passes", yes[i]);
	for (size_t i = 0; i < BB_ARRAY_LEN(no); i++)
		if (http_has_credential_query(bb_view_str(no[i]), NULL))
			fail_msg("'%s' is taken for a credential", no[i]);
}

static void the_parameter_that_is_ours_does_not_count(void **state)
{
	(void)state;
	assert_false(http_has_credential_query(bb_view_str("key=placeholder&a=1"), "key"));
	assert_false(http_has_credential_query(bb_view_str("KEY=placeholder"), "key"));
	assert_true(http_has_credential_query(bb_view_str("key=placeholder&token=x"), "key"));
	assert_true(http_has_credential_query(bb_view_str("api_key=x"), "key"));
}

static void a_parameter_is_taken_out_in_all_its_spellings(void **state)
{
	static const struct {
		const char *query, *want;
	} table[] = {
		{ "", "" },
		{ "a=1", "?a=1" },
		{ "key=x", "" },
		{ "a=1&key=x&b=2", "?a=1&b=2" },
		{ "key=x&a=1;b=2", "?a=1;b=2" },
		{ "a=1;key=x;b=2&c", "?a=1;b=2&c" },
		{ "key=x&key=y&KEY=z&k%65y=w&+key=v&key[]=u&key", "" },
		{ "keys=1&monkey=2", "?keys=1&monkey=2" },
		{ "a=key", "?a=key" },
		{ "a&&b", "?a&&b" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		BB_AUTO_BUF struct bb_buf out = { 0 };

		bb_buf_init(&out, 256);
		assert_int_equal(http_put_query_without(&out, bb_view_str(table[i].query), "key"),
				 0);
		if (!bb_view_eq_str(bb_buf_peek(&out), table[i].want))
			fail_msg("'%s' -> '%.*s'", table[i].query, BB_VIEW_ARG(bb_buf_peek(&out)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_in_a_query_are_found),
		cmocka_unit_test(the_parameter_that_is_ours_does_not_count),
		cmocka_unit_test(a_parameter_is_taken_out_in_all_its_spellings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
