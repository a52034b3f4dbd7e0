/* How a main session ended, in words and as an exit code. */
#ifndef BB_CLI_OUTCOME_H
#define BB_CLI_OUTCOME_H

#include "cli/control.h"
#include "cli/session.h"

/* After the session: waits for the bottle's own end, says what was kept and how to fetch it.
 * Returns the exit code. */
int cli_outcome(struct cli_control *c, const char *identity,
		const struct cli_session_result *result);
/* Once the bottle has ended: what went wrong with its workspace, and how to fetch what was kept. */
void cli_outcome_tell_workspace(const struct cli_control *c, const char *identity);

#endif
