/*
 * The relay. A transparent connection begins with our CONNECT: until its answer is there nothing is
 * read from the client, and the answer itself is not the client's. Half-closes go through both
 * ways; a reset of one side is a reset of the other.
 */
#include "guest/relay.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/tlv.h"
#include "guest/frames.h"

#define RELAY_CHUNK 65536
#define RELAY_TURNS 4 /* chunks in one go before the others get their turn */

struct relay {
	struct peer peer;
	struct guest *guest;
	struct relay **list;
	size_t *count;
	struct relay *next;
	int fd;
	struct poll_watch watch;
	struct bb_buf pre;    /* opening and CONNECT, not yet sent */
	struct bb_buf answer; /* to the CONNECT, while it comes */
	bool is_waiting;      /* for that answer */
	bool has_client_eof;  /* the client's half is closed, the stream was told */
	bool has_stream_eof;  /* likewise the other way */
	bool is_blocked;      /* the client does not take what the stream has */
};

void relay_refuse(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* else: a plain close */
	(void)close(fd);                                                /* resets */
}

/* Frees r. */
static void relay_end(struct relay *r, bool is_reset)
{
	poll_del(&r->guest->loop, &r->watch);
	if (is_reset)
		relay_refuse(r->fd);
	else
		(void)close(r->fd);         /* everything was sent */
	mux_stream_release(r->peer.stream); /* resets what is open */
	bb_buf_done(&r->pre);
	bb_buf_done(&r->answer);
	for (struct relay **p = r->list; *p != NULL; p = &(*p)->next) {
		if (*p == r) {
			*p = r->next;
			break;
		}
	}
	(*r->count)--;
	free(r);
}

/* What the descriptor is watched for follows from the state alone. */
static void relay_watch(struct relay *r)
{
	int events = 0;

	if (!r->is_waiting && !r->has_client_eof && mux_stream_writable(r->peer.stream) > 0)
		events |= POLL_READ;
	if (r->is_blocked)
		events |= POLL_WRITE;
	poll_set(&r->guest->loop, &r->watch, events);
}

/* Client to stream. False: r is gone. */
static bool relay_pull(struct relay *r)
{
	static uint8_t chunk[RELAY_CHUNK];

	for (int i = 0; i < RELAY_TURNS && !r->has_client_eof && !r->is_waiting; i++) {
		size_t room = mux_stream_writable(r->peer.stream);
		ssize_t n;

		if (room == 0)
			break;
		n = read(r->fd, chunk, room < sizeof(chunk) ? room : sizeof(chunk));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			relay_end(r, true);
			return false;
		}
		if (n == 0) {
			r->has_client_eof = true;
			mux_stream_finish(r->peer.stream);
			break;
		}
		(void)mux_stream_write(r->peer.stream, chunk, (size_t)n); /* room was asked for */
		if ((size_t)n < sizeof(chunk))
			break;
	}
	return true;
}

/* Takes the answer's head from the stream, to its empty line and not one byte more.
 * 1: accepted. 0: more must come. Negative: refused, or no HTTP at all. */
static int relay_read_answer(struct relay *r)
{
	for (;;) {
		struct bb_view v = mux_stream_peek(r->peer.stream), all;
		size_t before = bb_buf_size(&r->answer), n = v.n;
		const uint8_t *end;

		if (n == 0)
			return mux_stream_at_eof(r->peer.stream) ? -1 : 0;
		if (n > bb_buf_room(&r->answer))
			n = bb_buf_room(&r->answer);
		if (n == 0 || bb_buf_append(&r->answer, v.p, n) < 0)
			return -1;
		all = bb_buf_peek(&r->answer);
		end = memmem(all.p, all.n, "\r\n\r\n", 4);
		if (end != NULL)
			n = (size_t)(end - all.p) + 4 - before;
		mux_stream_consume(r->peer.stream, n);
		if (end == NULL)
			continue;
		return all.n > 12 && memcmp(all.p, "HTTP/1.", 7) == 0 &&
				       memcmp(all.p + 8, " 200", 4) == 0
			       ? 1
			       : -1;
	}
}

/* Stream to client. False: r is gone. */
static bool relay_push(struct relay *r)
{
	r->is_blocked = false;
	if (r->is_waiting) {
		int got = relay_read_answer(r);

		if (got < 0) {
			relay_end(r, true);
			return false;
		}
		if (got == 0)
			return true;
		r->is_waiting = false;
		bb_buf_done(&r->answer);
	}
	for (;;) {
		struct bb_view v = mux_stream_peek(r->peer.stream);
		ssize_t n;

		if (v.n == 0)
			break;
		n = write(r->fd, v.p, v.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			r->is_blocked = true;
			return true;
		}
		if (n < 0) {
			relay_end(r, true);
			return false;
		}
		mux_stream_consume(r->peer.stream, (size_t)n);
	}
	if (mux_stream_at_eof(r->peer.stream) && !r->has_stream_eof) {
		r->has_stream_eof = true;
		(void)shutdown(r->fd, SHUT_WR); /* a client that is gone is seen by the next read */
	}
	return true;
}

static void relay_go_on(struct relay *r)
{
	if (frames_flush(&r->pre, r->peer.stream) && (!relay_push(r) || !relay_pull(r)))
		return;
	if (r->has_client_eof && r->has_stream_eof)
		relay_end(r, false);
	else
		relay_watch(r);
}

static void relay_on_stream(void *peer)
{
	relay_go_on(peer);
}

static void relay_on_reset(void *peer)
{
	relay_end(peer, true);
}

static void relay_on_client(void *arg, int events)
{
	(void)events; /* read() and write() say what it is */
	relay_go_on(arg);
}

static const struct peer_ops relay_ops = {
	.readable = relay_on_stream,
	.writable = relay_on_stream,
	.reset = relay_on_reset,
};

static int relay_prepare(struct relay *r, const char *authority)
{
	BB_AUTO_BUF struct bb_buf fields = { 0 };
	int e;

	bb_buf_init(&fields, 64);
	bb_buf_init(&r->pre, 2048);
	bb_buf_init(&r->answer, LIMIT_GUEST_CONNECT_ANSWER);
	e = bb_tlv_put_u32(&fields, PROTO_EGRESS_PATH, authority != NULL ? 1 : 2);
	if (e == 0)
		e = proto_put_open(&r->pre, PROTO_EGRESS, bb_buf_peek(&fields));
	if (e == 0 && authority != NULL)
		e = bb_buf_printf(&r->pre, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority,
				  authority);
	return e;
}

/* Takes its place in the list and goes on as far as it can. */
static void relay_begin(struct guest *g, struct relay *r, struct relay **list, size_t *count)
{
	r->peer.ops = &relay_ops;
	r->guest = g;
	r->list = list;
	r->count = count;
	r->watch = (struct poll_watch){ .cb = relay_on_client, .arg = r };
	r->next = *list;
	*list = r;
	(*count)++;
	(void)poll_add(&g->loop, &r->watch, r->fd, 0); /* nothing is watched yet */
	relay_go_on(r);
}

void relay_start(struct guest *g, struct relay **list, size_t *count, const struct relay_plan *plan)
{
	struct relay *r = NULL;

	if (*count < LIMIT_GUEST_CONNECTIONS && !g->is_ending)
		r = calloc(1, sizeof(*r));
	if (r == NULL || relay_prepare(r, plan->authority) < 0 ||
	    mux_open(g->mux, r, &r->peer.stream) < 0) {
		relay_refuse(plan->fd);
		if (r != NULL) {
			bb_buf_done(&r->pre);
			free(r);
		}
		return;
	}
	r->fd = plan->fd;
	r->is_waiting = plan->authority != NULL;
	relay_begin(g, r, list, count);
}

int relay_join(struct guest *g, struct relay **list, size_t *count, struct mux_stream *stream,
	       int fd)
{
	struct relay *r = NULL;

	if (*count < LIMIT_GUEST_CONNECTIONS && !g->is_ending)
		r = calloc(1, sizeof(*r));
	if (r == NULL) {
		(void)close(fd); /* nothing was sent */
		return -EMFILE;
	}
	r->peer.stream = stream;
	r->fd = fd;
	mux_stream_set_owner(stream, r);
	relay_begin(g, r, list, count);
	return 0;
}

void relay_free_all(struct relay **list, size_t *count)
{
	while (*list != NULL)
		relay_end(*list, true);
	*count = 0;
}
