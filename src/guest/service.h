/* Streams that the host opens: the opening is read, then the stream belongs to its service. */
#ifndef BB_GUEST_SERVICE_H
#define BB_GUEST_SERVICE_H

#include "guest/guest.h"

/* The mux's on_open. 0, or negative: the stream is reset. */
int service_accept(struct guest *g, struct mux_stream *s);

#endif
