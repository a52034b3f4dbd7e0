/* Questions that are answered with a line, on /dev/tty: they work on every terminal, and standard
 * input and output may be pipes. */
#ifndef BB_CLI_QUESTIONS_H
#define BB_CLI_QUESTIONS_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

struct cli_questions;

/* BB_E_MISSING: there is no terminal. */
int cli_questions_open(struct cli_questions **ret, struct bb_err *err);
void cli_questions_close(struct cli_questions *q);
BB_DEFINE_AUTO(cli_questions, cli_questions_close)

/* Says something between two questions. Filtered. */
void cli_questions_say(struct cli_questions *q, const char *text);
/*
 * Asks until the answer passes: an empty one stands for fallback (shown; NULL: an empty answer is
 * one); check (may be NULL) says 0, or negative with the reason, which is shown, and the question
 * comes again. *ret on the heap, white space at both ends removed. -ECANCELED at the end of input
 * (Ctrl-D).
 */
int cli_questions_ask(struct cli_questions *q, const char *question, const char *fallback,
		      int (*check)(void *arg, const char *answer, struct bb_err *err), void *arg,
		      char **ret, struct bb_err *err);

#endif
