/* Shared inside role/dialler only. */
#ifndef BB_ROLE_DIALLER_DIALLER_IMPL_H
#define BB_ROLE_DIALLER_DIALLER_IMPL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limit.h"
#include "ipc/messages.h"
#include "policy/policy.h"
#include "role/link/link.h"
#include "role/link/role.h"

#define DIALLER_ADDRESSES 8 /* of a name: v6 and v4 in turn */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* resolve.c: c-ares on the loop. */
struct resolver;
struct resolve;
/* status 0: addresses; else text says why not. Called once, never inside resolve_start(). */
typedef void resolve_cb(void *arg, const union address *addresses, size_t count, const char *text);

struct resolver *resolver_new(struct loop *loop, struct bb_err *err);
void resolver_free(struct resolver *r);
struct resolve *resolve_start(struct resolver *r, const char *host, resolve_cb *cb, void *arg);
void resolve_cancel(struct resolve *q); /* no callback comes afterwards; NULL is fine */

/* connect.c: the addresses one after another, each given a head start. */
struct connecting;
/* fd >= 0: connected to address (the callee owns fd); else error is the last -errno. */
typedef void connect_cb(void *arg, int fd, const union address *address, int error);

struct connecting *connect_start(struct loop *loop, const union address *addresses, size_t count,
				 connect_cb *cb, void *arg);
void connect_cancel(struct connecting *c); /* NULL is fine */

struct dialler {
	struct role role;
	struct policy *policy;
	int egress_fd; /* until the sandbox is locked: nothing is dialled before */
	struct link *egress;
	struct resolver *resolver;
	struct dial *dials;
	size_t dial_count;
};

extern const struct ipc_op dialler_ops[];
extern const size_t dialler_op_count;

int dialler_start(struct dialler *d, struct bb_err *err);

#endif
