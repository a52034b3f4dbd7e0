/* The jail of a namespace bottle, for tests that run a program of their own in it; production code
 * goes through backend.h. */
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

#endif
