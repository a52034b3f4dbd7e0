/* Writes a cpio archive in the "newc" format, which is what a Linux kernel unpacks as its
 * initramfs. */
#ifndef BB_IMAGE_CPIO_H
#define BB_IMAGE_CPIO_H

#include <stdint.h>

#include "base/buf.h"

#define CPIO_DIRECTORY 0040755u
#define CPIO_FILE      0100644u
#define CPIO_PROGRAM   0100755u
#define CPIO_CHARACTER 0020600u

/* name: relative, without a leading slash; body NULL for a directory or node; rdev: major << 8 |
 * minor of a CPIO_CHARACTER. Everything belongs to root with time 0, so that equal input gives
 * equal archives. 0 or the buffer's error. */
int cpio_put(struct bb_buf *b, const char *name, uint32_t mode, struct bb_view body, uint32_t rdev);
/* The end of the archive, once. */
int cpio_end(struct bb_buf *b);

#endif
