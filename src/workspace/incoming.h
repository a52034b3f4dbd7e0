/*
 * The commits of a guest. Its .git is a tree that a guest wrote: no git of ours works in it.
 * Objects are taken out of it, file by file, into a quarantine of our own; the confined git makes
 * one pack of what the guest's HEAD needs, and that pack passes `index-pack --strict` on its way
 * into the ledger, and again into the operator's repository.
 */
#ifndef BB_WORKSPACE_INCOMING_H
#define BB_WORKSPACE_INCOMING_H

#include "workspace/ledger.h"

/* tree: the guest's working tree in the directory `staging`. ret: its HEAD, now in the ledger; ""
 * when it has no repository or no commit beyond the start. */
int incoming_commits(const struct ledger *l, const char *staging, const char *tree,
		     char ret[LEDGER_ID_MAX], struct bb_err *err);
/* The changes of every commit of id that the start does not have, as `--raw -z`. */
int incoming_raw(const struct ledger *l, const char *id, struct bb_buf *ret, struct bb_err *err);
/* Gives the operator's repository the commit and what it needs, and makes the branch, which must
 * not be there yet. Nothing else of the repository can be written meanwhile. */
int incoming_branch(const struct ledger *l, const struct repo *repo, const char *staging,
		    const char *id, const char *branch, struct bb_err *err);
/* Is it a name for a branch that is not taken? */
int incoming_check_branch(const struct ledger *l, const struct repo *repo, const char *branch,
			  struct bb_err *err);

#endif
