/* The commands, one file each: cmd_NAME.c. */
#ifndef BB_CLI_COMMANDS_H
#define BB_CLI_COMMANDS_H

#include "cli/command.h"

extern const struct cli_command cli_start, cli_exec, cli_attach, cli_cp, cli_diff, cli_pull,
	cli_stop, cli_list, cli_logs, cli_lint, cli_info, cli_doctor, cli_image, cli_cleanup,
	cli_demo, cli_complete, cli_init, cli_edit, cli_forward, cli_resume, cli_commit;

#endif
