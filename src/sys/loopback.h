/* Network without a network card: lo up; RTN_LOCAL routes for 0.0.0.0/0 and ::/0 with a preferred
 * source, so that every address is this host and a connect reaches a listener or is refused at
 * once. In the calling process's network namespace; needs CAP_NET_ADMIN in it. Used by the jail
 * and, in a microVM, by bottle-init (static: libc only). */
#ifndef BB_SYS_LOOPBACK_H
#define BB_SYS_LOOPBACK_H

#include "base/err.h"

int loopback_setup(struct bb_err *err);
/* lo up and nothing else: 127/8 answers, every other address is unreachable. */
int loopback_raise(struct bb_err *err);

#endif
