/* tui/list.c: filter, order, scrolling, choice. */
#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tui/list.h"

static const char *const names[] = { "alpha", "beta", "claude", "claude-dev", "dev", "Zeta" };

static struct tui_list list_of(const char *const *of, size_t count)
{
	struct tui_list l;
	struct bb_err err = { 0 };

	assert_int_equal(tui_list_init(&l, of, count, &err), 0);
	return l;
}

/* What is shown, "a b c", the cursor's in brackets. */
static const char *shown(const struct tui_list *l)
{
	static char text[512];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < l->shown_count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s%s", i > 0 ? " " : "",
				      i == l->cursor ? "[" : "", l->names[l->shown[i]],
				      i == l->cursor ? "]" : "");
	return text;
}

static void type(struct tui_list *l, const char *text)
{
	for (; *text != '\0'; text++)
		assert_true(tui_list_type(l, *text));
}

static void the_filter_finds_and_puts_beginnings_first(void **state)
{
	static const struct {
		const char *filter, *want;
	} rows[] = {
		{ "", "[alpha] beta claude claude-dev dev Zeta" },
		{ "d", "[dev] claude claude-dev" },
		{ "dev", "[dev] claude-dev" },
		{ "DEV", "[dev] claude-dev" },
		{ "eta", "[beta] Zeta" },
		{ "z", "[Zeta]" },
		{ "-", "[claude-dev]" },
		{ "claude-dev", "[claude-dev]" },
		{ "claude-devx", "" },
		{ "\\", "" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		struct tui_list l = list_of(names, BB_ARRAY_LEN(names));

		type(&l, rows[i].filter);
		assert_string_equal(shown(&l), rows[i].want);
		tui_list_done(&l);
	}
}

static void an_emptied_filter_stays_on_its_item(void **state)
{
	struct tui_list l = list_of(names, BB_ARRAY_LEN(names));

	(void)state;
	type(&l, "eta");
	tui_list_move(&l, 1);
	assert_string_equal(shown(&l), "beta [Zeta]");
	assert_true(tui_list_clear(&l));
	assert_string_equal(shown(&l), "alpha beta claude claude-dev dev [Zeta]");
	assert_false(tui_list_clear(&l));
	assert_false(tui_list_erase(&l));
	type(&l, "no");
	assert_string_equal(shown(&l), "");
	assert_true(tui_list_erase(&l));
	assert_true(tui_list_erase(&l));
	assert_string_equal(shown(&l), "[alpha] beta claude claude-dev dev Zeta");
	tui_list_done(&l);
}

static void a_filter_has_an_end(void **state)
{
	struct tui_list l = list_of(names, BB_ARRAY_LEN(names));

	(void)state;
	for (int i = 0; i < TUI_FILTER_MAX - 1; i++)
		assert_true(tui_list_type(&l, 'a'));
	assert_false(tui_list_type(&l, 'a'));
	assert_int_equal(strlen(l.filter), TUI_FILTER_MAX - 1);
	tui_list_done(&l);
}

static void the_cursor_stops_at_both_ends(void **state)
{
	struct tui_list l = list_of(names, BB_ARRAY_LEN(names));
	struct tui_list empty = list_of(names, 0);
	size_t index = 99;

	(void)state;
	tui_list_move(&l, -1);
	assert_int_equal(l.cursor, 0);
	tui_list_move(&l, 100);
	assert_int_equal(l.cursor, 5);
	tui_list_move(&l, -2);
	assert_int_equal(l.cursor, 3);
	tui_list_last(&l);
	assert_int_equal(l.cursor, 5);
	tui_list_first(&l);
	assert_int_equal(l.cursor, 0);
	tui_list_go(&l, 4);
	assert_true(tui_list_current(&l, &index));
	assert_int_equal(index, 4);
	for (int by = -1; by <= 1; by++) {
		tui_list_move(&empty, by);
		tui_list_page(&empty, by);
	}
	tui_list_last(&empty);
	assert_false(tui_list_current(&empty, &index));
	assert_int_equal(index, 4);
	tui_list_done(&l);
	tui_list_done(&empty);
}

static void chosen_items_keep_their_order(void **state)
{
	struct tui_list l = list_of(names, BB_ARRAY_LEN(names));

	(void)state;
	tui_list_toggle(&l, 4);
	tui_list_toggle(&l, 0);
	tui_list_toggle(&l, 2);
	assert_int_equal(tui_list_place(&l, 4), 1);
	assert_int_equal(tui_list_place(&l, 0), 2);
	assert_int_equal(tui_list_place(&l, 2), 3);
	assert_int_equal(tui_list_place(&l, 1), 0);
	tui_list_shift(&l, 2, -1); /* 4 2 0 */
	assert_int_equal(tui_list_place(&l, 2), 2);
	assert_int_equal(tui_list_place(&l, 0), 3);
	tui_list_shift(&l, 4, -1); /* first already */
	tui_list_shift(&l, 0, 1);  /* last already */
	tui_list_shift(&l, 1, 1);  /* not chosen */
	assert_int_equal(l.chosen_count, 3);
	tui_list_shift(&l, 4, 1); /* 2 4 0 */
	assert_int_equal(tui_list_place(&l, 4), 2);
	tui_list_toggle(&l, 4); /* 2 0 */
	assert_int_equal(tui_list_place(&l, 4), 0);
	assert_int_equal(tui_list_place(&l, 0), 2);
	type(&l, "zeta"); /* a filter hides what is chosen and keeps it */
	assert_int_equal(l.chosen_count, 2);
	tui_list_done(&l);
}

/* The window against a plain restatement of what it promises, over random keys and sizes. */
static void the_cursor_is_always_in_sight(void **state)
{
	static const char letters[] = "aeldv-";
	unsigned seed = 20261125;
	char *many[200];
	struct tui_list l;

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(many); i++) {
		many[i] = malloc(16);
		assert_non_null(many[i]);
		(void)snprintf(many[i], 16, "%s-%zu", names[i % 5], i);
	}
	l = list_of((const char *const *)many, BB_ARRAY_LEN(many));
	for (int i = 0; i < 20000; i++) {
		unsigned dice = (unsigned)rand_r(&seed);

		switch (dice % 8) {
		case 0:
			(void)tui_list_type(&l, letters[dice / 8 % 6]);
			break;
		case 1:
			(void)tui_list_erase(&l);
			break;
		case 2:
			tui_list_fit(&l, dice / 8 % 60); /* 0 counts as 1 */
			break;
		case 3:
			tui_list_page(&l, dice / 8 % 2 == 0 ? 1 : -1);
			break;
		case 4:
			tui_list_toggle(&l, dice / 8 % 200);
			break;
		case 5:
			if (dice / 8 % 20 == 0)
				(void)tui_list_clear(&l);
			break;
		default:
			tui_list_move(&l, (long)(dice / 8 % 7) - 3);
		}
		assert_true(l.rows >= 1);
		assert_true(l.shown_count == 0 ? l.cursor == 0 : l.cursor < l.shown_count);
		assert_true(l.cursor >= l.top && l.cursor < l.top + l.rows);
		/* No empty row below while there are items above. */
		assert_true(l.top == 0 || l.top + l.rows <= l.shown_count);
		assert_true(l.chosen_count <= l.count);
	}
	tui_list_done(&l);
	for (size_t i = 0; i < BB_ARRAY_LEN(many); i++)
		free(many[i]);
}

static void scrolling_is_as_little_as_possible(void **state)
{
	struct tui_list l = list_of(names, BB_ARRAY_LEN(names));

	(void)state;
	tui_list_fit(&l, 3);
	tui_list_move(&l, 2);
	assert_int_equal(l.top, 0);
	tui_list_move(&l, 1);
	assert_int_equal(l.top, 1);
	tui_list_move(&l, -2);
	assert_int_equal(l.top, 1);
	tui_list_page(&l, 1);
	assert_int_equal(l.cursor, 3);
	tui_list_last(&l);
	assert_int_equal(l.top, 3);
	tui_list_fit(&l, 5); /* a larger window: no room is left unused */
	assert_int_equal(l.top, 1);
	tui_list_fit(&l, 50);
	assert_int_equal(l.top, 0);
	tui_list_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_filter_finds_and_puts_beginnings_first),
		cmocka_unit_test(an_emptied_filter_stays_on_its_item),
		cmocka_unit_test(a_filter_has_an_end),
		cmocka_unit_test(the_cursor_stops_at_both_ends),
		cmocka_unit_test(chosen_items_keep_their_order),
		cmocka_unit_test(the_cursor_is_always_in_sight),
		cmocka_unit_test(scrolling_is_as_little_as_possible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
