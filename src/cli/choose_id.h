/* Which bottle a command is about, when its line does not say. */
#ifndef BB_CLI_CHOOSE_ID_H
#define BB_CLI_CHOOSE_ID_H

#include <stdbool.h>

#include "cli/command.h"

enum cli_bottles {
	CLI_BOTTLES_LIVING,
	CLI_BOTTLES_ENDED,
};

/*
 * The identity of the bottle that the first operand names, whatever its state. Without one: of the
 * only living one, or of the one chosen on the terminal among those in that state. Heap. NULL with
 * err set: BB_E_USAGE (there is none of that name, none in that state, or no terminal: the missing
 * word is named), -EINTR at Ctrl-C, -ECANCELED at Esc.
 */
char *cli_choose_bottle(const struct cli_args *args, enum cli_bottles which, const char *question,
			struct bb_err *err);

#endif
