/* Shared by the files that read a bottle. */
#ifndef BB_MANIFEST_BOTTLE_IMPL_H
#define BB_MANIFEST_BOTTLE_IMPL_H

#include "manifest/keys.h"
#include "manifest/manifest.h"

/* The row `egress.routes`: adds every route to the bottle's policy. */
int manifest_take_routes(const struct manifest_reader *r, const struct manifest_node *list,
			 void *bottle);

#endif
