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

#define KEEPER_LINK_FD    3
#define KEEPER_CONSOLE_FD 4
#define KEEPER_PLAN_MAX   16384

/* Strings owned. */
struct keeper_plan {
	char *identity, *image; /* image: name, for messages */
	char *image_id;         /* content hash */
	char *oci_path;         /* the image's OCI archive */
	char *run_dir;          /* the bottle's own, 0700 */
	struct backend_resources resources;
};

int keeper_plan_encode(const struct keeper_plan *p, struct bb_buf *out);
int keeper_plan_decode(struct bb_view in, struct keeper_plan *ret, struct bb_err *err);
void keeper_plan_done(struct keeper_plan *p);

/* main() of bot-bottle-keeper: runs until the machine is gone. Exit code. */
int keeper_run(int link_fd, int console_fd);

#endif
