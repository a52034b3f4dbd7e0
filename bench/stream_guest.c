/* The guest's end of the stream, as bottle-init uses the mux: one loop over poll. */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tlv.h"
#include "mux/mux.h"
#include "mux/proto.h"
#include "stream.h"

struct guest {
	struct mux *mux;
	struct mux_stream *lifecycle, *egress;
	enum bench_way way;
	size_t moved;
	int fd, done_fd;
	uint8_t block[BENCH_BLOCK];
};

/* Writes while the stream takes it. */
static void write_more(struct guest *g)
{
	while (g->egress != NULL && g->way == BENCH_TO_HOST && g->moved < BENCH_BYTES) {
		size_t n = mux_stream_write(g->egress, g->block, sizeof(g->block));

		g->moved += n;
		if (g->moved >= BENCH_BYTES)
			mux_stream_finish(g->egress);
		if (n < sizeof(g->block))
			break;
	}
}

static void say_hello(struct guest *g)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	BB_AUTO_BUF struct bb_buf frames = { 0 };
	struct bb_view v;

	bb_buf_init(&body, 256);
	bb_buf_init(&frames, 1024);
	if (bb_tlv_put_u32(&body, LIFECYCLE_TAG_VERSION, PROTO_VERSION) < 0 ||
	    bb_tlv_put_str(&body, LIFECYCLE_TAG_KERNEL, "bench") < 0)
		bench_die("no memory");
	v = bb_buf_peek(&body);
	if (proto_put_frame(&frames, LIFECYCLE_HELLO, v.p, v.n) < 0 ||
	    proto_put_frame(&frames, LIFECYCLE_READY, NULL, 0) < 0)
		bench_die("no memory");
	v = bb_buf_peek(&frames);
	(void)mux_stream_write(g->lifecycle, v.p, v.n); /* a new stream has room for this */
}

static void open_egress(struct guest *g)
{
	BB_AUTO_BUF struct bb_buf opening = { 0 };
	struct bb_view v;

	bb_buf_init(&opening, 256);
	if (mux_open(g->mux, g, &g->egress) < 0 ||
	    proto_put_open(&opening, PROTO_EGRESS, bb_view_of(NULL, 0)) < 0)
		bench_die("the guest cannot open a stream");
	v = bb_buf_peek(&opening);
	(void)mux_stream_write(g->egress, v.p, v.n);
}

static int on_open(void *arg, struct mux_stream *s)
{
	struct guest *g = arg;

	g->lifecycle = s;
	mux_stream_set_owner(s, g);
	say_hello(g);
	open_egress(g);
	return 0;
}

static void on_readable(void *arg, struct mux_stream *s, void *owner)
{
	struct guest *g = arg;
	size_t n = mux_stream_peek(s).n;

	(void)owner;
	mux_stream_consume(s, n);
	if (s != g->egress || g->way != BENCH_TO_GUEST)
		return;
	g->moved += n;
	if (g->moved == BENCH_BYTES)
		(void)bb_fd_write_all(g->done_fd, "d", 1);
}

static void on_writable(void *arg, struct mux_stream *s, void *owner)
{
	(void)s;
	(void)owner;
	write_more(arg);
}

static void on_reset(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)s;
	(void)owner;
	bench_die("a stream was reset");
}

static void on_output(void *arg)
{
	(void)arg;
}

static const struct mux_handlers handlers = { on_open, on_readable, on_writable, on_reset,
					      on_output };

/* Sends what there is; true when the socket is full. */
static bool flush(struct guest *g)
{
	struct bb_view v;

	while ((v = mux_output(g->mux)).n > 0) {
		ssize_t n = send(g->fd, v.p, v.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0)
			_exit(0); /* the benchmark is over */
		mux_output_consume(g->mux, (size_t)n);
	}
	return false;
}

static void receive(struct guest *g)
{
	static uint8_t chunk[BENCH_BLOCK];
	struct bb_err err = { 0 };
	ssize_t n = recv(g->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		_exit(0);
	if (mux_input(g->mux, chunk, (size_t)n, &err) < 0)
		bench_die(err.msg);
}

static void serve(struct guest *g, int go_fd)
{
	struct pollfd p[2] = { { .fd = g->fd }, { .fd = go_fd, .events = POLLIN } };

	for (;;) {
		bool is_full = flush(g);

		p[0].events = (short)(POLLIN | (is_full ? POLLOUT : 0));
		if (poll(p, 2, -1) < 0)
			bench_die("poll");
		if (p[1].revents != 0) {
			p[1].fd = -1;
			write_more(g);
		}
		if ((p[0].revents & (POLLIN | POLLHUP)) != 0)
			receive(g);
	}
}

pid_t bench_guest(int stream_fd, enum bench_way way, int go_fd, int done_fd)
{
	static struct guest g;
	const struct mux_config config = { .side = MUX_GUEST };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	g = (struct guest){ .way = way, .fd = stream_fd, .done_fd = done_fd };
	memset(g.block, 'x', sizeof(g.block));
	g.mux = mux_new(&config, &handlers, &g);
	if (g.mux == NULL)
		bench_die("no memory");
	serve(&g, way == BENCH_TO_HOST ? go_fd : -1);
	_exit(1);
}
