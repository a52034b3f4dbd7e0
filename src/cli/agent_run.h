/* From a bottle that serves exec to its agent's end: what 'start' and 'resume' share. */
#ifndef BB_CLI_AGENT_RUN_H
#define BB_CLI_AGENT_RUN_H

#include "cli/launch.h"

/* Puts the agent's files and the workspace into the bottle, runs its main session, and says how it
 * ended; with c->is_detached it leaves as soon as the agent runs. The exit code. What goes wrong
 * before the agent runs ends the bottle. */
int cli_agent_run(const struct cli_config *c, const struct cli_bottle *b);

#endif
