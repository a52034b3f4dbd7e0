/* Unpacking an archive below a directory. */
#ifndef BB_GUEST_UNPACK_H
#define BB_GUEST_UNPACK_H

#include "base/err.h"
#include "guest/tar.h"

/* root_fd: the directory (borrowed). Runs in a child with the rights of the user the files are for.
 * Stops at the first thing it refuses; what was unpacked before stays. */
int unpack(int root_fd, tar_read_cb *read, void *arg, struct bb_err *err);

#endif
