/*
 * The keeper: one process a bottle (bot-bottle-keeper), child of the monitor, which cannot run
 * smolvm itself once it has locked itself in. It starts the machine, holds its address and its
 * record, and removes it again: when the monitor says so or is gone, and when the machine ends.
 *
 * Messages on the link: IPC_KEEPER_* of ipc/messages.h. The keeper reads no byte of the guest.
 */
#ifndef BB_BACKEND_SMOLMACHINES_KEEPER_H
#define BB_BACKEND_SMOLMACHINES_KEEPER_H

#include <stdint.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "base/err.h"

#define KEEPER_CONSOLE_FD 4 /* beside IPC_ROLE_FD: what the machine's init says goes there */
#define KEEPER_PLAN_MAX   32768

/* What the monitor tells it. Strings owned. */
struct keeper_plan {
	char *identity;
	char *image;   /* its name */
	char *run_dir; /* the bottle's own, 0700 */
	struct backend_resources resources;
	/* Not sent: what the keeper finds for the image. */
	char *archive; /* the OCI archive; socket mode */
	char *pack;    /* what smolvm made of it; TSI mode */
};

/* out's cap is KEEPER_PLAN_MAX. */
int keeper_plan_encode(const struct keeper_plan *p, struct bb_buf *out);
int keeper_plan_decode(struct bb_view in, struct keeper_plan *ret, struct bb_err *err);
void keeper_plan_done(struct keeper_plan *p);

#define KEEPER_EXIT_LEFT 2 /* the machine could not be removed: the next command tries again */

/* main() of bot-bottle-keeper: runs until the machine is gone. Exit code. */
int keeper_run(int link_fd, int console_fd);

#endif
