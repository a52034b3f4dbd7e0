/* What 'start' needs of 'image'. */
#ifndef BB_CLI_CMD_IMAGE_H
#define BB_CLI_CMD_IMAGE_H

#include <stdbool.h>

#include "base/err.h"

/* Makes the archive form of a built image where it is missing (or force), with a bar on standard
 * error. */
int cli_image_pack(const char *name, bool force, struct bb_err *err);

#endif
