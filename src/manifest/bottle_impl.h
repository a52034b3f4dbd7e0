/* Shared by the files that read a bottle. */
#ifndef BB_MANIFEST_BOTTLE_IMPL_H
#define BB_MANIFEST_BOTTLE_IMPL_H

#include "manifest/keys.h"
#include "manifest/manifest.h"

/* Why the keys of the scanner are refused, of a bottle and of a route. */
#define REFUSE_DLP "is not built yet: bytes to allowed hosts are not scanned by this version"

/* The row `egress.routes`: adds every route to the bottle's policy. */
int manifest_take_routes(const struct manifest_reader *r, const struct manifest_node *list,
			 void *bottle);

#endif
