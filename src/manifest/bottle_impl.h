/* Shared by the files that read a bottle. */
#ifndef BB_MANIFEST_BOTTLE_IMPL_H
#define BB_MANIFEST_BOTTLE_IMPL_H

#include "manifest/keys.h"
#include "manifest/manifest.h"

/* Why the keys of the scanner are refused, of a bottle and of a route. */
#define REFUSE_DLP "is not built yet: bytes to allowed hosts are not scanned by this version"

/* Without front matter. */
int manifest_bottle_new(const char *name, struct manifest_bottle **ret, struct bb_err *err);
/* Every key of a whole file, or of several merged, into b, whose `files` own the tree's file names.
 */
int manifest_take_bottle(const struct manifest_node *root, struct manifest_bottle *b,
			 struct bb_err *err);

/* Reads ROOT/KIND/NAME.md after a check of who may have written it. */
int manifest_read_file(const char *root, const char *kind, const char *name, struct bb_buf *text,
		       struct bb_err *err);

static inline struct manifest_origin manifest_origin_of(const struct manifest_node *value)
{
	return (struct manifest_origin){ .file = value->file,
					 .line = value->key != NULL ? value->key_line
								    : value->line };
}

extern const struct manifest_block manifest_route_block, manifest_match_block;
/* The row `egress.routes`: adds every route to the bottle's policy. */
int manifest_take_routes(const struct manifest_reader *r, const struct manifest_node *list,
			 void *bottle);

/* A route's `matches`, added to route. */
int manifest_take_matches(const struct manifest_reader *r, const struct manifest_node *list,
			  struct policy_route *route);
/* Headers (in lower case) that belong to one connection, or that egress writes anew. */
bool manifest_is_hop_header(const char *name);

#endif
