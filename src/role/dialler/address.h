/* Which addresses may be dialled. Pure. */
#ifndef BB_ROLE_DIALLER_ADDRESS_H
#define BB_ROLE_DIALLER_ADDRESS_H

#include <sys/socket.h>

/*
 * NULL when the address is ordinary, else what it is ("loopback", "private", ...). Refused is every
 * range that a special-purpose registry lists (IANA, RFC 6890 and later), also where it embeds a
 * v4 address (mapped, compatible, NAT64, 6to4, Teredo), and all of v6 outside global unicast. There
 * is no switch, not for tests either.
 */
const char *address_special(const struct sockaddr *address);

#endif
