/* From a checked configuration to a bottle that serves exec, or to nothing at all. */
#ifndef BB_CLI_LAUNCH_H
#define BB_CLI_LAUNCH_H

#include "cli/config.h"

struct cli_bottle {
	char *identity;
	char *accelerator; /* what the monitor said at READY: "kvm", "shared kernel", ... */
};

/*
 * Starts the monitor, hands over plan and secrets and waits until the guest is ready. Secrets are
 * read from this process's environment and wiped there. Failure, -EINTR included, leaves nothing
 * behind. cli_signals_open() must have been called.
 */
int cli_launch(const struct cli_config *config, struct cli_bottle *ret, struct bb_err *err);
void cli_bottle_done(struct cli_bottle *b);

#endif
