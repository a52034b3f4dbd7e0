/*
 * One line of ASCII that is being typed, with a prefill that the first typed character replaces.
 * Pure. Only printable ASCII gets in.
 */
#ifndef BB_TUI_LINE_H
#define BB_TUI_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define TUI_LINE_MAX 80 /* with the NUL */

struct tui_line {
	char text[TUI_LINE_MAX];
	size_t length, cursor; /* cursor <= length */
	bool is_prefill;       /* untouched: typing begins anew */
};

/* prefill: cut when it is too long, dropped when it is not printable ASCII; NULL: empty. */
void tui_line_init(struct tui_line *l, const char *prefill);
void tui_line_type(struct tui_line *l, char c);
void tui_line_erase(struct tui_line *l);  /* before the cursor; an untouched prefill as a whole */
void tui_line_delete(struct tui_line *l); /* under the cursor */
void tui_line_clear(struct tui_line *l);
/* by: -1 or 1; far: to the end on that side. The prefill is taken over for editing. */
void tui_line_move(struct tui_line *l, int by, bool far);

#endif
