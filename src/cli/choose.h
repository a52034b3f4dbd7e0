/*
 * What `start` was not told, asked on the terminal: the agent, its bottles, label and colour, the
 * backend. Nothing is decided here: the answers become operands and options, as if they had been
 * written.
 */
#ifndef BB_CLI_CHOOSE_H
#define BB_CLI_CHOOSE_H

#include "cli/command.h"

struct cli_choice {
	struct cli_args args; /* what was given, and the answers */
	char *operands[2];
	char **owned; /* strings that args borrows */
};

/*
 * Without an agent everything is asked that no option says; with one only what is still missing
 * (the bottle of an agent that names none). Nothing to ask: args is what was given. Errors:
 * BB_E_USAGE names the missing argument when there is no terminal, -EINTR at Ctrl-C, -ECANCELED at
 * Esc.
 */
int cli_choose(const struct cli_args *given, struct cli_choice *ret, struct bb_err *err);
void cli_choice_done(struct cli_choice *c);

#endif
