/* Parts of `bot-bottle pull`: what is asked before, and what the operator's directory has by now.
 */
#ifndef BB_CLI_PULL_H
#define BB_CLI_PULL_H

#include "cli/bring.h"
#include "cli/command.h"

struct pull_choice {
	char **allow;      /* risky paths named on the command line */
	bool leaves_risky; /* the others stay in the bottle */
	bool asks_nothing; /* --yes */
};

/* Names and case: refused as a whole. */
int pull_check_names(const struct cli_bring *b, const char *dir, struct bb_err *err);
/* What of the review dir (a directory of the operator) has already is not taken; what it has
 * otherwise than it was copied is an error that names it. */
int pull_check_conflicts(const struct cli_bring *b, const char *dir, struct review *r,
			 struct bb_err *err);
/* Prints every change that is taken. */
void pull_print(const struct review *r);
/* Each taken change that a host would run: named, asked for or left. must_have: leaving one ends
 * the pull (it is in a commit). Nobody there to ask: BB_E_REFUSED with how to name it. */
int pull_ask_risky(const struct pull_choice *choice, struct review *r, bool must_have,
		   struct bb_err *err);

#endif
