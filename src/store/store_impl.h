/* What the files of store/ share. */
#ifndef BB_STORE_STORE_IMPL_H
#define BB_STORE_STORE_IMPL_H

#include "store/store.h"

/* "sockets' directory/control.sock" must fit sockaddr_un with room for the longest identity. */
#define STORE_SOCKET_PATH_MAX 100
#define STORE_CONTROL_SOCKET  "control.sock"

/* state/<identity>/<name> on the heap, or NULL with err set; refuses what is no slug. */
char *store_state_path(const char *identity, const char *name, struct bb_err *err);
/* <root>/state */
char *store_states_dir(struct bb_err *err);
/* The directory that holds all run directories, made (0700) and checked: ours, no symlink, nobody
 * else may write. */
char *store_run_base(struct bb_err *err);
/* Where a bottle that has no run directory yet will have it. */
char *store_fresh_run_dir(const char *identity, struct bb_err *err);

#endif
