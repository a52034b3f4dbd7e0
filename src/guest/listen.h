/* Sockets that wait for the guest's own programs. */
#ifndef BB_GUEST_LISTEN_H
#define BB_GUEST_LISTEN_H

#include <stdint.h>

struct listen_plan {
	int family, type;
	const uint8_t *address; /* 4 or 16 bytes */
	uint16_t port;
};

/* A bound, non-blocking descriptor (listening, for a stream type; with packet information, for
 * datagrams), or -errno. */
int listen_open(const struct listen_plan *plan);
/* Out of descriptors: takes one waiting connection and resets it, so that the loop does not spin on
 * a listener it cannot serve. */
void listen_shed(int listener);

#endif
