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

struct manifest_block;

/* What a value may be, as far as a table can say it: for the JSON Schema and the man pages. The
 * row's function still judges. A shape with a block or with names is a block of keys. */
struct manifest_shape {
	const struct manifest_block *block; /* its keys */
	const char *names;                  /* keys of the writer's own: a pattern for them */
	/* Of each entry of a list, and of each value of a block with names; NULL: any text. */
	const struct manifest_shape *items;
	const char *const *words; /* a value: one of these */
	const char *pattern;      /* a value: anchored, in what ECMA 262 and POSIX have in common */
	uint64_t min, max;        /* max above 0: a whole number */
};
#define MANIFEST_SHAPE(...) (&(const struct manifest_shape){ __VA_ARGS__ })
/* The same for what stands inside of one: cppcheck expands no macro within itself. */
#define MANIFEST_INNER(...)    (&(const struct manifest_shape){ __VA_ARGS__ })
#define MANIFEST_BLOCK(b)      MANIFEST_INNER(.block = &(b))
#define MANIFEST_LIST_OF(b)    MANIFEST_SHAPE(.items = MANIFEST_BLOCK(b))
#define MANIFEST_RANGE(lo, hi) MANIFEST_INNER(.min = (lo), .max = (hi))
#define MANIFEST_TEXTS         MANIFEST_SHAPE(.items = NULL) /* a list of any texts */
#define MANIFEST_PATTERN(p)    MANIFEST_INNER(.pattern = (p))
#define MANIFEST_WORDS(...)    MANIFEST_INNER(.words = (const char *const[]){ __VA_ARGS__, NULL })

/* `true` or `false`; quoted they are texts, which the row's function refuses. */
#define MANIFEST_BOOL MANIFEST_PATTERN("^(true|false)$")

#define MANIFEST_NAME_PATTERN "^[a-z][a-z0-9-]*$"
#define MANIFEST_ENV_PATTERN  "^[A-Za-z_][A-Za-z0-9_]*$"
#define MANIFEST_SIZE_PATTERN "^[0-9]+[KMGkmg]?$"

struct manifest_key {
	const char *name;
	enum manifest_kind kind;
	/* Takes the value (of the stated kind) into target, the block's struct. 0 or negative with
	 * the error set. NULL: this build refuses the key. */
	int (*take)(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target);
	const char *text; /* one line of help, or, with take NULL, why it is refused */
	/* What the value holds; needed where it is a block or a list. NULL: any text. */
	const struct manifest_shape *shape;
};

struct manifest_block {
	const char *place; /* "a bottle", "an egress route": for errors */
	const struct manifest_key *keys;
	size_t count;
	/* Keys that must be there, separated by blanks; "a|b": one of the two. NULL: none. */
	const char *needs;
};

/* The whole of either format: the front matter. */
extern const struct manifest_block manifest_bottle_block, manifest_agent_block;

/* Checks and takes every key of map. */
int manifest_take_block(const struct manifest_reader *r, const struct manifest_block *block,
			const struct manifest_node *map, void *target);

/* The same reader at a value of a merged tree, which may come from another file. */
struct manifest_reader manifest_reader_at(const struct manifest_reader *r,
					  const struct manifest_node *value);

/* Sets BB_E_USAGE "manifest 'FILE':LINE: ..."; returns it. */
int manifest_refuse(const struct manifest_reader *r, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

int manifest_no_memory(const struct manifest_reader *r);

/* A scalar's text on the heap; an empty or null value is refused. */
int manifest_take_text(const struct manifest_reader *r, const struct manifest_node *value,
		       char **ret);
/* A plain number between min and max. */
int manifest_take_number(const struct manifest_reader *r, const struct manifest_node *value,
			 uint64_t min, uint64_t max, uint64_t *ret);
/* A size such as 512M or 4G between min and max bytes. */
int manifest_take_size(const struct manifest_reader *r, const struct manifest_node *value,
		       uint64_t min, uint64_t max, uint64_t *ret);

/* Plain `true` or `false`. */
int manifest_take_bool(const struct manifest_reader *r, const struct manifest_node *value,
		       bool *ret);
/* One of names, all said in the error; its index. */
int manifest_take_word(const struct manifest_reader *r, const struct manifest_node *value,
		       const char *const *names, size_t count, size_t *ret);
/* A list of texts, each once, none empty, at most max; an empty list is refused. */
int manifest_take_texts(const struct manifest_reader *r, const struct manifest_node *list,
			size_t max, char ***ret);
/* The name of a host variable; what it holds is said in the error of anything else. */
int manifest_take_env_name(const struct manifest_reader *r, const struct manifest_node *value,
			   const char *what, char **ret);

/* ^[A-Za-z_][A-Za-z0-9_]*$, at most 128 bytes. */
bool manifest_is_env_name(const char *s);

/* ^[a-z][a-z0-9-]*$, at most 64 bytes: bottles, agents, skills. */
bool manifest_is_name(const char *s);

/* A whole file: checks its characters, splits it and reads the front matter. file must outlive the
 * tree; ret_body (may be NULL) borrows from text. */
int manifest_read_tree(struct bb_view text, const char *file, struct manifest_node **ret,
		       struct bb_view *ret_body, struct bb_err *err);

#endif
