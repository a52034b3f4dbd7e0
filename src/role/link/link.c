/* A message link on the loop; see link.h. */
#include "role/link/link.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/tlv.h"

#define LINK_QUEUE_MAX 1024 /* messages: egress has a record and a dial for each of its tunnels */
#define LINK_TURN_MAX  16   /* messages received in one turn of the loop: others get theirs too */
#define LINK_TEXT_MAX  4096

struct queued {
	struct queued *next;
	uint16_t type;
	uint32_t id;
	int fds[LIMIT_IPC_FDS];
	int fd_count;
	size_t n;
	uint8_t body[];
};

struct link {
	struct loop *loop;
	int fd;
	struct loop_fd *watch;
	const struct link_handlers *handlers;
	void *arg;
	struct queued *first, **last;
	size_t queued_count;
	int broken;  /* -errno of a send: told on the next turn */
	bool *freed; /* set while a callback runs: where to note that the link was freed */
};

/* One buffer for all links: a message is handled before the next one is received. */
static uint8_t receive_buffer[LIMIT_IPC_BODY];

static void queued_free(struct queued *q)
{
	for (int i = 0; i < q->fd_count; i++)
		(void)close(q->fds[i]);
	free(q);
}

static void tell_gone(struct link *l, const struct bb_err *err)
{
	loop_fd_free(l->watch);
	l->watch = NULL;
	l->handlers->on_gone(l->arg, err);
}

/* Sends what waits. 0 or -errno; -EAGAIN is no error here. */
static int flush_queue(struct link *l)
{
	while (l->first != NULL) {
		struct queued *q = l->first;
		int r = ipc_send(l->fd, q->type, q->id, bb_view_of(q->body, q->n), q->fds,
				 q->fd_count);

		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
		l->first = q->next;
		if (l->first == NULL)
			l->last = &l->first;
		l->queued_count--;
		queued_free(q);
	}
	return 0;
}

/* 1: go on reading; 0: nothing there now; -1: the link is gone, and perhaps freed. */
static int receive_one(struct link *l)
{
	struct ipc_message msg = { 0 };
	struct bb_err err = { 0 };
	bool freed = false;
	int r;

	r = ipc_receive(l->fd, receive_buffer, &msg, &err);
	if (r == -EAGAIN)
		return 0;
	if (r <= 0) {
		tell_gone(l, &err);
		return -1;
	}
	/* cppcheck-suppress autoVariables ; taken back before this function ends */
	l->freed = &freed;
	r = l->handlers->on_message(l->arg, &msg, &err);
	ipc_message_done(&msg);
	if (freed)
		return -1;
	l->freed = NULL;
	if (r < 0) {
		tell_gone(l, &err);
		return -1;
	}
	return 1;
}

static void on_event(void *arg, int events)
{
	struct link *l = arg;
	struct bb_err err = { 0 };
	int r = 1;

	if (l->broken == 0 && (events & LOOP_WRITE) != 0)
		l->broken = flush_queue(l);
	for (int i = 0; i < LINK_TURN_MAX && r > 0; i++)
		r = receive_one(l);
	if (r < 0)
		return;
	if (l->broken < 0) {
		bb_err_set(&err, l->broken, "the link broke: %s", bb_err_name(l->broken));
		tell_gone(l, &err);
		return;
	}
	loop_fd_set(l->watch, LOOP_READ | (l->first != NULL ? LOOP_WRITE : 0));
}

struct link *link_new(struct loop *loop, int fd, const struct link_handlers *handlers, void *arg)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	*l = (struct link){ .loop = loop, .fd = fd, .handlers = handlers, .arg = arg };
	l->last = &l->first;
	if (bb_fd_set_nonblock(fd, 1) < 0) {
		free(l);
		return NULL;
	}
	l->watch = loop_fd_new(loop, fd, LOOP_READ, on_event, l);
	if (l->watch == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

void link_free(struct link *l)
{
	if (l == NULL)
		return;
	if (l->freed != NULL)
		*l->freed = true;
	loop_fd_free(l->watch);
	while (l->first != NULL) {
		struct queued *q = l->first;

		l->first = q->next;
		queued_free(q);
	}
	(void)close(l->fd);
	free(l);
}

static int enqueue(struct link *l, struct queued *q, const int *fds, int fd_count)
{
	for (int i = 0; i < fd_count; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0) {
			int r = -errno;

			queued_free(q);
			return r;
		}
		q->fds[q->fd_count++] = fd;
	}
	*l->last = q;
	l->last = &q->next;
	l->queued_count++;
	loop_fd_set(l->watch, LOOP_READ | LOOP_WRITE);
	return 0;
}

/* The watch reports the end of the link; here the caller only learns that nothing was sent. */
static int break_link(struct link *l, int r)
{
	l->broken = r;
	loop_fd_set(l->watch, LOOP_READ | LOOP_WRITE);
	return r;
}

int link_send(struct link *l, uint16_t type, uint32_t id, struct bb_view body, const int *fds,
	      int fd_count)
{
	struct queued *q;
	int r;

	if (l == NULL || l->watch == NULL || l->broken < 0)
		return -EPIPE;
	if (l->first == NULL) {
		r = ipc_send(l->fd, type, id, body, fds, fd_count);
		if (r != -EAGAIN)
			return r < 0 ? break_link(l, r) : 0;
	}
	if (l->queued_count >= LINK_QUEUE_MAX || body.n > LIMIT_IPC_BODY)
		return break_link(l, -ENOBUFS);
	q = malloc(sizeof(*q) + body.n);
	if (q == NULL)
		return break_link(l, -ENOMEM);
	*q = (struct queued){ .type = type, .id = id, .n = body.n };
	if (body.n > 0)
		memcpy(q->body, body.p, body.n);
	r = enqueue(l, q, fds, fd_count);
	return r < 0 ? break_link(l, r) : 0;
}

int link_send_text(struct link *l, uint16_t type, uint32_t id, const char *text)
{
	size_t n = strnlen(text, LINK_TEXT_MAX);
	BB_AUTO_BUF struct bb_buf body;

	bb_buf_init(&body, BB_TLV_HEADER + LINK_TEXT_MAX);
	if (bb_tlv_put(&body, 1, text, n) < 0)
		return -ENOMEM;
	return link_send(l, type, id, bb_buf_peek(&body), NULL, 0);
}
