/*
 * Several bottles into one, as trees: what a child says over its parent (`extends`), and bottles
 * side by side (`extends: [a, b]`, `--bottle a --bottle b`). Which key is replaced, laid over or
 * added to is a table in merge.c.
 */
#ifndef BB_MANIFEST_MERGE_H
#define BB_MANIFEST_MERGE_H

#include "manifest/node.h"

enum manifest_merge {
	MANIFEST_MERGE_CHILD, /* over is the child of base */
	MANIFEST_MERGE_SIDE,  /* over is named behind base */
};
#define MANIFEST_NUM_MERGES 2

/* Both are roots of bottles that are valid each by itself, without `extends`. Moves what it takes
 * out of over, which the caller still frees. 0 or -ENOMEM (base is then unusable). */
int manifest_merge(struct manifest_node *base, struct manifest_node *over, enum manifest_merge how);

#endif
