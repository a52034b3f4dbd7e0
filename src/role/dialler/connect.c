/*
 * Connecting to the first of some checked addresses that answers: one after another, each given a
 * head start of CONNECT_STAGGER_MS before the next is tried beside it (RFC 8305 5, in small). So a
 * host with a broken v6 route loses a quarter of a second, not a minute.
 */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "role/dialler/dialler_impl.h"

#define CONNECT_STAGGER_MS 250
#define CONNECT_TOTAL_MS   15000

struct attempt {
	struct connecting *connecting;
	int fd;
	struct loop_fd *watch;
};

struct connecting {
	struct loop *loop;
	connect_cb *cb;
	void *arg;
	union address addresses[DIALLER_ADDRESSES];
	struct attempt attempts[DIALLER_ADDRESSES];
	size_t count, started, failed;
	int error; /* of the last failed attempt */
	uint64_t deadline;
	struct loop_timer *timer;
};

static void attempt_drop(struct attempt *a)
{
	loop_fd_free(a->watch);
	a->watch = NULL;
	if (a->fd >= 0)
		(void)close(a->fd);
	a->fd = -1;
}

void connect_cancel(struct connecting *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->started; i++)
		attempt_drop(&c->attempts[i]);
	loop_timer_free(c->timer);
	free(c);
}

static void finish(struct connecting *c, struct attempt *winner, int error)
{
	connect_cb *cb = c->cb;
	void *arg = c->arg;
	union address address = c->addresses[winner == NULL ? 0 : winner - c->attempts];
	int fd = -1;

	if (winner != NULL) {
		loop_fd_free(winner->watch);
		winner->watch = NULL;
		fd = bb_take_fd(&winner->fd);
	}
	connect_cancel(c);
	cb(arg, fd, &address, error);
}

static void start_next(struct connecting *c);

static void attempt_failed(struct attempt *a, int error)
{
	struct connecting *c = a->connecting;

	attempt_drop(a);
	c->error = error;
	c->failed++;
	if (c->started < c->count)
		start_next(c);
	else if (c->failed == c->count)
		finish(c, NULL, c->error);
}

static void on_writable(void *arg, int events)
{
	struct attempt *a = arg;
	int error = 0;
	socklen_t n = sizeof(error);

	(void)events;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error == 0)
		finish(a->connecting, a, 0);
	else
		attempt_failed(a, -error);
}

static int begin(struct attempt *a, const union address *address)
{
	int on = 1;

	a->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -errno;
	/* A request is one write, its body is streamed: waiting for more only delays it. Keepalive
	 * ends a connection whose peer vanished. Neither failing matters. */
	(void)setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(a->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(a->fd, &address->any,
		    address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6)) <
		    0 &&
	    errno != EINPROGRESS)
		return -errno;
	a->watch = loop_fd_new(a->connecting->loop, a->fd, LOOP_WRITE, on_writable, a);
	return a->watch == NULL ? -ENOMEM : 0;
}

static void start_next(struct connecting *c)
{
	struct attempt *a = &c->attempts[c->started];
	int r;

	*a = (struct attempt){ .connecting = c, .fd = -1 };
	r = begin(a, &c->addresses[c->started++]);
	if (r < 0) {
		attempt_failed(a, r);
		return;
	}
	loop_timer_set(c->timer, c->started < c->count ? CONNECT_STAGGER_MS : CONNECT_TOTAL_MS);
}

static void on_timer(void *arg)
{
	struct connecting *c = arg;

	if (loop_now_ms(c->loop) >= c->deadline)
		finish(c, NULL, -ETIMEDOUT);
	else if (c->started < c->count)
		start_next(c);
	else
		loop_timer_set(c->timer, c->deadline - loop_now_ms(c->loop));
}

struct connecting *connect_start(struct loop *loop, const union address *addresses, size_t count,
				 connect_cb *cb, void *arg)
{
	struct connecting *c = calloc(1, sizeof(*c));

	if (c == NULL || count == 0 || count > DIALLER_ADDRESSES) {
		free(c);
		return NULL;
	}
	*c = (struct connecting){ .loop = loop, .cb = cb, .arg = arg, .count = count };
	for (size_t i = 0; i < count; i++)
		c->addresses[i] = addresses[i];
	c->deadline = loop_now_ms(loop) + CONNECT_TOTAL_MS;
	c->timer = loop_timer_new(loop, on_timer, c);
	if (c->timer == NULL) {
		free(c);
		return NULL;
	}
	loop_timer_set(c->timer, 0); /* the first attempt begins outside the caller's frame */
	return c;
}
