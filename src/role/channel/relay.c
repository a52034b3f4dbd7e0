/*
 * Bytes between one mux stream and one local descriptor, with back-pressure both ways: nothing is
 * read that cannot be passed on. A local end of file becomes a FIN, a FIN a shutdown(SHUT_WR); a
 * reset closes the local end, a local error resets the stream. A relay ends when both directions
 * have.
 */
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "ipc/messages.h"
#include "role/channel/channel_impl.h"

struct relay {
	struct owner owner; /* first */
	struct channel *c;
	struct mux_stream *stream;
	struct relay *next;
	struct loop_fd *watch;
	struct bb_buf first; /* goes out before the bytes of fd */
	int fd;
	uint32_t id;
	bool is_sink;
	bool has_local_eof;  /* FIN is sent */
	bool has_remote_eof; /* shutdown is done */
	uint64_t most, written;
};

static void relay_free(struct relay *r)
{
	struct relay **at = &r->c->relays;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	loop_fd_free(r->watch);
	if (r->fd >= 0)
		(void)close(r->fd);
	bb_buf_done(&r->first);
	free(r);
}

static void relay_end(struct relay *r, int code)
{
	struct channel *c = r->c;
	uint32_t id = r->id;

	mux_stream_release(r->stream);
	relay_free(r);
	if (id != 0)
		channel_tell_u32(c, IPC_CHANNEL_CLOSED, id, (uint32_t)code);
}

/* Which events matter now: reading needs room in the stream, writing needs bytes that wait. */
static void set_events(struct relay *r)
{
	bool may_read = !r->is_sink && !r->has_local_eof && bb_buf_size(&r->first) == 0 &&
			mux_stream_writable(r->stream) > 0;
	bool must_write = !r->has_remote_eof && mux_stream_peek(r->stream).n > 0;

	if (r->watch != NULL)
		loop_fd_set(r->watch, (may_read ? LOOP_READ : 0) | (must_write ? LOOP_WRITE : 0));
}

/* Local -> stream. False when the relay is gone. */
static bool pump_out(struct relay *r)
{
	if (bb_buf_size(&r->first) > 0) {
		struct bb_view v = bb_buf_peek(&r->first);

		bb_buf_consume(&r->first, mux_stream_write(r->stream, v.p, v.n));
		if (bb_buf_size(&r->first) > 0)
			return true;
	}
	if (r->is_sink && !r->has_local_eof) {
		/* A sink has nothing more to say; but an EXEC stream that is finished counts as
		 * lost, so the stream stays half open until the guest ends it. */
		r->has_local_eof = true;
		return true;
	}
	for (int turns = 0; !r->has_local_eof && turns < CHANNEL_TURNS; turns++) {
		size_t room = 0;
		uint8_t *dst = mux_stream_reserve(r->stream, &room);
		ssize_t n;

		if (dst == NULL)
			break; /* on_writable comes */
		n = recv(r->fd, dst, room, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			relay_end(r, errno);
			return false;
		}
		if (n == 0) {
			mux_stream_finish(r->stream);
			r->has_local_eof = true;
			break;
		}
		mux_stream_commit(r->stream, (size_t)n);
	}
	return true;
}

static ssize_t write_local(struct relay *r, struct bb_view v)
{
	ssize_t n;

	if (!r->is_sink)
		return send(r->fd, v.p, v.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (r->most > 0 && v.n > r->most - r->written)
		v.n = (size_t)(r->most - r->written);
	if (v.n == 0)
		return 0;
	n = write(r->fd, v.p, v.n);
	if (n > 0)
		r->written += (uint64_t)n;
	return n;
}

/* Stream -> local. False when the relay is gone. */
static bool pump_in(struct relay *r)
{
	for (;;) {
		struct bb_view v = mux_stream_peek(r->stream);
		ssize_t n;

		if (v.n == 0)
			break;
		n = write_local(r, v);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			relay_end(r, errno);
			return false;
		}
		/* A sink at its cap takes and drops the rest. */
		mux_stream_consume(r->stream, n == 0 && r->is_sink ? v.n : (size_t)n);
	}
	if (r->c->is_stream_gone && mux_stream_peek(r->stream).n == 0) {
		relay_end(r, mux_stream_at_eof(r->stream) ? 0 : ECONNRESET);
		return false;
	}
	if (mux_stream_at_eof(r->stream) && !r->has_remote_eof) {
		r->has_remote_eof = true;
		if (!r->is_sink)
			(void)shutdown(
				r->fd,
				SHUT_WR); /* ENOTCONN: the peer is gone, which reading tells */
	}
	if (r->has_remote_eof && r->has_local_eof) {
		relay_end(r, 0);
		return false;
	}
	return true;
}

static void on_local(void *arg, int events)
{
	struct relay *r = arg;

	if ((events & (LOOP_READ | LOOP_HANGUP)) != 0 && !pump_out(r))
		return;
	if (pump_in(r))
		set_events(r);
}

static void on_readable(struct channel *c, struct owner *o)
{
	struct relay *r = (struct relay *)o;

	(void)c;
	if (pump_in(r))
		set_events(r);
}

static void on_writable(struct channel *c, struct owner *o)
{
	struct relay *r = (struct relay *)o;

	(void)c;
	if (pump_out(r) && pump_in(r))
		set_events(r);
}

static void on_reset(struct channel *c, struct owner *o)
{
	(void)c;
	relay_end((struct relay *)o, ECONNRESET);
}

static const struct owner_ops relay_ops = { on_readable, on_writable, on_reset };

int relay_new(struct channel *c, const struct relay_plan *plan)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		(void)close(plan->fd);
		return -ENOMEM;
	}
	r->owner.ops = &relay_ops;
	r->c = c;
	r->stream = plan->stream;
	r->fd = plan->fd;
	r->id = plan->id;
	r->is_sink = plan->is_sink;
	r->most = plan->most;
	r->next = c->relays;
	c->relays = r;
	bb_buf_init(&r->first, plan->first.n);
	/* A regular file cannot be polled and never blocks; a socket or pipe is watched. */
	(void)bb_fd_set_nonblock(r->fd, 1);
	r->watch = loop_fd_new(c->loop, r->fd, 0, on_local, r);
	if ((!r->is_sink && r->watch == NULL) || bb_buf_append_view(&r->first, plan->first) < 0) {
		relay_free(r);
		return -ENOMEM;
	}
	mux_stream_set_owner(plan->stream, &r->owner);
	if (pump_out(r) && pump_in(r))
		set_events(r);
	return 0;
}

void relay_drain_all(struct channel *c)
{
	struct relay *next;

	for (struct relay *r = c->relays; r != NULL; r = next) {
		next = r->next;
		r->has_local_eof = true; /* nobody is left to send to */
		if (pump_in(r))
			set_events(r);
	}
}

void relay_free_all(struct channel *c)
{
	while (c->relays != NULL)
		relay_free(c->relays);
}
