/*
 * One small file for each machine that may exist, locked by its keeper for the keeper's life:
 * written before `machine create`, removed after the machine is gone for sure. A file that nobody
 * holds is a machine left behind by a killed keeper; the next command removes both. It says where
 * smolvm is and with which HOME and XDG_* it was run, since another command may have others.
 */
#ifndef BB_BACKEND_SMOLMACHINES_RECORD_H
#define BB_BACKEND_SMOLMACHINES_RECORD_H

#include <stddef.h>

#include "backend/backend.h"
#include "backend/smolmachines/smolvm.h"
#include "base/err.h"

struct smol_record {
	char *path;
	int lock_fd; /* owned; -1: not held */
};

/* dir is made (0700) if missing. run_dir is there for as long as the bottle lives. -EBUSY: a living
 * keeper holds a machine of this name. */
int smol_record_hold(const char *dir, const char *machine, const struct smolvm *vm,
		     const char *run_dir, struct smol_record *ret, struct bb_err *err);
/* The machine is gone: removes the file, then lets go of the lock. */
void smol_record_drop(struct smol_record *r);
/* Lets go of the lock and leaves the file: the next command tries again. */
void smol_record_abandon(struct smol_record *r);

/* Removes the machines of records that nobody holds. Where a keeper still removes the machine of a
 * bottle that is over, waits for it, SMOL_RECORD_WAIT_MS at most. told (may be NULL) hears of each
 * machine. Returns how many are gone, or the first error when one could not be removed. */
#define SMOL_RECORD_WAIT_MS 10000
int smol_record_reap(const char *dir, backend_told *told, void *arg, struct bb_err *err);

/* Machines whose name is of ours and that have no record in dir. */
int smol_record_strays(const char *dir, const struct smolvm *vm,
		       void (*found)(void *arg, const char *machine), void *arg,
		       struct bb_err *err);

/* Where they are, on the heap; see statepath.h. */
char *smol_record_dir(struct bb_err *err);

#endif
