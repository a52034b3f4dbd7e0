/* Unpacking an archive below a directory. */
#ifndef BB_GUEST_UNPACK_H
#define BB_GUEST_UNPACK_H

#include "base/err.h"
#include "guest/tar.h"

/* root_fd: the directory (borrowed). Runs in a child with the rights of the user the files are for.
 * Stops at the first thing it refuses; what was unpacked before stays. */
int unpack(int root_fd, tar_read_cb *read, void *arg, struct bb_err *err);
/* The same for a layer (mux/proto.h, FILE_FLAG_LAYER): owners where this process may give files
 * away, set-id bits, removals; what is in the way gives way, directories too. */
int unpack_layer(int root_fd, tar_read_cb *read, void *arg, struct bb_err *err);
/* Removes what is in a directory. 0 or -errno. */
int unpack_empty(int dir_fd);

#endif
