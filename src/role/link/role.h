/*
 * What the process of every role has in common: the link to the monitor, its op table, the way it
 * ends. A message that breaks the table's rules, or a role that cannot go on, says why with
 * IPC_ROLE_ERROR and ends with 1; a monitor that goes away ends it with 0.
 */
#ifndef BB_ROLE_LINK_ROLE_H
#define BB_ROLE_LINK_ROLE_H

#include "base/err.h"
#include "ipc/ipc.h"
#include "loop/loop.h"

enum role_state {
	ROLE_SETUP,   /* the monitor hands out what the role works with */
	ROLE_SERVING, /* the set is locked, the sandbox too */
	ROLE_ENDING,  /* finishing what is in flight */
};
#define ROLE_NUM_STATES 3

struct role {
	struct loop *loop;
	struct link *monitor;
	const struct ipc_op *ops;
	size_t op_count;
	enum role_state state;
	void *ctx; /* handed to the ops */
};

/* Starts the process: log, sandbox_early(), loop, the link on IPC_ROLE_FD. 0, or -1 (logged). */
int role_init(struct role *r, const char *program, const struct ipc_op *ops, size_t op_count,
	      void *ctx);
/* Runs until role_stop(); returns the exit code. */
int role_run(struct role *r);
void role_done(struct role *r);

/* The monitor may be gone already: then the loop stops by itself. */
void role_tell(struct role *r, uint16_t type, struct bb_view body);
void role_stop(struct role *r, int code);
/* Tells the monitor why, and stops with 1. */
void role_fail(struct role *r, const struct bb_err *err);

#endif
