/* The name servers that programs of this machine ask: those of /etc/resolv.conf. The host's monitor
 * and bottle-init (static: libc only) read it alike, so that neither overlooks what the other sees.
 */
#ifndef BB_SYS_RESOLVERS_H
#define BB_SYS_RESOLVERS_H

#include <netinet/in.h>

#include "base/view.h"

#define RESOLVERS_MAX 3 /* as the C library takes */

/* The first IPv4 ones; lines that are none, and IPv6, are passed over. How many. */
size_t resolvers_parse(struct bb_view text, struct in_addr ret[RESOLVERS_MAX]);
/* The same of this machine; 0 as well when the file is missing or cannot be read. */
size_t resolvers_read(struct in_addr ret[RESOLVERS_MAX]);

#endif
