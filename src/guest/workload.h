/* bottle-init inside a machine that somebody else booted: what it makes of that machine. */
#ifndef BB_GUEST_WORKLOAD_H
#define BB_GUEST_WORKLOAD_H

#include <stdbool.h>

#include "base/err.h"
#include "guest/guest.h"

/* Checks that this machine can hold a bottle and makes what the agent needs: file systems, the
 * owner of its home, and without a network card the loopback network. The sentence goes to the
 * operator. */
int workload_prepare(enum guest_mode mode, struct bb_err *err);

/* Does a map as /proc/self/uid_map has it ("inside outside count" lines) know this id? */
bool workload_map_has(const char *map, unsigned long id);

/* The machine's own workload where the bottle comes in later: keeps the machine alive and reaps
 * what is left to it, until TERM or INT. */
_Noreturn void workload_idle(void);

#endif
