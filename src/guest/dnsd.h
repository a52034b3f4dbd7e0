/* The DNS stub's sockets: UDP and TCP port 53 on every address. */
#ifndef BB_GUEST_DNSD_H
#define BB_GUEST_DNSD_H

#include "guest/guest.h"
#include "guest/names.h"

struct dnsd;

/* Called when a name's address of a family is about to be told. */
typedef void dnsd_told_cb(void *arg, uint32_t number, int family);

/* names lives as long as the stub. */
int dnsd_start(struct guest *g, struct names *names, dnsd_told_cb *told, void *arg,
	       struct dnsd **ret, struct bb_err *err);
void dnsd_free(struct dnsd *d);

#endif
