/* What session.c and stream.c share. Callers use mux.h. */
#ifndef BB_MUX_MUX_IMPL_H
#define BB_MUX_MUX_IMPL_H

#include "base/buf.h"
#include "mux/codec.h"
#include "mux/mux.h"

#define MUX_BUCKETS 256
/* Output that streams may fill; control frames have as much again before the session is given up.
 */
#define MUX_OUTPUT_HIGH (256u * 1024)
#define MUX_OUTPUT_HARD (2u * MUX_OUTPUT_HIGH + 1024u * 1024)

struct mux_stream {
	struct mux *m;
	uint32_t id;
	void *owner;
	struct mux_stream *next;         /* in its bucket */
	struct mux_stream *next_blocked; /* in the list of those that wait for output room */
	struct bb_buf received;
	struct bb_view direct; /* while on_readable runs: bytes of the input, received is empty */
	uint32_t window;       /* receive credit the peer is kept at */
	uint32_t recv_credit;  /* what it may still send */
	uint32_t consumed;     /* taken since the last window update */
	uint32_t send_credit;
	bool is_blocked; /* on_writable is owed when credit and room come */
	bool is_listed;  /* member of the blocked list */
	bool has_sent_fin, has_got_fin;
	bool is_reset; /* by either side: nothing moves any more */
};

struct mux {
	struct mux_config config;
	const struct mux_handlers *handlers;
	void *arg;
	struct mux_stream *buckets[MUX_BUCKETS];
	struct mux_stream *first_blocked, **last_blocked;
	size_t stream_count;
	size_t buffered;        /* bytes in all received buffers */
	size_t kept;            /* bytes allocated for them */
	uint32_t next_id;       /* of our next stream */
	uint32_t last_peer_id;  /* highest id the peer opened */
	uint32_t refused_opens; /* in a row */
	uint64_t dead_budget;   /* bytes the peer may still send to streams we have dropped */
	struct bb_buf output;
	bool has_told_output;
	bool has_sent_go_away, has_got_go_away;
	/* input */
	uint8_t head[MUX_HEADER];
	size_t head_len;
	uint32_t data_left, data_id; /* of the data frame being read */
	struct bb_err error;         /* code != 0: dead */
};

struct mux_stream *mux_stream_new(struct mux *m, uint32_t id, void *owner);
void mux_send_control(struct mux *m, enum mux_type type, uint16_t flags, uint32_t id,
		      uint32_t length);
void mux_tell_output(struct mux *m);
size_t mux_output_room(const struct mux *m);
/* mux_stream_writable() without the promise of a call. */
size_t mux_takes_now(const struct mux_stream *s);
/* Remembers a stream that has credit but found no room. */
void mux_list_blocked(struct mux_stream *s);
/* Calls on_writable for streams that wait for room, in the order in which they began to wait. */
void mux_wake_blocked(struct mux *m);
/* Frees what was received and not yet taken. */
void mux_drop_received(struct mux_stream *s);
/* The stream is over for the peer: dead frames may follow. */
void mux_expect_dead_frames(struct mux *m, const struct mux_stream *s);

#endif
