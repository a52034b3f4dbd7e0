/* The directory that --cwd copies in. */
#ifndef BB_CLI_WORKSPACE_H
#define BB_CLI_WORKSPACE_H

#include "base/err.h"

/* Resolves dir (NULL: the working directory) and refuses what must never go into a bottle: '/', the
 * home directory, anything that holds or is part of bot-bottle's own files. *ret on the heap. */
int cli_workspace_check(const char *dir, char **ret, struct bb_err *err);

#endif
