/*
 * The channel: demultiplexes a bottle's one stream. It reads what a hostile guest sends (mux
 * frames, stream openings, lifecycle frames), so it holds no secret, has no network and executes
 * nothing; a channel taken over can do what the guest could. Any protocol error of the guest ends
 * the bottle.
 */
#ifndef BB_ROLE_CHANNEL_CHANNEL_H
#define BB_ROLE_CHANNEL_CHANNEL_H

#include "base/err.h"
#include "loop/loop.h"

struct channel;

/* monitor_fd is borrowed. NULL: out of memory. */
struct channel *channel_new(struct loop *loop, int monitor_fd);
void channel_free(struct channel *c);

#endif
