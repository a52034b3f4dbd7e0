/*
 * Writing a guest's changes into the operator's directory: all of them or none. New content is
 * first written beside, in DIR/.bot-bottle-pull, where a full disk or Ctrl-C costs nothing; then
 * names are exchanged, with a journal, so that whatever interrupts that (also kill -9 or a power
 * cut) is undone by the next apply_recover(). Existing files are replaced, never written through;
 * no symbolic link is followed anywhere.
 */
#ifndef BB_WORKSPACE_APPLY_H
#define BB_WORKSPACE_APPLY_H

#include "workspace/git.h"
#include "workspace/review.h"

#define APPLY_DIR ".bot-bottle-pull"

/* The taken changes of r, content from `tree`, into dir. ret_count: how many. */
int apply_changes(const char *dir, const char *tree, const struct review *r,
		  workspace_wait_fn *wait, size_t *ret_count, struct bb_err *err);
/* Undoes what an interrupted apply left. 1: something was undone; 0: nothing was there. */
int apply_recover(const char *dir, struct bb_err *err);

#endif
