/* What 'resume' needs of 'start'. */
#ifndef BB_CLI_CMD_START_H
#define BB_CLI_CMD_START_H

#include "cli/config.h"

/* From a checked configuration to the bottle's end, or to what --dry-run, --yes and --detach of the
 * arguments say. The exit code. */
int cli_start_run(struct cli_config *c, const struct cli_args *args);

#endif
