/*
 * The whole channel, in this process, between a played monitor and a hostile guest. Input:
 * operations of a code, a length and bytes; each becomes a frame of the stream, or raw bytes; then
 * the guest is gone. Oracle: the monitor hears only what a channel may say, in order (hello, then
 * ready), and at last that the guest is lost, with a sentence, or its bye; no descriptor is left
 * open.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/tlv.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"
#include "loop/loop.h"
#include "mux/codec.h"
#include "mux/proto.h"
#include "role/channel/channel.h"
#include "sys/sandbox.h"

#define GUEST_BYTES 100000 /* fits into a socket: the guest needs no turns of its own */
#define DEADLINE_MS 5000
#define ENDS_MAX    8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fuzzer's process goes on: nothing is locked here. */
int sandbox_lock(enum sandbox_profile profile, int dir_fd, struct bb_err *err)
{
	(void)profile;
	(void)dir_fd;
	(void)err;
	return 0;
}

struct world {
	struct loop *loop;
	int monitor;
	bool has_hello, is_ready, is_over;
	int ends[ENDS_MAX]; /* local ends of exec streams and of egress streams */
	size_t end_count;
};

static void keep_end(struct world *w, int fd)
{
	if (w->end_count < ENDS_MAX)
		w->ends[w->end_count++] = fd;
	else
		(void)close(fd);
}

static void tell(struct world *w, uint16_t type, const struct bb_buf *body, int fd)
{
	struct bb_view v = body == NULL ? bb_view_of(NULL, 0) : bb_buf_peek(body);

	assert(ipc_send(w->monitor, type, 5, v, &fd, fd < 0 ? 0 : 1) == 0);
}

/* What a monitor does once the guest is ready: opens a stream, asks, shuts down. */
static void use_guest(struct world *w)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	int pair[2];

	bb_buf_init(&body, 256);
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	assert(bb_tlv_put_u32(&body, 1, PROTO_EXEC) == 0);
	assert(bb_tlv_put_str(&body, 3, "first bytes") == 0);
	assert(write(pair[0], "more bytes", 10) == 10);
	tell(w, IPC_CHANNEL_OPEN, &body, pair[1]);
	(void)close(pair[1]);
	keep_end(w, pair[0]);
	tell(w, IPC_CHANNEL_CHANGED, NULL, -1);
	tell(w, IPC_CHANNEL_SHUTDOWN, NULL, -1);
}

static void check_message(struct world *w, const struct ipc_message *m)
{
	assert(m->fd_count == 0);
	switch (m->type) {
	case IPC_ROLE_READY:
		break;
	case IPC_CHANNEL_HELLO:
		assert(!w->has_hello);
		w->has_hello = true;
		break;
	case IPC_CHANNEL_READY:
		assert(w->has_hello && !w->is_ready);
		if (m->body.n > 0)
			break;
		w->is_ready = true;
		use_guest(w);
		break;
	case IPC_CHANNEL_MAIN_EXIT:
	case IPC_CHANNEL_CHANGED:
	case IPC_CHANNEL_CLOSED:
		assert(w->is_ready);
		break;
	case IPC_CHANNEL_BYE:
	case IPC_CHANNEL_LOST:
		assert(!w->is_over);
		assert(m->type == IPC_CHANNEL_BYE || m->body.n > BB_TLV_HEADER);
		w->is_over = true;
		break;
	default:
		assert(false); /* a message that is not the channel's to send */
	}
}

static void on_message(void *arg, int events)
{
	static uint8_t buffer[LIMIT_IPC_BODY];
	struct world *w = arg;
	struct ipc_message m;
	int r;

	(void)events;
	while ((r = ipc_receive(w->monitor, buffer, &m, NULL)) > 0) {
		check_message(w, &m);
		ipc_message_done(&m);
	}
	if (w->is_over || r == 0)
		loop_stop(w->loop, 0);
}

static void on_deadline(void *arg)
{
	(void)arg;
	assert(false); /* the channel hangs */
}

static int put_frame(struct bb_buf *b, enum mux_type type, uint16_t flags, uint32_t id,
		     struct bb_view body)
{
	const struct mux_header h = { type, flags, id, (uint32_t)body.n };
	uint8_t raw[MUX_HEADER];

	mux_codec_put(raw, &h);
	return bb_buf_append(b, raw, sizeof(raw)) < 0 ? -1 : bb_buf_append_view(b, body);
}

static int put_window(struct bb_buf *b, uint16_t flags, uint32_t id, uint32_t credit)
{
	const struct mux_header h = { MUX_WINDOW, flags, id, credit };
	uint8_t raw[MUX_HEADER];

	mux_codec_put(raw, &h);
	return bb_buf_append(b, raw, sizeof(raw));
}

/* A lifecycle frame whose type is the first byte of the operation. */
static int put_lifecycle(struct bb_buf *b, struct bb_view body)
{
	BB_AUTO_BUF struct bb_buf f = { 0 };

	bb_buf_init(&f, 512);
	if (body.n == 0 || proto_put_frame(&f, body.p[0], body.p + 1, body.n - 1) < 0)
		return 0;
	return put_frame(b, MUX_DATA, 0, 2, bb_buf_peek(&f));
}

/* Host's streams: 2 lifecycle, 4 the exec; the guest's own: 1, 3, 5... */
static int put_op(struct bb_buf *b, uint8_t op, struct bb_view body, uint32_t *next_id)
{
	const struct bb_view none = { 0 };
	uint32_t last = *next_id < 2 ? 1 : *next_id - 2;

	switch (op % 10) {
	case 0:
		return bb_buf_append_view(b, body);
	case 1:
	case 2:
		return put_lifecycle(b, body);
	case 3:
		*next_id += 2;
		return put_window(b, MUX_SYN, *next_id - 2, 0);
	case 4:
		return put_frame(b, MUX_DATA, 0, last, body);
	case 5:
		return put_frame(b, MUX_DATA, MUX_FIN, last, none);
	case 6:
		return put_window(b, MUX_RST, body.n > 0 ? body.p[0] : last, 0);
	case 7:
		return put_frame(b, MUX_DATA, 0, 4, body);
	case 8:
		return put_frame(b, MUX_DATA, MUX_FIN, 4, none);
	default:
		return put_window(b, 0, body.n > 0 ? body.p[0] : 4, (uint32_t)body.n * 1000);
	}
}

static void put_guest(struct bb_buf *b, struct bb_view in)
{
	uint32_t next_id = 1;

	while (in.n >= 2) {
		size_t n = in.p[1];
		struct bb_view body = bb_view_from(in, 2);

		if (n > body.n)
			n = body.n;
		body.n = n;
		if (put_op(b, in.p[0], body, &next_id) < 0)
			break;
		in = bb_view_from(in, 2 + n);
	}
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 3; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void set_up(struct world *w, int stream, int service)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 64);
	assert(bb_tlv_put_u64(&body, 1, DEADLINE_MS) == 0);
	tell(w, IPC_CHANNEL_SETUP, &body, stream);
	bb_buf_reset(&body);
	assert(bb_tlv_put_u32(&body, 1, PROTO_EGRESS) == 0);
	tell(w, IPC_CHANNEL_SERVICE, &body, service);
	tell(w, IPC_SETUP_DONE, NULL, -1);
}

static void run(struct bb_view guest_bytes)
{
	struct world w = { .loop = loop_new() };
	struct loop_fd *watch;
	struct loop_timer *deadline;
	struct channel *c;
	int link[2], service[2], stream[2];

	assert(w.loop != NULL && ipc_pair(link) == 0 && ipc_pair(service) == 0);
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
	w.monitor = link[0];
	assert(bb_fd_set_nonblock(w.monitor, 1) == 0);
	set_up(&w, stream[0], service[0]);
	(void)close(stream[0]);
	(void)close(service[0]);
	assert(bb_fd_write_all(stream[1], guest_bytes.p, guest_bytes.n) == 0);
	assert(shutdown(stream[1], SHUT_WR) == 0);
	c = channel_new(w.loop, link[1]);
	watch = loop_fd_new(w.loop, w.monitor, LOOP_READ, on_message, &w);
	deadline = loop_timer_new(w.loop, on_deadline, &w);
	assert(c != NULL && watch != NULL && deadline != NULL);
	loop_timer_set(deadline, DEADLINE_MS);
	(void)loop_run(w.loop);
	assert(w.is_over);
	loop_fd_free(watch);
	loop_timer_free(deadline);
	channel_free(c);
	loop_free(w.loop);
	for (size_t i = 0; i < w.end_count; i++)
		(void)close(w.ends[i]);
	(void)close(link[0]);
	(void)close(link[1]);
	(void)close(service[1]); /* with the streams' ends that are still in it */
	(void)close(stream[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BB_AUTO_BUF struct bb_buf guest = { 0 };
	int before;

	loop_free(loop_new()); /* the first one of a process opens what libuv keeps */
	before = open_fds();
	bb_buf_init(&guest, GUEST_BYTES);
	put_guest(&guest, bb_view_of(data, size));
	run(bb_buf_peek(&guest));
	assert(open_fds() == before);
	return 0;
}
