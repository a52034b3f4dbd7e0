/* One TCP connection of a guest program, carried by one EGRESS stream; or one to a guest program,
 * carried by a FORWARD stream. */
#ifndef BB_GUEST_RELAY_H
#define BB_GUEST_RELAY_H

#include "guest/guest.h"

struct relay_plan {
	int fd;                /* connected, non-blocking; taken, whatever happens */
	const char *authority; /* "name:port" to CONNECT to; NULL: the client speaks to the proxy
				  itself */
};

struct relay;

/* Adds to *list. A connection that cannot be carried is reset. */
void relay_start(struct guest *g, struct relay **list, size_t *count,
		 const struct relay_plan *plan);
/* The same for a stream that the host opened; fd is connected, or about to be. 0, or negative: fd
 * is closed and the caller resets the stream. */
int relay_join(struct guest *g, struct relay **list, size_t *count, struct mux_stream *stream,
	       int fd);
void relay_free_all(struct relay **list, size_t *count);
/* Closes so that the other side sees a reset. */
void relay_refuse(int fd);

#endif
