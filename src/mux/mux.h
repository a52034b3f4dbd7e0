/*
 * The one stream between a bottle and its bundle: many flow-controlled byte streams over one byte
 * stream, with yamux framing (12-byte header: version 0, type, flags, stream id, length; types
 * data, window update, ping, go away; flags SYN, ACK, FIN, RST). The guest opens odd ids, the host
 * even ones.
 *
 * Pure logic: no I/O, no clock, no threads. The owner feeds received bytes in, takes bytes to send
 * out and gets events by callback. Both ends link this library. Nothing a peer sends can make it
 * allocate more than the limits of the configuration; a protocol error is final: mux_input()
 * returns the error and every later call does too.
 *
 * Callbacks may call any mux function except mux_input() and mux_free().
 */
#ifndef BB_MUX_MUX_H
#define BB_MUX_MUX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/view.h"

#define MUX_HEADER 12

struct mux;
struct mux_stream; /* lives until its owner calls mux_stream_release() */

enum mux_side {
	MUX_GUEST, /* opens odd ids */
	MUX_HOST,  /* opens even ids */
};

struct mux_handlers {
	/* The peer opened a stream. Return 0 to accept (then set its owner with
	 * mux_stream_set_owner), or negative to reset it. Required. */
	int (*on_open)(void *arg, struct mux_stream *s);
	/* Bytes can be read with mux_stream_peek/consume, or the peer's half is closed (see
	 * mux_stream_at_eof). Required. */
	void (*on_readable)(void *arg, struct mux_stream *s, void *owner);
	/* There is room again after mux_stream_writable() said 0 or mux_stream_write() took less
	 * than it was given. Required. */
	void (*on_writable)(void *arg, struct mux_stream *s, void *owner);
	/* The peer reset the stream; the owner must release it (now or later). Required. */
	void (*on_reset)(void *arg, struct mux_stream *s, void *owner);
	/* mux_output() has bytes; called at most once until the output was drained. Required. */
	void (*on_output)(void *arg);
};

struct mux_config {
	enum mux_side side;
	uint32_t max_streams; /* open at a time, both directions; 0: LIMIT_MUX_STREAMS */
	uint32_t window;      /* receive credit of a new stream; 0: LIMIT_MUX_WINDOW */
	uint32_t window_max;  /* 0: LIMIT_MUX_WINDOW_MAX */
	size_t max_buffered;  /* received bytes not yet consumed, whole session; 0:
				 LIMIT_MUX_BUFFERED */
};

/* handlers and arg live as long as the session. NULL: out of memory. */
struct mux *mux_new(const struct mux_config *config, const struct mux_handlers *handlers,
		    void *arg);
/* Frees the session and all its streams without callbacks; streams not yet released become invalid.
 */
void mux_free(struct mux *m);

/* Feeds received bytes; all are taken. 0, or a negative error: the session is dead. */
int mux_input(struct mux *m, const void *p, size_t n, struct bb_err *err);
/* The next bytes to send, contiguous; empty when there is nothing. Valid until the next mux call.
 */
struct bb_view mux_output(struct mux *m);
void mux_output_consume(struct mux *m, size_t n);
/* Announces the end; the peer opens nothing more. */
void mux_go_away(struct mux *m);
size_t mux_open_streams(const struct mux *m);

/* Opens a stream towards the peer. 0 and *ret, or -EMFILE (limit), -ESHUTDOWN, -ENOMEM. */
int mux_open(struct mux *m, void *owner, struct mux_stream **ret);

void mux_stream_set_owner(struct mux_stream *s, void *owner);
uint32_t mux_stream_id(const struct mux_stream *s);

/* Receive side. Consuming returns credit to the peer. Inside on_readable the view may lie in what
 * mux_input() was given: it ends with the callback. */
struct bb_view mux_stream_peek(struct mux_stream *s); /* contiguous front of what has arrived */
void mux_stream_consume(struct mux_stream *s, size_t n);
bool mux_stream_at_eof(const struct mux_stream *s); /* peer half-closed and everything consumed */

/* Send side. Takes min(n, writable) bytes and returns how many; never an error (a dead stream takes
 * and drops all). */
/* Credit and buffer room, in bytes. 0: on_writable comes when there is some again. */
size_t mux_stream_writable(struct mux_stream *s);
size_t mux_stream_write(struct mux_stream *s, const void *p, size_t n);
/* The same without a copy: where up to *ret_room bytes may be put, of which mux_stream_commit()
 * then sends n. No mux call may come between the two. NULL: nothing fits now (as writable() == 0).
 */
uint8_t *mux_stream_reserve(struct mux_stream *s, size_t *ret_room);
void mux_stream_commit(struct mux_stream *s, size_t n);
void mux_stream_finish(struct mux_stream *s); /* half-close: FIN after what was written */
void mux_stream_reset(
	struct mux_stream *s); /* RST; drops both directions; on_reset is not called */

/* The owner is done with the handle: what is open is reset, no callback comes any more. Required
 * exactly once for each stream, also after on_reset. */
void mux_stream_release(struct mux_stream *s);

#endif
