/* A registry on loopback that lives as long as its caller wants. Private to pack.c. */
#ifndef BB_BACKEND_SMOLMACHINES_REGISTRY_H
#define BB_BACKEND_SMOLMACHINES_REGISTRY_H

#include <stdint.h>

#include "backend/smolmachines/smolvm.h"

struct registry {
	struct spawn_child child;
	uint16_t port; /* on 127.0.0.1 */
};
#define REGISTRY_NONE                              \
	{                                          \
		.child = {.pid = -1, .pidfd = -1 } \
	}

/* The program on the PATH of vm's environment, on the heap, or NULL: not there. */
char *registry_program(const struct smolvm *vm);

/* Starts one that keeps everything below dir (which it must be able to fill), on a port that the
 * kernel chooses, and waits until it listens. It dies with this process. */
int registry_start(const struct smolvm *vm, const char *dir, struct registry *ret,
		   struct bb_err *err);
/* Ends it and waits until it is gone; harmless when there is none. */
void registry_stop(struct registry *r);

#endif
