/* The two files that `init` writes, from its answers. Pure but for the checks that read names. */
#ifndef BB_CLI_INIT_TEXT_H
#define BB_CLI_INIT_TEXT_H

#include "base/err.h"

#define CLI_INIT_SHELL "shell" /* the answer that means: no provider */

struct cli_init_answers {
	const char *agent, *bottle;
	const char *provider;     /* a name of provider_names(), or CLI_INIT_SHELL */
	const char *const *hosts; /* NULL-terminated: host patterns, or preset:NAME */
	const char *image;        /* NULL: the provider's */
	const char *prompt;       /* may be empty */
};

/* Each is checked by the parser that `start` uses, as a whole file. Heap; NULL with err set: what
 * is wrong with the answers. */
char *cli_init_bottle_text(const struct cli_init_answers *a, struct bb_err *err);
char *cli_init_agent_text(const struct cli_init_answers *a, struct bb_err *err);

/* Words of an answer, split at spaces and commas; NULL-terminated, heap; NULL: out of memory. */
char **cli_init_words(const char *answer);

#endif
