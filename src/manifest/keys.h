/*
 * Key tables: what a block of a manifest may hold is data. Each key has one row: its shape, the
 * function that takes its value, or the sentence that refuses it. Parser, help, JSON Schema and
 * completion read the same rows.
 */
#ifndef BB_MANIFEST_KEYS_H
#define BB_MANIFEST_KEYS_H

#include <stdint.h>

#include "base/err.h"
#include "manifest/node.h"

struct manifest_reader {
	const char *file; /* for errors: the one that the value at hand was written in */
	struct bb_err *err;
};

struct manifest_key {
	const char *name;
	enum manifest_kind kind;
	/* Takes the value (of the stated kind) into target, the block's struct. 0 or negative with
	 * the error set. NULL: this build refuses the key. */
	int (*take)(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target);
	const char *text; /* one line of help, or, with take NULL, why it is refused */
};

struct manifest_block {
	const char *place; /* "a bottle", "an egress route": for errors */
	const struct manifest_key *keys;
	size_t count;
};

/* Checks and takes every key of map. */
int manifest_take_block(const struct manifest_reader *r, const struct manifest_block *block,
			const struct manifest_node *map, void *target);

/* The same reader at a value of a merged tree, which may come from another file. */
struct manifest_reader manifest_reader_at(const struct manifest_reader *r,
					  const struct manifest_node *value);

/* Sets BB_E_USAGE "manifest 'FILE':LINE: ..."; returns it. */
int manifest_refuse(const struct manifest_reader *r, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A scalar's text on the heap; an empty or null value is refused. */
int manifest_take_text(const struct manifest_reader *r, const struct manifest_node *value,
		       char **ret);
/* A plain number between min and max. */
int manifest_take_number(const struct manifest_reader *r, const struct manifest_node *value,
			 uint64_t min, uint64_t max, uint64_t *ret);
/* A size such as 512M or 4G between min and max bytes. */
int manifest_take_size(const struct manifest_reader *r, const struct manifest_node *value,
		       uint64_t min, uint64_t max, uint64_t *ret);

/* ^[A-Za-z_][A-Za-z0-9_]*$, at most 128 bytes. */
bool manifest_is_env_name(const char *s);

/* ^[a-z][a-z0-9-]*$, at most 64 bytes: bottles, agents, skills. */
bool manifest_is_name(const char *s);

/* A whole file: checks its characters, splits it and reads the front matter. file must outlive the
 * tree; ret_body (may be NULL) borrows from text. */
int manifest_read_tree(struct bb_view text, const char *file, struct manifest_node **ret,
		       struct bb_view *ret_body, struct bb_err *err);

#endif
