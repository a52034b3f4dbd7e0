/*
 * The YAML that manifests are written in, read through libyaml's events into a small tree. Refused:
 * anchors, aliases, tags, merge keys, duplicate keys, keys that are not plain words, several
 * documents, directives, control characters and bidirectional overrides, more than
 * LIMIT_MANIFEST_NODES nodes or LIMIT_MANIFEST_DEPTH levels. Scalars stay text: nothing is turned
 * into a date, a number or a boolean behind the writer's back.
 */
#ifndef BB_MANIFEST_NODE_H
#define BB_MANIFEST_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/view.h"

enum manifest_kind {
	MANIFEST_SCALAR,
	MANIFEST_LIST,
	MANIFEST_MAP,
	MANIFEST_SCALAR_OR_LIST, /* of a row in a key table, never of a node */
};
#define MANIFEST_NUM_KINDS 4

struct manifest_node {
	enum manifest_kind kind;
	const char *file; /* as errors call it; borrowed from who had the tree read */
	unsigned line;    /* of the file, from 1 */
	char *text;       /* SCALAR: UTF-8 without NUL; never NULL then */
	bool is_quoted;
	bool is_wider; /* see struct manifest_origin */
	/* LIST: the items. MAP: the values, with the name and line of each one's key in it. */
	struct manifest_node **items;
	size_t count, room;
	char *key; /* in a map: this node's key */
	unsigned key_line;
};

/*
 * Reads one document. first_line is the file's line of the first byte; file names it in errors and
 * must outlive the tree. An empty document gives an empty map. The root is always a map.
 */
int manifest_node_read(struct bb_view yaml, const char *file, unsigned first_line,
		       struct manifest_node **ret, struct bb_err *err);
void manifest_node_free(struct manifest_node *n);
BB_DEFINE_AUTO(manifest_node, manifest_node_free)

/* The value of a key of map, or NULL. */
struct manifest_node *manifest_node_find(const struct manifest_node *map, const char *key);
/* Takes the value of a key out of map; NULL: there is none. The order of the others stays. */
struct manifest_node *manifest_node_take(struct manifest_node *map, const char *key);
/* Appends to a list or map; item belongs to it then. 0 or -ENOMEM. */
int manifest_node_add(struct manifest_node *to, struct manifest_node *item);

/* "a value", "a list", "a block of keys". */
const char *manifest_kind_word(enum manifest_kind kind);

/*
 * Splits a Markdown file into its front matter and its body. Without a first line "---" there is no
 * front matter and all is body. ret_line is the line of the front matter's first byte.
 */
int manifest_split(struct bb_view text, const char *file, struct bb_view *ret_yaml,
		   unsigned *ret_line, struct bb_view *ret_body, struct bb_err *err);

/* BB_E_USAGE when the text holds NUL, a control character other than tab and line ends, invalid
 * UTF-8, or a character that makes text look other than it is (bidirectional overrides). */
int manifest_check_text(struct bb_view text, const char *file, unsigned first_line,
			struct bb_err *err);

#endif
