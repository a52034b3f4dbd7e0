/* Which addresses may be dialled. Pure. */
#ifndef BB_ROLE_DIALLER_ADDRESS_H
#define BB_ROLE_DIALLER_ADDRESS_H

#include <sys/socket.h>

#include "policy/policy.h"

/*
 * NULL when the address may be dialled, else what it is ("loopback", "private", ...). Refused is
 * every range that a special-purpose registry lists (IANA, RFC 6890 and later), also where it
 * embeds a v4 address (mapped, compatible, NAT64, 6to4, Teredo), and all of v6 outside global
 * unicast. There is no switch, not for tests either; only a route of the operator that says
 * `private` admits the private ranges, or loopback's 127.0.0.1 and ::1 (bot-bottle listens on
 * others), and never more.
 */
const char *address_special(const struct sockaddr *address, enum policy_private admitted);

#endif
