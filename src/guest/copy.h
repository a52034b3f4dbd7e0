/* FILE streams: a child a copy, as the user it is for, packs or unpacks; the loop only carries
 * bytes. */
#ifndef BB_GUEST_COPY_H
#define BB_GUEST_COPY_H

#include "guest/guest.h"

/* Takes a FILE stream whose opening was read. 0, or negative: the caller resets it. */
int copy_accept(struct guest *g, struct mux_stream *s, struct bb_view fields);
/* A child of ours ended. True when it was a copy's. */
bool copy_reaped(struct guest *g, pid_t pid, int wait_status);
void copy_free_all(struct guest *g);

#endif
