/* FORWARD streams: the operator's way to a server of the guest's own. */
#ifndef BB_GUEST_FORWARD_H
#define BB_GUEST_FORWARD_H

#include "guest/guest.h"

/* Takes a FORWARD stream whose opening was read. 0, or negative: the caller resets it. */
int forward_accept(struct guest *g, struct mux_stream *s, struct bb_view fields);

#endif
