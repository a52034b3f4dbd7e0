/* tui/text.c: what others wrote, made fit for one place of the screen. */
#include "../unit.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tui/text.h"

static void hostile_text_becomes_one_harmless_line(void **state)
{
	static const struct {
		const char *in;
		const wchar_t *want;
	} rows[] = {
		{ "plain", L"plain" },
		{ "", L"" },
		{ "two\nlines\tand   more \n", L"two lines and more" },
		{ "\033[31mred\033[0m", L"red" },
		{ "a\033]0;title\007b", L"ab" },
		{ "\033[6n\033P1$qx\033\\y", L"y" },
		{ "caf\xc3\xa9 \xe6\xbc\xa2", L"caf\u00e9 \u6f22" },
		{ "a\xffz", L"a\ufffdz" },
		{ "a\xc2\x9bz", L"a\ufffdz" },     /* a C1 control */
		{ "a\xe2\x80\xaez", L"a\ufffdz" }, /* right-to-left override */
		{ "e\xcc\x81", L"e?" },            /* no width of its own */
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		wchar_t *got = tui_text_clean(rows[i].in);

		assert_non_null(got);
		if (wcscmp(got, rows[i].want) != 0)
			fail_msg("row %zu: '%ls'", i, got);
		for (const wchar_t *c = got; *c != L'\0'; c++)
			assert_true(wcwidth(*c) > 0);
		free(got);
	}
}

static void a_long_text_is_bounded(void **state)
{
	char *big = malloc(100001);
	wchar_t *got;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', 100000);
	big[100000] = '\0';
	got = tui_text_clean(big);
	assert_non_null(got);
	assert_true(wcslen(got) >= 1000 && wcslen(got) <= 16384);
	free(got);
	free(big);
}

static void it_fits_columns_not_characters(void **state)
{
	static const struct {
		const wchar_t *text;
		size_t width;
		bool at_word;
		size_t want, columns;
	} rows[] = {
		{ L"abc", 3, false, 3, 3 },          { L"abc", 2, false, 2, 2 },
		{ L"abc", 0, false, 0, 0 },          { L"\u6f22\u6f22", 3, false, 1, 2 },
		{ L"\u6f22\u6f22", 1, false, 0, 0 }, { L"one two", 5, true, 4, 4 },
		{ L"one two", 3, true, 3, 3 },       { L"one two", 7, true, 7, 7 },
		{ L"oneword", 3, true, 3, 3 },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		size_t columns = 99;
		size_t n = tui_text_fit(rows[i].text, rows[i].width, rows[i].at_word, &columns);

		if (n != rows[i].want || columns != rows[i].columns)
			fail_msg("row %zu: %zu characters, %zu columns", i, n, columns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_text_becomes_one_harmless_line),
		cmocka_unit_test(a_long_text_is_bounded),
		cmocka_unit_test(it_fits_columns_not_characters),
	};

	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
