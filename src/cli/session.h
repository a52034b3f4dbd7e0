/*
 * One exec session with the guest from the operator's side: input, output, window size, signals.
 * What the guest wrote reaches a terminal only through term/; a file or pipe gets the bytes as they
 * are.
 */
#ifndef BB_CLI_SESSION_H
#define BB_CLI_SESSION_H

#include <stdbool.h>

#include "base/err.h"
#include "base/view.h"
#include "cli/control.h"

struct cli_session_plan {
	char *const *argv; /* NULL: attach to the main session */
	char *const *env;  /* NAME=value; may be NULL */
	const char *cwd;   /* NULL: the user's home */
	const char *user;  /* NULL: node */
	bool has_terminal; /* a PTY in the guest; our terminal goes raw when it is one */
	bool has_input;    /* pass standard input on */
	bool is_main;
	bool is_left_running; /* leave as soon as the process runs and has its input: _DETACHED */
	/* Given to the process in place of standard input, then end of file. */
	struct bb_view input;
};

enum cli_session_end {
	CLI_SESSION_EXITED,   /* code is the process's */
	CLI_SESSION_FAILED,   /* it could not be run: code is 125, 126 or 127, text says why */
	CLI_SESSION_LOST,     /* the stream ended early: the bottle is over or the stream was cut */
	CLI_SESSION_LEFT,     /* our terminal is gone, or the operator insisted on leaving */
	CLI_SESSION_DETACHED, /* left on purpose: is_left_running, or the keys; the process goes on
			       */
};

/* Pressed twice in a terminal's main session: leave it running. */
#define CLI_SESSION_LEAVE_KEY  0x1d
#define CLI_SESSION_LEAVE_KEYS "Ctrl-] Ctrl-]"

struct cli_session_result {
	enum cli_session_end end;
	int code;
	char text[512];
};

/* Runs it to its end. Negative: it did not begin. The terminal is restored on every way out. */
int cli_session_run(struct cli_control *control, const struct cli_session_plan *plan,
		    struct cli_session_result *ret, struct bb_err *err);

/* Is this descriptor pair good for a PTY session? */
bool cli_session_wants_terminal(void);

#endif
