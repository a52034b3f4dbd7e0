/* What the files of the channel share. */
#ifndef BB_ROLE_CHANNEL_CHANNEL_IMPL_H
#define BB_ROLE_CHANNEL_CHANNEL_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limit.h"
#include "ipc/ipc.h"
#include "mux/mux.h"
#include "mux/proto.h"
#include "role/channel/channel.h"

#define CHANNEL_CHUNK    65536 /* bytes of one read */
#define CHANNEL_TURNS    4     /* reads or writes of one descriptor before the others' turn */
#define CHANNEL_SERVICES 3     /* EGRESS, GIT, SUPERVISE */

/*
 * SETUP	descriptors arrive; nothing of the guest is read
 * ACCEPTING	the guest is to connect (only where a listener was handed over)
 * HELLO	the stream runs; LIFECYCLE is open; only a hello is accepted
 * PROVISIONING	the guest said hello; provision is forwarded
 * SERVING	ready: streams are opened both ways
 * ENDING	bye was said, or the stream is lost; nothing is forwarded any more
 */
enum channel_state {
	CHANNEL_SETUP,
	CHANNEL_ACCEPTING,
	CHANNEL_HELLO,
	CHANNEL_PROVISIONING,
	CHANNEL_SERVING,
	CHANNEL_ENDING,
};
#define CHANNEL_NUM_STATES 6

struct relay;
struct opening;
struct door;

struct channel {
	struct loop *loop;
	enum channel_state state;
	int monitor_fd;
	struct loop_fd *monitor_watch;
	uint8_t *ipc_buffer; /* LIMIT_IPC_BODY */

	struct door *door; /* NULL: the stream was handed over, or the guest has spoken */
	int stream_fd;
	struct loop_fd *stream_watch;
	struct mux *mux;
	bool is_flush_due;
	bool is_stream_gone; /* nothing comes any more; what came is still passed on */
	uint8_t *chunk;      /* CHANNEL_CHUNK, used within one callback only */

	int services[CHANNEL_SERVICES]; /* links by proto_service - PROTO_EGRESS; -1 */
	struct relay *relays;
	struct opening *openings;

	struct mux_stream *lifecycle;
	struct loop_timer *hello_timer;
	uint64_t hello_ms;
	uint32_t changed_asked; /* answers that the guest owes */
	bool has_probe_asked;
	bool has_main_exit;
	struct bb_buf provision; /* lifecycle frames that wait for the hello or for credit */

	int console_fd, console_log_fd;
	struct loop_fd *console_watch;
	uint64_t console_bytes;
};

/* What owns a mux stream: the first member of every owner. */
struct owner {
	const struct owner_ops *ops;
};
struct owner_ops {
	void (*on_readable)(struct channel *c, struct owner *o);
	void (*on_writable)(struct channel *c, struct owner *o); /* NULL: has nothing to write */
	void (*on_reset)(struct channel *c, struct owner *o);    /* releases the stream */
};

/* channel.c */
void channel_set_state(struct channel *c, enum channel_state state);
int channel_start(struct channel *c, struct bb_err *err);
/* Somebody came through the door: the stream runs. Takes fd. While c->door is there, one that goes
 * without a word was not the guest. */
void channel_guest_is_in(struct channel *c, int fd);
/* The guest broke the rules, died, or is late: tells the monitor and forgets the guest. */
void channel_lost(struct channel *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A message to the monitor; a monitor that does not take it is gone: the loop stops. */
void channel_tell(struct channel *c, uint16_t type, uint32_t id, const struct bb_buf *body);
void channel_tell_str(struct channel *c, uint16_t type, const char *text);
void channel_tell_u32(struct channel *c, uint16_t type, uint32_t id, uint32_t value);

/* channel_ops.c */
int channel_dispatch(struct channel *c, struct ipc_message *m, struct bb_err *err);

/* relay.c: bytes between one mux stream and one local descriptor. fd is taken, also on failure. */
struct relay_plan {
	struct mux_stream *stream;
	int fd;
	uint32_t id;          /* ipc id to report the end with; 0: nobody asks */
	struct bb_view first; /* bytes to send before those of fd */
	bool is_sink;         /* a file or pipe: receives only */
	uint64_t most;        /* SINK: bytes written at most, the rest is dropped; 0: no cap */
};
int relay_new(struct channel *c, const struct relay_plan *plan);
/* The guest's stream is gone: each relay ends once what it holds is passed on. */
void relay_drain_all(struct channel *c);
void relay_free_all(struct channel *c);

/* opening.c: the first bytes of a stream that the guest opened. */
int opening_new(struct channel *c, struct mux_stream *s);
void opening_free_all(struct channel *c);

/* lifecycle.c */
int lifecycle_start(struct channel *c, struct bb_err *err);
int lifecycle_provision(struct channel *c, struct bb_view body, bool is_last, struct bb_err *err);
int lifecycle_send(struct channel *c, uint8_t type, const struct bb_buf *body, struct bb_err *err);

/* door.c: the listener on which the guest comes; closed once it has. */
struct door_plan {
	int fd; /* listening; taken on success */
	bool has_uid;
	uint32_t uid;              /* of the one who may connect: a Unix socket */
	struct bb_view credential; /* what it says first: TCP */
};
int door_new(struct channel *c, const struct door_plan *plan, struct bb_err *err);
int door_open(struct door *d, struct bb_err *err);
/* Who was let in has gone without a word: the next one. */
void door_guest_left(struct door *d);
void door_free(struct door *d); /* NULL is fine */

/* console.c */
int console_start(struct channel *c);
void console_stop(struct channel *c);

#endif
