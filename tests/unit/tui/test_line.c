/* tui/line.c: a line that is typed. */
#include "../unit.h"

#include <string.h>

#include "base/cleanup.h"
#include "tui/line.h"

static void type(struct tui_line *l, const char *text)
{
	for (; *text != '\0'; text++)
		tui_line_type(l, *text);
}

static void the_first_key_replaces_the_prefill(void **state)
{
	struct tui_line l;

	(void)state;
	tui_line_init(&l, "implementer");
	assert_string_equal(l.text, "implementer");
	type(&l, "fix");
	assert_string_equal(l.text, "fix");
	tui_line_init(&l, "implementer");
	tui_line_erase(&l);
	assert_string_equal(l.text, "");
	tui_line_init(&l, "implementer"); /* moving takes it over */
	tui_line_move(&l, -1, false);
	type(&l, "x");
	assert_string_equal(l.text, "implementexr");
}

static void it_is_edited_anywhere(void **state)
{
	struct tui_line l;

	(void)state;
	tui_line_init(&l, NULL);
	type(&l, "abd");
	tui_line_move(&l, -1, false);
	type(&l, "c");
	assert_string_equal(l.text, "abcd");
	tui_line_move(&l, -1, true);
	tui_line_delete(&l);
	tui_line_erase(&l); /* nothing before the cursor */
	tui_line_move(&l, -1, false);
	assert_string_equal(l.text, "bcd");
	tui_line_move(&l, 1, true);
	tui_line_move(&l, 1, false);
	tui_line_delete(&l); /* nothing under it */
	tui_line_erase(&l);
	assert_string_equal(l.text, "bc");
	assert_int_equal(l.length, 2);
	assert_int_equal(l.cursor, 2);
	tui_line_clear(&l);
	assert_string_equal(l.text, "");
}

static void only_printable_ascii_gets_in_and_not_too_much(void **state)
{
	struct tui_line l;

	(void)state;
	tui_line_init(&l, "a\033[31mb");
	assert_string_equal(l.text, "");
	type(&l, "a\033\n\x7f\x80z");
	assert_string_equal(l.text, "az");
	for (int i = 0; i < 200; i++)
		tui_line_type(&l, 'y');
	assert_int_equal(l.length, TUI_LINE_MAX - 1);
	assert_int_equal(strlen(l.text), TUI_LINE_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_key_replaces_the_prefill),
		cmocka_unit_test(it_is_edited_anywhere),
		cmocka_unit_test(only_printable_ascii_gets_in_and_not_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
