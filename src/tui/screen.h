/*
 * A full-screen dialogue on /dev/tty, so that standard input and output may be pipes. It is on the
 * terminal's second screen; what was there before comes back.
 *
 * The terminal is restored on every way out: the answer, Esc, Ctrl-C, SIGTERM, SIGHUP, SIGQUIT
 * (which then end the process as they would have), SIGTSTP (and drawn again at SIGCONT), and a
 * crash of this process. SIGKILL and an external SIGSTOP leave it to the shell.
 *
 * One screen at a time. Between open and close the signals above are blocked and read here; the
 * caller's own signalfd, if it has one, is not read.
 */
#ifndef BB_TUI_SCREEN_H
#define BB_TUI_SCREEN_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

struct tui_screen;

enum tui_key {
	TUI_KEY_CHAR, /* printable ASCII; what is no ASCII is dropped */
	TUI_KEY_UP,
	TUI_KEY_DOWN,
	TUI_KEY_LEFT,
	TUI_KEY_RIGHT,
	TUI_KEY_PAGE_UP,
	TUI_KEY_PAGE_DOWN,
	TUI_KEY_HOME,
	TUI_KEY_END,
	TUI_KEY_ENTER,
	TUI_KEY_ERASE,  /* Backspace */
	TUI_KEY_DELETE, /* Del */
	TUI_KEY_CLEAR,  /* Ctrl-U */
	TUI_KEY_BACK,   /* Esc */
	TUI_KEY_DONE,   /* Ctrl-D */
	TUI_KEY_QUIT,   /* Ctrl-C, or a signal that ends us and was ignored */
	TUI_KEY_REDRAW, /* another size, continued after a stop, Ctrl-L */
	TUI_KEY_GONE,   /* the terminal is no more */
};

/* Is there a terminal to ask on? */
bool tui_screen_is_there(void);
/* BB_E_MISSING: there is none, or TERM names one that cannot be drawn on. */
int tui_screen_open(struct tui_screen **ret, struct bb_err *err);
void tui_screen_close(struct tui_screen *s);
BB_DEFINE_AUTO(tui_screen, tui_screen_close)

bool tui_screen_has_color(const struct tui_screen *s);
/* Waits for a key. ret_char is set for TUI_KEY_CHAR. */
enum tui_key tui_screen_read(struct tui_screen *s, char *ret_char);

#endif
