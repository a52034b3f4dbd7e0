/*
 * The steps of config.c that have a file of their own. 0, or negative with the error set.
 */
#ifndef BB_CLI_CONFIG_IMPL_H
#define BB_CLI_CONFIG_IMPL_H

#include "cli/config.h"

/* A longer task goes through standard input: one frame holds all arguments. Bytes. */
#define TASK_AS_ARGUMENT 16384

int config_no_memory(struct bb_err *err);
/* Takes text, NULL: out of memory. Shown with the page. */
int config_note(struct cli_config *c, char *text, struct bb_err *err);
bool config_is_in(char *const *list, const char *s);

int config_read_task(struct cli_config *c, const struct cli_args *args, struct bb_err *err);
int config_check_task(const struct cli_config *c, const struct cli_args *args, struct bb_err *err);
int config_merge_policy(struct cli_config *c, struct bb_err *err);
int config_collect_ports(struct cli_config *c, struct bb_err *err);
int config_collect_tokens(struct cli_config *c, struct bb_err *err);
int config_build_env(struct cli_config *c, struct bb_err *err);
int config_choose_workspace(struct cli_config *c, const struct cli_args *args, struct bb_err *err);

#endif
