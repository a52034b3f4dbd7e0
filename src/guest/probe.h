/*
 * What does this machine reach? Asked once by the host, before anything of the bottle runs, in a
 * machine whose network somebody else made: every endpoint that answers is one that should not.
 * Only the bundle should; it is asked, too.
 */
#ifndef BB_GUEST_PROBE_H
#define BB_GUEST_PROBE_H

#include "guest/guest.h"

/* body: the fields of LIFECYCLE_PROBE. The answer goes by lifecycle_probed(). */
int probe_start(struct guest *g, struct bb_view body, struct bb_err *err);
/* Closes what it listens on; nothing running is fine. */
void probe_free(struct guest *g);

#endif
