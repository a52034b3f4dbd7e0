/* base/text.h: outsider bytes never reach a terminal raw. */
#include "../unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void escape_leaves_printable_ascii_only(void **state)
{
	uint8_t all[256];
	char out[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	bb_text_escape(out, sizeof(out), bb_view_of(all, sizeof(all)), sizeof(all));
	for (size_t i = 0; out[i] != '\0'; i++)
		assert_true(out[i] >= 0x20 && out[i] < 0x7f);
	assert_non_null(strstr(out, "\\x1b"));
	assert_non_null(
		strstr(out, "\\x5c")); /* the backslash itself, so that the text is unambiguous */
}

static void escape_stays_in_its_buffer(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 40; cap++) {
		char out[48];

		memset(out, 'Z', sizeof(out));
		bb_text_escape(out, cap, bb_view_str("\x1b\x1b\x1b\x1b plain text that is long"),
			       100);
		for (size_t i = cap; i < sizeof(out); i++)
			assert_int_equal(out[i], 'Z');
	}
	assert_string_equal(BB_ESCAPED(bb_view_str("ok")), "ok");
}

static void strv_grows_and_frees(void **state)
{
	char **v = NULL;

	(void)state;
	assert_int_equal(bb_strv_len(v), 0);
	assert_int_equal(bb_strv_push(&v, bb_text_printf("a%d", 1)), 0);
	assert_int_equal(bb_strv_push(&v, strdup("b")), 0);
	assert_true(bb_strv_push(&v, NULL) < 0);
	assert_int_equal(bb_strv_len(v), 2);
	assert_string_equal(v[0], "a1");
	bb_strv_free(v);
}

static void base64_is_that_of_the_rfc(void **state)
{
	static const char *const pairs[][2] = { { "", "" },
						{ "f", "Zg==" },
						{ "fo", "Zm8=" },
						{ "foo", "Zm9v" },
						{ "foob", "Zm9vYg==" },
						{ "fooba", "Zm9vYmE=" },
						{ "foobar", "Zm9vYmFy" },
						{ "\xff\xfe\xfd", "//79" } };
	char text[9];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(bb_base64(bb_view_str(pairs[i][0]), text, sizeof(text)), 0);
		assert_string_equal(text, pairs[i][1]);
	}
	assert_int_equal(bb_base64(bb_view_str("foobar"), text, 8), -EMSGSIZE);
	assert_int_equal(bb_base64(bb_view_str("foobarb"), text, sizeof(text)), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escape_leaves_printable_ascii_only),
		cmocka_unit_test(escape_stays_in_its_buffer),
		cmocka_unit_test(strv_grows_and_frees),
		cmocka_unit_test(base64_is_that_of_the_rfc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
