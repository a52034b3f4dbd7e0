/* Every command, in the order in which help lists them. */
#include "cli/commands.h"

#include <stddef.h>

const struct cli_command *const cli_commands[] = {
	&cli_start,   &cli_resume,  &cli_attach,   &cli_exec, &cli_cp,    &cli_diff,
	&cli_pull,    &cli_forward, &cli_commit,   &cli_stop, &cli_list,  &cli_logs,
	&cli_info,    &cli_lint,    &cli_init,     &cli_edit, &cli_image, &cli_doctor,
	&cli_cleanup, &cli_demo,    &cli_complete, NULL,
};
