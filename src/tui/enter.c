/* What text: one line. See dialogue.h. */
#include <curses.h>
#include <string.h>

#include "tui/dialogue.h"
#include "tui/paint.h"

static const char *const help[] = {
	"Enter go on | Ctrl-U clear | Esc back | Ctrl-C quit",
	"Enter go on | Esc back",
	"Enter, Esc",
	NULL,
};

static void paint(const struct tui_entry *e, const struct tui_line *line, const char *wrong)
{
	struct tui_rows rows;
	int room = COLS - 4, from = 0;

	tui_paint_rows(LINES, &rows);
	if (rows.input < 0) /* one row: what is typed is all there is room for */
		rows.input = 0;
	if (room < 1)
		room = 1;
	if ((int)line->cursor >= room)
		from = (int)line->cursor - room + 1;
	(void)erase();
	tui_paint_head(&rows, &e->question);
	tui_paint_text(rows.input, 1, 1, ">", A_NORMAL);
	(void)attrset(line->is_prefill ? A_DIM : A_BOLD);
	(void)mvaddnstr(rows.input, 3, line->text + from, room); /* ASCII: see line.h */
	(void)attrset(A_NORMAL);
	tui_paint_help(&rows, help);
	if (wrong != NULL)
		tui_paint_message(&rows, wrong);
	else if (line->is_prefill)
		tui_paint_wrapped(rows.foot, rows.foot_rows,
				  "Enter takes it; what you type takes its place.", A_NORMAL);
	(void)move(rows.input, 3 + (int)line->cursor - from);
	(void)refresh();
}

static void edit(struct tui_line *line, enum tui_key key, char c)
{
	if (key == TUI_KEY_CHAR)
		tui_line_type(line, c);
	else if (key == TUI_KEY_ERASE)
		tui_line_erase(line);
	else if (key == TUI_KEY_DELETE)
		tui_line_delete(line);
	else if (key == TUI_KEY_CLEAR)
		tui_line_clear(line);
	else if (key == TUI_KEY_LEFT || key == TUI_KEY_RIGHT)
		tui_line_move(line, key == TUI_KEY_LEFT ? -1 : 1, false);
	else if (key == TUI_KEY_HOME || key == TUI_KEY_END)
		tui_line_move(line, key == TUI_KEY_HOME ? -1 : 1, true);
}

enum tui_answer tui_enter(struct tui_screen *s, const struct tui_entry *entry,
			  struct tui_line *line)
{
	for (;;) {
		const char *wrong =
			entry->refuse == NULL ? NULL : entry->refuse(entry->arg, line->text);
		enum tui_key key;
		char c = '\0';

		paint(entry, line, wrong);
		key = tui_screen_read(s, &c);
		if (key == TUI_KEY_BACK)
			return TUI_BACK;
		if (key == TUI_KEY_QUIT || key == TUI_KEY_GONE)
			return TUI_QUIT;
		if ((key == TUI_KEY_ENTER || key == TUI_KEY_DONE) && wrong == NULL)
			return TUI_ANSWERED;
		edit(line, key, c);
	}
}
