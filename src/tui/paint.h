/* Rows of a dialogue that both questions have, and how they give way when the screen is small. */
#ifndef BB_TUI_PAINT_H
#define BB_TUI_PAINT_H

#include "tui/dialogue.h"

/* Row numbers; -1: no room for it. */
struct tui_rows {
	int title, about, input, list, foot, help;
	int list_rows, foot_rows;
};

void tui_paint_rows(int height, struct tui_rows *ret);

/* Attributes are ncurses'. Each writes nothing outside its row; negative rows are no-ops. */
void tui_paint_text(int row, int column, int width, const char *text, unsigned attributes);
/* Over several rows, broken at words; ".." when it does not fit. */
void tui_paint_wrapped(int row, int rows, const char *text, unsigned attributes);
void tui_paint_head(const struct tui_rows *rows, const struct tui_question *q);
/* What has to be read now: in the foot, or over another row where the screen has none. */
void tui_paint_message(const struct tui_rows *rows, const char *text);
/* The first of the NULL-terminated lines that fits. */
void tui_paint_help(const struct tui_rows *rows, const char *const *lines);

#endif
