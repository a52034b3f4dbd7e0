/* The LIFECYCLE stream: hello, provisioning, the main session's end, shutdown, and whether a tree
 * changed. */
#ifndef BB_GUEST_LIFECYCLE_H
#define BB_GUEST_LIFECYCLE_H

#include "guest/guest.h"

/* Takes the stream; exactly one is allowed. */
int lifecycle_accept(struct guest *g, struct mux_stream *s);
/* The answer to a probe: its fields. */
void lifecycle_probed(struct guest *g, const struct bb_buf *body);
void lifecycle_main_exit(struct guest *g, uint32_t code);
/* A child of ours ended. True when it was the one that looks at a tree. */
bool lifecycle_reaped(struct guest *g, pid_t pid, int wait_status);
/* No process is left (asked again whenever children were reaped while the guest is ending). */
void lifecycle_check_end(struct guest *g);
void lifecycle_free(struct lifecycle *l);

#endif
