/* What the CLI says to its operator: messages and progress on standard error, questions on
 * /dev/tty. Texts pass the terminal filter: some quote a guest. */
#ifndef BB_CLI_OUT_H
#define BB_CLI_OUT_H

#include <stdbool.h>

#include "base/err.h"

/* "bot-bottle: text". */
void cli_out_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints the error once; returns the exit code that fits it. */
int cli_out_fail(const struct bb_err *err);

/* One line that says what is waited for now; the next call replaces it on a terminal. NULL clears.
 */
void cli_out_step(const char *text);

/* y/N on /dev/tty. 1 yes, 0 no (also at an empty line or end of file), negative: no terminal. */
int cli_out_ask(const char *question, struct bb_err *err);

/* The text broken at words into lines of at most 78 bytes, each new one indented. Heap; NULL: out
 * of memory. */
char *cli_out_wrapped(const char *text, unsigned indent);

/* JSON string with quotes, everything but printable ASCII escaped. */
void cli_out_json_string(const char *s);

#endif
