/* A few small files of our own as a ustar stream. Trees go through bot-bottle-archive. */
#ifndef BB_CLI_TAR_H
#define BB_CLI_TAR_H

#include "base/buf.h"

/* path is relative, under 100 bytes; its directories are added (0700) when they are new. 0, or the
 * buffer's error. */
int cli_tar_add(struct bb_buf *tar, const char *path, struct bb_view content);
int cli_tar_end(struct bb_buf *tar);

#endif
