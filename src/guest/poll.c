/*
 * epoll and timers. The batch of events is kept in the loop so that deleting a watch can blank the
 * events it still has in this turn: no callback ever sees a freed owner.
 */
#include "guest/poll.h"

#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define POLL_BATCH 64

int poll_init(struct poll_loop *l, struct bb_err *err)
{
	*l = (struct poll_loop){ .epoll_fd = -1 };
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return bb_err_errno(err, "epoll");
	l->batch = calloc(POLL_BATCH, sizeof(*l->batch));
	if (l->batch == NULL) {
		poll_done(l);
		return bb_err_set(err, -ENOMEM, "event loop: out of memory");
	}
	return 0;
}

void poll_done(struct poll_loop *l)
{
	if (l->epoll_fd >= 0)
		(void)close(l->epoll_fd); /* nothing to lose */
	free(l->batch);
	*l = (struct poll_loop){ .epoll_fd = -1 };
}

static uint32_t poll_to_epoll(int events)
{
	uint32_t out = 0;

	if (events & POLL_READ)
		out |= EPOLLIN | EPOLLRDHUP;
	if (events & POLL_WRITE)
		out |= EPOLLOUT;
	return out;
}

int poll_add(struct poll_loop *l, struct poll_watch *w, int fd, int events)
{
	w->fd = fd;
	w->events = 0;
	poll_set(l, w, events);
	if (events != 0 && w->events == 0) {
		int r = -errno;

		w->fd = -1;
		return r;
	}
	return 0;
}

void poll_set(struct poll_loop *l, struct poll_watch *w, int events)
{
	struct epoll_event ev = { .events = poll_to_epoll(events), .data = { .ptr = w } };
	int op;

	if (w->fd < 0 || w->events == events)
		return;
	if (events == 0)
		op = EPOLL_CTL_DEL;
	else
		op = w->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	if (epoll_ctl(l->epoll_fd, op, w->fd, &ev) == 0)
		w->events = events;
}

void poll_del(struct poll_loop *l, struct poll_watch *w)
{
	if (w->fd < 0)
		return;
	poll_set(l, w, 0);
	w->fd = -1;
	for (int i = 0; i < l->batch_count; i++)
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
}

void poll_timer_set(struct poll_loop *l, struct poll_timer *t, uint64_t delay_ms)
{
	poll_timer_stop(l, t);
	t->deadline_ms = bb_clock_ms() + delay_ms;
	t->is_set = true;
	t->next = l->timers;
	l->timers = t;
}

void poll_timer_stop(struct poll_loop *l, struct poll_timer *t)
{
	if (!t->is_set)
		return;
	for (struct poll_timer **p = &l->timers; *p != NULL; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->is_set = false;
	t->next = NULL;
}

static int poll_wait_ms(const struct poll_loop *l, int max_wait_ms)
{
	int wait = max_wait_ms;

	for (const struct poll_timer *t = l->timers; t != NULL; t = t->next) {
		int left = bb_clock_left_ms(t->deadline_ms);

		if (wait < 0 || left < wait)
			wait = left;
	}
	return wait;
}

/* A callback may set or stop any timer, so the search starts again after each. */
static void poll_run_timers(struct poll_loop *l)
{
	uint64_t now = bb_clock_ms();

	for (;;) {
		struct poll_timer *due = NULL;

		for (struct poll_timer *t = l->timers; t != NULL; t = t->next)
			if (t->deadline_ms <= now &&
			    (due == NULL || t->deadline_ms < due->deadline_ms))
				due = t;
		if (due == NULL)
			return;
		poll_timer_stop(l, due);
		due->cb(due->arg);
	}
}

static int poll_from_epoll(uint32_t events)
{
	int out = 0;

	if (events & (EPOLLIN | EPOLLRDHUP))
		out |= POLL_READ;
	if (events & EPOLLOUT)
		out |= POLL_WRITE;
	if (events & (EPOLLHUP | EPOLLERR))
		out |= POLL_HANGUP;
	return out;
}

int poll_turn(struct poll_loop *l, int max_wait_ms)
{
	int n = epoll_wait(l->epoll_fd, l->batch, POLL_BATCH, poll_wait_ms(l, max_wait_ms));

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	l->batch_count = n;
	for (int i = 0; i < n; i++) {
		struct poll_watch *w = l->batch[i].data.ptr;

		if (w != NULL)
			w->cb(w->arg, poll_from_epoll(l->batch[i].events));
	}
	l->batch_count = 0;
	poll_run_timers(l);
	return 0;
}
