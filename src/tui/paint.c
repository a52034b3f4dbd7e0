/* See paint.h. */
#include "tui/paint.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tui/text.h"

void tui_paint_rows(int height, struct tui_rows *ret)
{
	bool is_tall = height >= 16; /* room for empty rows between the parts */
	int at = 0, end = height;

	*ret = (struct tui_rows){ .title = -1, .about = -1, .input = -1, .foot = -1, .help = -1 };
	if (height >= 3)
		ret->title = at++;
	if (height >= 9)
		ret->about = at++;
	if (is_tall)
		at++;
	if (height >= 2)
		ret->input = at++;
	if (is_tall)
		at++;
	if (height >= 5)
		ret->help = --end;
	if (height >= 7) {
		ret->foot_rows = is_tall ? 2 : 1;
		end -= ret->foot_rows;
		ret->foot = end;
		end -= is_tall ? 1 : 0;
	}
	ret->list = at;
	ret->list_rows = end > at ? end - at : 1;
}

/* n columns of clean text; the last two are ".." when there is more. */
static void put_clean(int row, int column, int width, const wchar_t *text, bool is_last)
{
	size_t columns = 0;
	size_t n = tui_text_fit(text, (size_t)width, !is_last, &columns);

	if (is_last && text[n] != L'\0' && width > 2) {
		n = tui_text_fit(text, (size_t)width - 2, false, &columns);
		(void)mvaddnwstr(row, column, text, (int)n);
		(void)mvaddstr(row, column + (int)columns, "..");
		return;
	}
	(void)mvaddnwstr(row, column, text, (int)n);
}

void tui_paint_text(int row, int column, int width, const char *text, unsigned attributes)
{
	BB_AUTO_FREE wchar_t *clean = tui_text_clean(text);

	if (row < 0 || width <= 0 || column >= COLS || clean == NULL)
		return;
	if (width > COLS - column)
		width = COLS - column;
	(void)attrset((int)attributes);
	put_clean(row, column, width, clean, true);
	(void)attrset(A_NORMAL);
}

void tui_paint_wrapped(int row, int rows, const char *text, unsigned attributes)
{
	BB_AUTO_FREE wchar_t *clean = tui_text_clean(text);
	const wchar_t *rest = clean;
	int width = COLS - 2;

	if (row < 0 || width <= 0 || clean == NULL)
		return;
	(void)attrset((int)attributes);
	for (int i = 0; i < rows && *rest != L'\0'; i++) {
		put_clean(row + i, 1, width, rest, i + 1 == rows);
		rest += tui_text_fit(rest, (size_t)width, true, NULL);
		while (*rest == L' ')
			rest++;
	}
	(void)attrset(A_NORMAL);
}

void tui_paint_head(const struct tui_rows *rows, const struct tui_question *q)
{
	char place[32] = "";
	int room = COLS - 2;

	if (q->steps > 1)
		(void)snprintf(place, sizeof(place), "%u of %u", q->step, q->steps);
	if (place[0] != '\0' && COLS > 40) {
		room = COLS - 4 - (int)strlen(place);
		tui_paint_text(rows->title, COLS - 1 - (int)strlen(place), (int)strlen(place),
			       place, A_DIM);
	}
	tui_paint_text(rows->title, 1, room, q->title, A_BOLD);
	if (q->about != NULL)
		tui_paint_text(rows->about, 1, COLS - 2, q->about, A_NORMAL);
}

void tui_paint_message(const struct tui_rows *rows, const char *text)
{
	int row = rows->help >= 0 ? rows->help : rows->title;

	if (rows->foot >= 0) {
		tui_paint_wrapped(rows->foot, rows->foot_rows, text, A_BOLD);
		return;
	}
	if (row < 0)
		row = 0;
	(void)mvhline(row, 0, ' ', COLS);
	tui_paint_text(row, 1, COLS - 2, text, A_BOLD);
}

void tui_paint_help(const struct tui_rows *rows, const char *const *lines)
{
	while (lines[1] != NULL && (int)strlen(lines[0]) > COLS - 2)
		lines++;
	tui_paint_text(rows->help, 1, COLS - 2, lines[0], A_DIM);
}
