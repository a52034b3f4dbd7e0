/* Which of these: one, or several in order. See dialogue.h. */
#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tui/dialogue.h"
#include "tui/paint.h"

#define TEXT_MAX   4096
#define NAME_WIDTH 28 /* columns of a name, where names are no longer and the screen is wide */

/* What is known of an item, once it was asked for. */
struct known {
	char *text;
	bool may_not;
};

struct picker {
	const struct tui_pick *pick;
	struct tui_list *list;
	struct known *known;
	bool has_color;
	char message[TEXT_MAX]; /* until the next key; empty: the current item's text */
};

static const char *const one_help[] = {
	"Up/Down move | type to filter | Enter choose | Esc back | Ctrl-C quit",
	"type to filter | Enter choose | Esc back",
	"Enter choose | Esc back",
	"Enter, Esc",
	NULL,
};
static const char *const many_help[] = {
	"Space choose | < > order | type to filter | Enter go on | Esc back | Ctrl-C quit",
	"Space choose | < > order | type to filter | Enter go on | Esc back",
	"Space choose | Enter go on | Esc back",
	"Space, Enter, Esc",
	NULL,
};

static const struct known *know(struct picker *p, size_t index)
{
	static const struct known nothing = { NULL, false };
	BB_AUTO_BUF struct bb_buf text = { 0 };
	struct known *k = &p->known[index];

	if (p->pick->describe == NULL)
		return &nothing;
	if (k->text != NULL)
		return k;
	bb_buf_init(&text, TEXT_MAX);
	k->may_not = !p->pick->describe(p->pick->arg, index, &text);
	k->text = bb_buf_dup_str(&text);
	return k->text == NULL ? &nothing : k;
}

/* Columns of the names on the screen, with the gap behind them. */
static int name_width(const struct picker *p)
{
	const struct tui_list *l = p->list;
	int width = 8, limit = COLS / 2 > NAME_WIDTH ? COLS / 2 : NAME_WIDTH;

	for (size_t i = 0; i < l->rows && l->top + i < l->shown_count; i++) {
		int n = (int)strnlen(l->names[l->shown[l->top + i]], 256) + 2;

		width = n > width ? n : width;
	}
	return width > limit ? limit : width;
}

static void paint_row(struct picker *p, int row, size_t at, int names)
{
	const struct tui_list *l = p->list;
	size_t index = l->shown[at], place = tui_list_place(l, index);
	const struct known *k = know(p, index);
	bool is_current = at == l->cursor;
	chtype base = is_current ? A_REVERSE : k->may_not ? A_DIM : A_NORMAL;
	chtype color = p->has_color && p->pick->colors != NULL
			       ? (chtype)COLOR_PAIR(p->pick->colors[index])
			       : A_NORMAL;
	char mark[32] = "";
	int at_column = 2;

	if (p->pick->is_multi && place > 0)
		(void)snprintf(mark, sizeof(mark), "[%zu]", place);
	else if (p->pick->is_multi)
		(void)snprintf(mark, sizeof(mark), k->may_not ? " - " : "[ ]");
	(void)attrset((int)base);
	(void)mvhline(row, 0, ' ', COLS);
	(void)attrset(A_NORMAL);
	tui_paint_text(row, 0, 1, is_current ? ">" : " ", base);
	if (p->pick->is_multi) {
		tui_paint_text(row, at_column, 4, mark, base);
		at_column += place > 9 ? 5 : 4;
	}
	tui_paint_text(row, at_column, names, l->names[index], base | color);
	if (k->text != NULL)
		tui_paint_text(row, at_column + names, COLS - 1 - at_column - names, k->text, base);
}

static void paint_list(struct picker *p, const struct tui_rows *rows)
{
	const struct tui_list *l = p->list;
	int names = name_width(p);

	for (size_t i = 0; i < l->rows && l->top + i < l->shown_count; i++)
		paint_row(p, rows->list + (int)i, l->top + i, names);
	if (l->shown_count == 0)
		tui_paint_text(rows->list, 2, COLS - 3,
			       l->count == 0 ? "there is nothing to choose from"
					     : "nothing matches; Backspace shorten, Ctrl-U clear",
			       A_NORMAL);
}

/* Where the list stands, at the right of the filter. */
static void paint_filter(const struct picker *p, const struct tui_rows *rows)
{
	const struct tui_list *l = p->list;
	char place[64];
	int n;

	if (l->shown_count == l->count)
		n = snprintf(place, sizeof(place), "%zu/%zu", l->cursor + (l->count > 0), l->count);
	else
		n = snprintf(place, sizeof(place), "%zu/%zu of %zu",
			     l->cursor + (l->shown_count > 0), l->shown_count, l->count);
	tui_paint_text(rows->input, COLS - 1 - n, n, place, A_DIM);
	tui_paint_text(rows->input, 1, COLS - 4 - n, "Filter: ", A_NORMAL);
	tui_paint_text(rows->input, 9, COLS - 12 - n, l->filter, A_BOLD);
}

/* What was chosen, in order: "claude, dev". */
static void list_chosen(const struct picker *p, char *dst, size_t cap)
{
	const struct tui_list *l = p->list;
	size_t n = (size_t)snprintf(dst, cap, "Chosen: ");

	if (l->chosen_count == 0)
		(void)snprintf(dst, cap, "Nothing is chosen yet.");
	for (size_t i = 0; i < l->chosen_count && n < cap; i++)
		n += (size_t)snprintf(dst + n, cap - n, "%s%s", i > 0 ? ", then " : "",
				      l->names[l->chosen[i]]);
}

static void paint_foot(struct picker *p, const struct tui_rows *rows)
{
	char text[TEXT_MAX];
	size_t index;

	if (p->message[0] != '\0') {
		tui_paint_message(rows, p->message);
		return;
	}
	if (tui_list_current(p->list, &index) && know(p, index)->may_not) {
		tui_paint_wrapped(rows->foot, rows->foot_rows, know(p, index)->text, A_NORMAL);
		return;
	}
	if (p->pick->is_multi) {
		list_chosen(p, text, sizeof(text));
		tui_paint_wrapped(rows->foot, rows->foot_rows, text, A_NORMAL);
	} else if (tui_list_current(p->list, &index) && know(p, index)->text != NULL) {
		tui_paint_wrapped(rows->foot, rows->foot_rows, know(p, index)->text, A_NORMAL);
	}
}

static void paint(struct picker *p)
{
	struct tui_rows rows;

	tui_paint_rows(LINES, &rows);
	tui_list_fit(p->list, (size_t)rows.list_rows);
	(void)erase();
	tui_paint_head(&rows, &p->pick->question);
	paint_filter(p, &rows);
	paint_list(p, &rows);
	tui_paint_help(&rows, p->pick->is_multi ? many_help : one_help);
	paint_foot(p, &rows);
	if (rows.input >= 0)
		(void)move(rows.input, 9 + (int)p->list->filter_length < COLS
					       ? 9 + (int)p->list->filter_length
					       : COLS - 1);
	(void)refresh();
}

static void say(struct picker *p, const char *text)
{
	(void)snprintf(p->message, sizeof(p->message), "%s", text);
}

static void choose_current(struct picker *p)
{
	const struct known *k;
	size_t index;

	if (!tui_list_current(p->list, &index))
		return;
	k = know(p, index);
	if (k->may_not && tui_list_place(p->list, index) == 0)
		say(p, k->text);
	else
		tui_list_toggle(p->list, index);
}

/* Enter. True: that is the answer. */
static bool confirm(struct picker *p)
{
	size_t index;

	if (p->pick->is_multi) {
		if (p->list->chosen_count > 0 || p->pick->empty_text == NULL)
			return true;
		say(p, p->pick->empty_text);
		return false;
	}
	if (!tui_list_current(p->list, &index))
		return false;
	if (!know(p, index)->may_not)
		return true;
	say(p, know(p, index)->text);
	return false;
}

static void type(struct picker *p, char c)
{
	size_t index;

	if (!p->pick->is_multi || (c != ' ' && c != '<' && c != '>'))
		(void)tui_list_type(p->list, c); /* a full filter takes no more */
	else if (c == ' ')
		choose_current(p);
	else if (tui_list_current(p->list, &index))
		tui_list_shift(p->list, index, c == '<' ? -1 : 1);
}

/* True: the dialogue is over, with *ret. */
static bool take_key(struct picker *p, enum tui_key key, char c, enum tui_answer *ret)
{
	if (key != TUI_KEY_REDRAW)
		p->message[0] = '\0';
	switch (key) {
	case TUI_KEY_CHAR:
		type(p, c);
		break;
	case TUI_KEY_UP:
		tui_list_move(p->list, -1);
		break;
	case TUI_KEY_DOWN:
		tui_list_move(p->list, 1);
		break;
	case TUI_KEY_PAGE_UP:
		tui_list_page(p->list, -1);
		break;
	case TUI_KEY_PAGE_DOWN:
		tui_list_page(p->list, 1);
		break;
	case TUI_KEY_HOME:
		tui_list_first(p->list);
		break;
	case TUI_KEY_END:
		tui_list_last(p->list);
		break;
	case TUI_KEY_ERASE:
	case TUI_KEY_DELETE:
		(void)tui_list_erase(p->list); /* nothing to erase is no mistake */
		break;
	case TUI_KEY_CLEAR:
		(void)tui_list_clear(p->list);
		break;
	case TUI_KEY_DONE:
		if (!p->pick->is_multi)
			break;
		__attribute__((fallthrough));
	case TUI_KEY_ENTER:
		*ret = TUI_ANSWERED;
		return confirm(p);
	case TUI_KEY_BACK:
		*ret = TUI_BACK;
		return true;
	case TUI_KEY_QUIT:
	case TUI_KEY_GONE:
		*ret = TUI_QUIT;
		return true;
	case TUI_KEY_LEFT:
	case TUI_KEY_RIGHT:
	case TUI_KEY_REDRAW:
		break;
	}
	return false;
}

int tui_pick(struct tui_screen *s, const struct tui_pick *pick, struct tui_list *list,
	     struct bb_err *err)
{
	BB_AUTO_FREE struct picker *p = calloc(1, sizeof(*p));
	enum tui_answer answer = TUI_QUIT;
	enum tui_key key;
	char c = '\0';

	if (p == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	p->pick = pick;
	p->list = list;
	p->has_color = tui_screen_has_color(s);
	p->known = calloc(list->count + 1, sizeof(*p->known));
	if (p->known == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	do {
		paint(p);
		key = tui_screen_read(s, &c);
	} while (!take_key(p, key, c, &answer));
	for (size_t i = 0; i < list->count; i++)
		free(p->known[i].text);
	free(p->known);
	return (int)answer;
}
