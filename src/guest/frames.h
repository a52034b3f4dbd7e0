/* Frames of mux/proto.h over one mux stream: assembled one at a time, so that nothing is taken from
 * the stream that its owner cannot use yet (unread bytes are what makes the peer wait). */
#ifndef BB_GUEST_FRAMES_H
#define BB_GUEST_FRAMES_H

#include "base/buf.h"
#include "mux/mux.h"
#include "mux/proto.h"

struct frames {
	struct bb_buf in;
};

void frames_init(struct frames *f);
void frames_done(struct frames *f);
/* 1 and a frame (its view lives until frames_pop), 0 when more bytes must come, or -EPROTO. */
int frames_next(struct frames *f, struct mux_stream *s, struct proto_frame *ret,
		struct bb_err *err);
void frames_pop(struct frames *f);

/* Writes what fits from b's front; true when b is empty afterwards. */
bool frames_flush(struct bb_buf *b, struct mux_stream *s);
/* Takes and drops all that has arrived. */
void frames_discard(struct mux_stream *s);

#endif
