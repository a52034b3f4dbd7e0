/*
 * What a picker knows: the items, the filter, what is under the cursor, what is chosen and in which
 * order, and which rows are on the screen. Pure: no terminal, no I/O. Names are the caller's and
 * may hold any bytes; drawing is what makes them harmless (text.h).
 *
 * Invariants: cursor < shown_count, or both are 0; the cursor is one of the rows [top, top + rows)
 * once tui_list_fit() was called; every index in `chosen` is there once.
 */
#ifndef BB_TUI_LIST_H
#define BB_TUI_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define TUI_FILTER_MAX 64

struct tui_list {
	const char *const *names; /* borrowed */
	size_t count;
	char filter[TUI_FILTER_MAX];
	size_t filter_length;
	size_t *shown; /* indexes of what matches, in the order of display */
	size_t shown_count;
	size_t cursor; /* into shown */
	size_t top;    /* first row on the screen: into shown */
	size_t rows;   /* of the screen, as the last tui_list_fit() said; at least 1 */
	size_t *chosen;
	size_t chosen_count;
};

/* Caller's memory; names stays the caller's and outlives the list. 0 or -ENOMEM. */
int tui_list_init(struct tui_list *l, const char *const *names, size_t count, struct bb_err *err);
void tui_list_done(struct tui_list *l);

/*
 * The filter: a name matches when it contains it, small and capital letters alike. Names that begin
 * with it come first, else the caller's order stays. Typing moves the cursor to the best match; an
 * emptied filter leaves it on its item.
 */
bool tui_list_type(struct tui_list *l, char c); /* false: the filter is full */
bool tui_list_erase(struct tui_list *l);        /* the last character; false: there was none */
bool tui_list_clear(struct tui_list *l);        /* all of it; false: it was empty */

void tui_list_move(struct tui_list *l, long by); /* stops at both ends */
void tui_list_page(struct tui_list *l, int by);  /* pages; one row stays in sight */
void tui_list_first(struct tui_list *l);
void tui_list_last(struct tui_list *l);
/* Puts the cursor on an item, if it is shown. */
void tui_list_go(struct tui_list *l, size_t index);
/* The window is this high: scrolls as little as brings the cursor into it, and leaves no room
 * unused. */
void tui_list_fit(struct tui_list *l, size_t rows);

/* The item under the cursor; false: nothing matches. */
bool tui_list_current(const struct tui_list *l, size_t *ret_index);

/* Chosen items keep the order in which they were chosen; a filter hides them, it does not drop
 * them. */
void tui_list_toggle(struct tui_list *l, size_t index);
/* The place of an item among the chosen, from 1; 0: it is not chosen. */
size_t tui_list_place(const struct tui_list *l, size_t index);
/* Moves a chosen item one place earlier (-1) or later (1); nothing at the ends. */
void tui_list_shift(struct tui_list *l, size_t index, int by);

#endif
