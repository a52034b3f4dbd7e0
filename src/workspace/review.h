/*
 * What a guest changed, judged path by path before anything of it touches the operator's files.
 * Pure: reads what git printed. Refused are names that mean something else on a host than in a
 * guest; risky is what a host would run (risky.h), a new executable bit, a symbolic link.
 */
#ifndef BB_WORKSPACE_REVIEW_H
#define BB_WORKSPACE_REVIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/view.h"

#define REVIEW_ID_MAX 65

struct review_change {
	char *path;
	char status;                 /* A, M, D, T as git's --raw */
	unsigned old_mode, new_mode; /* 0: absent; 0100644, 0100755, 0120000 */
	char old_id[REVIEW_ID_MAX], new_id[REVIEW_ID_MAX];
	struct bb_view risk; /* who runs it; empty: nobody known */
	bool is_taken;       /* still to be brought over */
};

struct review {
	struct review_change *changes;
	size_t count;
};

/* Reads `git diff-tree --raw -z --no-renames`, also several after each other (`git log`): then a
 * path may come more than once. Every change is_taken. */
int review_read(struct bb_view raw, struct review *ret, struct bb_err *err);
void review_done(struct review *r);

/* 0, or a sentence about the first name that is refused. dir_length: bytes of the path of the
 * directory they are for. */
int review_check_names(const struct review *r, size_t dir_length, struct bb_err *err);
/* after, before: NUL-terminated paths of both trees, sorted as git sorts them or not. Refused: two
 * paths that differ in case only, unless both were there before. */
int review_check_case(struct bb_view after, struct bb_view before, struct bb_err *err);
/* Sets risk on each change. */
void review_judge(struct review *r);
/* The changes that are taken, as lines for `git update-index -z --index-info`. */
int review_edits(const struct review *r, struct bb_buf *ret);

#endif
