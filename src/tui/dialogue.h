/*
 * The two questions of a screen: which of these, and what text. The models are list.h and line.h;
 * this draws them and takes the keys. Texts may come from anybody.
 */
#ifndef BB_TUI_DIALOGUE_H
#define BB_TUI_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "tui/line.h"
#include "tui/list.h"
#include "tui/screen.h"

enum tui_answer {
	TUI_ANSWERED,
	TUI_BACK, /* Esc */
	TUI_QUIT, /* Ctrl-C, or the terminal is gone */
};

struct tui_question {
	const char *title;
	const char *about;    /* one line below it; NULL: none */
	unsigned step, steps; /* shown when steps > 1 */
};

struct tui_pick {
	struct tui_question question;
	bool is_multi;          /* any number, in order: Space chooses, Enter goes on */
	const char *empty_text; /* is_multi: why nothing chosen is no answer; NULL: it is one */
	/* What is known of an item, in one line; asked once, when it is first on the screen. May be
	 * NULL. false: it cannot be chosen, and the text says why. */
	bool (*describe)(void *arg, size_t index, struct bb_buf *text);
	void *arg;
	/* Terminal colour (1..7) of each name, or 0; NULL: none. */
	const int *colors;
};

/* The answer is list's current item, or what is chosen in it. Negative: out of memory. */
int tui_pick(struct tui_screen *s, const struct tui_pick *pick, struct tui_list *list,
	     struct bb_err *err);

struct tui_entry {
	struct tui_question question;
	/* NULL, or what is wrong with the text; asked after each key, shown, and no answer while it
	 * is there. May be NULL. The sentence lives until the next call. */
	const char *(*refuse)(void *arg, const char *text);
	void *arg;
};

/* The answer is line's text. */
enum tui_answer tui_enter(struct tui_screen *s, const struct tui_entry *entry,
			  struct tui_line *line);

#endif
