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
	const char *file; /* for errors */
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

/* A whole file: checks its characters, splits it, reads the front matter and takes its keys into
 * target. ret_body (may be NULL) borrows from text. */
int manifest_read_document(struct bb_view text, const char *file,
			   const struct manifest_block *block, void *target,
			   struct bb_view *ret_body, struct bb_err *err);

#endif
