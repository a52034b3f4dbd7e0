/*
 * What the guest's programs find when they connect: transparent listeners, the explicit proxy, and
 * the DNS stub that makes names reach them. Every connection becomes an EGRESS stream.
 */
#ifndef BB_GUEST_NET_H
#define BB_GUEST_NET_H

#include "guest/guest.h"

#define NET_PROXY_PORT 9099

/* One of bottle-init's own listeners is on this port. */
bool net_is_fixed(uint16_t port);
/* Opens the listeners, once, after provisioning. */
int net_start(struct guest *g, struct bb_err *err);
void net_free(struct guest *g);

#endif
