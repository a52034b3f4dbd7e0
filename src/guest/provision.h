/*
 * What the host hands the guest before anything runs: the bottle's CA, the host name, the base
 * environment, the TCP ports that routes name, and in a microVM the clock and entropy.
 */
#ifndef BB_GUEST_PROVISION_H
#define BB_GUEST_PROVISION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limit.h"
#include "base/view.h"

/* Files that bottle-init writes for the CA. */
#define PROVISION_STORE  "/etc/ssl/certs/ca-certificates.crt"
#define PROVISION_CA_DIR "/usr/local/share/ca-certificates"
#define PROVISION_CA     PROVISION_CA_DIR "/bot-bottle.crt"

struct provision {
	char **env; /* NULL-terminated "NAME=value", or NULL */
	uint16_t ports[LIMIT_GUEST_PORTS];
	size_t port_count;
	uint32_t pids;     /* RLIMIT_NPROC of sessions; 0: none */
	char hostname[64]; /* "" : leave it */
	uint8_t *ca;       /* PEM, or NULL */
	size_t ca_size;
	uint64_t clock_ns; /* 0: leave it */
	uint8_t entropy[64];
	size_t entropy_size;
};

void provision_done(struct provision *p);
/* Adds one PROVISION frame's fields. 0 or -EPROTO/-ENOMEM. */
int provision_add(struct provision *p, struct bb_view body, struct bb_err *err);
/* What else is made, beside the CA: where the files and the kernel are the bottle's own. */
#define PROVISION_DIRECTORIES 1u /* those that the CA's files stand in */
#define PROVISION_KERNEL      2u /* clock, entropy, and a host name that must be taken */
#define PROVISION_NAMES       4u /* host name, /etc/hosts */
#define PROVISION_RESOLVER    8u /* /etc/resolv.conf names our DNS stub */

int provision_apply(const struct provision *p, unsigned what, struct bb_err *err);

#endif
