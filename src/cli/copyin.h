/* The copy of the workspace into a new bottle: which files, what is told of them, and the copying.
 */
#ifndef BB_CLI_COPYIN_H
#define BB_CLI_COPYIN_H

#include "base/buf.h"
#include "cli/config.h"
#include "cli/control.h"

/* Lists the files of config->cwd into config->files; nothing when there is none. Runs git
 * (confined), so not for --dry-run. */
int cli_copyin_list(struct cli_config *c, struct bb_err *err);
/* What the operator should know before saying yes: comments of the page, or notes when page is
 * NULL. 0, or the page's error. */
int cli_copyin_print(const struct cli_config *c, struct bb_buf *page);
/* Copies it, with the record that diff and pull compare with. Nothing without config->cwd. */
int cli_copyin(struct cli_control *control, const struct cli_config *c, const char *identity,
	       struct bb_err *err);

#endif
