/* The namespace backend with its programs named by the caller, for tests; production code goes
 * through backend.h, which finds bottle-init beside the running program. */
#ifndef BB_BACKEND_NAMESPACE_NAMESPACE_H
#define BB_BACKEND_NAMESPACE_NAMESPACE_H

#include "backend/backend.h"
#include "backend/namespace/layout.h"
#include "sys/jail.h"

/* The jail plan of a bottle: layout, limits and descriptors of `fds` (two consoles and the stream,
 * see namespace.c) filled in; everything borrowed from plan, layout and fds. */
#define NAMESPACE_FDS 3
void namespace_jail_plan(const struct backend_plan *plan, const struct layout *layout,
			 const struct spawn_fd fds[NAMESPACE_FDS], struct jail_plan *ret);

/* backend_start() of this backend with the path of bottle-init. */
int namespace_start(const struct backend_plan *plan, const char *init_path, int stream_fd,
		    struct backend_guest **ret, struct bb_err *err);

#endif
