/*
 * The channel's core: the descriptor of the one stream, the mux on it, and the link to the monitor.
 * Order of life: SETUP (ops) -> channel_start() -> hello -> provision -> serving -> bye or lost.
 * Where the guest connects (door.c) that comes before the hello.
 */
#include <assert.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "role/channel/channel_impl.h"

static const char *const state_names[] = { "setup",        "accepting", "hello",
					   "provisioning", "serving",   "ending" };
_Static_assert(BB_ARRAY_LEN(state_names) == CHANNEL_NUM_STATES, "one name for each state");

void channel_set_state(struct channel *c, enum channel_state state)
{
	assert(state > c->state);
	bb_debug("state %s -> %s", state_names[c->state], state_names[state]);
	c->state = state;
}

void channel_tell(struct channel *c, uint16_t type, uint32_t id, const struct bb_buf *body)
{
	struct bb_view v = body == NULL ? bb_view_of(NULL, 0) : bb_buf_peek(body);
	int r = ipc_send(c->monitor_fd, type, id, v, NULL, 0);

	if (r < 0) {
		bb_debug("cannot tell the monitor: %s", bb_err_name(r));
		loop_stop(c->loop, 1);
	}
}

void channel_tell_str(struct channel *c, uint16_t type, const char *text)
{
	struct bb_buf body;

	bb_buf_init(&body, 4096);
	if (bb_tlv_put_str(&body, 1, text) == 0)
		channel_tell(c, type, 0, &body);
	bb_buf_done(&body);
}

void channel_tell_u32(struct channel *c, uint16_t type, uint32_t id, uint32_t value)
{
	struct bb_buf body;

	bb_buf_init(&body, 64);
	if (bb_tlv_put_u32(&body, 1, value) == 0)
		channel_tell(c, type, id, &body);
	bb_buf_done(&body);
}

static void drain_relays(void *arg)
{
	relay_drain_all(arg);
}

void channel_lost(struct channel *c, const char *fmt, ...)
{
	char text[BB_ERR_MSG_MAX];
	bool was_told = c->state == CHANNEL_ENDING;
	va_list ap;

	loop_fd_free(bb_take_ptr(&c->stream_watch));
	if (!c->is_stream_gone)
		loop_defer(c->loop, drain_relays, c); /* one of them may be our caller */
	c->is_stream_gone = true;
	if (c->stream_fd >= 0) /* a guest that still talks learns it at once */
		(void)shutdown(c->stream_fd, SHUT_RDWR);
	if (was_told)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	channel_set_state(c, CHANNEL_ENDING);
	if (c->hello_timer != NULL)
		loop_timer_stop(c->hello_timer);
	channel_tell_str(c, IPC_CHANNEL_LOST, text);
}

/* Writes what the mux has; back-pressure of the guest ends here: nothing is read for a stream whose
 * mux output is full. */
static void flush_output(void *arg)
{
	struct channel *c = arg;
	bool is_blocked = false;

	c->is_flush_due = false;
	/* Without a watch there is no stream: it is lost, or its caller was none. Writing wakes
	 * relays that fill the output again: the others get their turn, too. */
	for (int i = 0; c->stream_watch != NULL; i++) {
		struct bb_view v = mux_output(c->mux);
		ssize_t n;

		if (v.n == 0)
			break;
		if (i == CHANNEL_TURNS) {
			is_blocked = true;
			break;
		}
		n = send(c->stream_fd, v.p, v.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			is_blocked = true;
			break;
		}
		/* Nobody takes it any more. What the guest said before it went (a bye, perhaps) is
		 * still unread: the reading side tells the end. */
		if (n < 0)
			n = (ssize_t)v.n;
		mux_output_consume(c->mux, (size_t)n);
	}
	if (c->stream_watch != NULL)
		loop_fd_set(c->stream_watch, LOOP_READ | (is_blocked ? LOOP_WRITE : 0));
}

static void on_output(void *arg)
{
	struct channel *c = arg;

	if (c->is_flush_due)
		return;
	c->is_flush_due = true;
	loop_defer(c->loop, flush_output, c);
}

/* Somebody looked whether the socket answers, and went: back to the door. */
static void forget_caller(struct channel *c)
{
	loop_fd_free(bb_take_ptr(&c->stream_watch));
	if (c->lifecycle != NULL)
		mux_stream_release(bb_take_ptr(&c->lifecycle));
	mux_free(bb_take_ptr(&c->mux));
	bb_buf_reset(&c->provision);
	(void)close(bb_take_fd(&c->stream_fd));
	c->state = CHANNEL_ACCEPTING; /* the one step back: nothing has happened */
	door_guest_left(c->door);
}

static void on_stream(void *arg, int events)
{
	struct channel *c = arg;
	struct bb_err err = { 0 };

	if ((events & LOOP_WRITE) != 0)
		flush_output(c);
	/* A bounded number of reads a turn, so that the other descriptors have theirs. */
	for (int i = 0; i < CHANNEL_TURNS && (events & LOOP_READ) != 0 && c->stream_watch != NULL;
	     i++) {
		ssize_t n = recv(c->stream_fd, c->chunk, CHANNEL_CHUNK, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0 && c->door != NULL) {
			forget_caller(c);
			break;
		}
		door_free(bb_take_ptr(&c->door)); /* it speaks: this is the guest */
		if (n <= 0) {
			channel_lost(c, "the guest closed its stream without a word: it died or "
					"was killed");
			break;
		}
		if (mux_input(c->mux, c->chunk, (size_t)n, &err) < 0) {
			channel_lost(c, "the guest broke the stream's protocol: %s", err.msg);
			break;
		}
		if (n < CHANNEL_CHUNK)
			break;
	}
}

static int on_open(void *arg, struct mux_stream *s)
{
	struct channel *c = arg;

	if (c->state != CHANNEL_SERVING && c->state != CHANNEL_PROVISIONING)
		return -EPROTO;
	return opening_new(c, s);
}

static void on_readable(void *arg, struct mux_stream *s, void *owner)
{
	struct owner *o = owner;

	(void)s;
	if (o != NULL)
		o->ops->on_readable(arg, o);
}

static void on_writable(void *arg, struct mux_stream *s, void *owner)
{
	struct owner *o = owner;

	(void)s;
	if (o != NULL && o->ops->on_writable != NULL)
		o->ops->on_writable(arg, o);
}

static void on_reset(void *arg, struct mux_stream *s, void *owner)
{
	struct owner *o = owner;

	if (o != NULL)
		o->ops->on_reset(arg, o);
	else
		mux_stream_release(s);
}

static const struct mux_handlers mux_handlers = { on_open, on_readable, on_writable, on_reset,
						  on_output };

static void on_hello_deadline(void *arg)
{
	struct channel *c = arg;

	channel_lost(c, "the guest did not %s within %llu ms",
		     c->state == CHANNEL_ACCEPTING ? "connect" : "say hello",
		     (unsigned long long)c->hello_ms);
	door_free(bb_take_ptr(&c->door));
}

static int start_stream(struct channel *c, struct bb_err *err)
{
	const struct mux_config config = { .side = MUX_HOST };

	c->mux = mux_new(&config, &mux_handlers, c);
	c->stream_watch = loop_fd_new(c->loop, c->stream_fd, LOOP_READ, on_stream, c);
	if (c->mux == NULL || c->stream_watch == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	channel_set_state(c, CHANNEL_HELLO);
	return lifecycle_start(c, err);
}

static void fail(struct channel *c, const struct bb_err *err)
{
	bb_error("%s", err->msg);
	channel_tell_str(c, IPC_ROLE_ERROR, err->msg);
	loop_stop(c->loop, 1);
}

void channel_guest_is_in(struct channel *c, int fd)
{
	struct bb_err err = { 0 };

	c->stream_fd = fd;
	if (start_stream(c, &err) < 0)
		fail(c, &err);
}

int channel_start(struct channel *c, struct bb_err *err)
{
	int r;

	if (c->stream_fd < 0 && c->door == NULL)
		return bb_err_set(err, -EPROTO, "the set-up ended without a stream");
	c->hello_timer = loop_timer_new(c->loop, on_hello_deadline, c);
	if (c->hello_timer == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	loop_timer_set(c->hello_timer, c->hello_ms);
	if (c->door == NULL) {
		r = start_stream(c, err);
	} else {
		channel_set_state(c, CHANNEL_ACCEPTING);
		r = door_open(c->door, err);
	}
	return r < 0 ? r : console_start(c);
}

static void on_monitor(void *arg, int events)
{
	struct channel *c = arg;
	struct ipc_message m;
	struct bb_err err = { 0 };
	int r;

	(void)events;
	while ((r = ipc_receive(c->monitor_fd, c->ipc_buffer, &m, &err)) > 0) {
		r = channel_dispatch(c, &m, &err);
		ipc_message_done(&m);
		if (r < 0)
			break;
	}
	if (r == -EAGAIN)
		return;
	if (r < 0)
		fail(c, &err);
	else
		loop_stop(c->loop, 0);
}

struct channel *channel_new(struct loop *loop, int monitor_fd)
{
	struct channel *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->monitor_fd = monitor_fd;
	c->stream_fd = -1;
	c->console_fd = -1;
	c->console_log_fd = -1;
	for (size_t i = 0; i < CHANNEL_SERVICES; i++)
		c->services[i] = -1;
	bb_buf_init(&c->provision, 4u << 20);
	c->ipc_buffer = malloc(LIMIT_IPC_BODY);
	c->chunk = malloc(CHANNEL_CHUNK);
	(void)bb_fd_set_nonblock(monitor_fd, 1);
	c->monitor_watch = loop_fd_new(loop, monitor_fd, LOOP_READ, on_monitor, c);
	if (c->ipc_buffer == NULL || c->chunk == NULL || c->monitor_watch == NULL) {
		channel_free(c);
		return NULL;
	}
	return c;
}

void channel_free(struct channel *c)
{
	if (c == NULL)
		return;
	relay_free_all(c);
	opening_free_all(c);
	console_stop(c);
	door_free(c->door);
	loop_timer_free(c->hello_timer);
	loop_fd_free(c->stream_watch);
	loop_fd_free(c->monitor_watch);
	mux_free(c->mux);
	if (c->stream_fd >= 0)
		(void)close(c->stream_fd);
	for (size_t i = 0; i < CHANNEL_SERVICES; i++)
		if (c->services[i] >= 0)
			(void)close(c->services[i]);
	bb_buf_done(&c->provision);
	free(c->ipc_buffer);
	free(c->chunk);
	free(c);
}
