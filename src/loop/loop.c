/*
 * The event loop over libuv; see loop.h. A handle that libuv still holds when it is freed stays
 * allocated until uv_close()'s callback: the wrapper marks it dead first, so that its own callback
 * never runs again.
 */
#include "loop/loop.h"

#include <stdlib.h>
#include <uv.h>

struct deferred {
	void (*cb)(void *arg);
	void *arg;
	struct deferred *next;
};

struct loop {
	uv_loop_t uv;
	uv_idle_t defer_idle;
	struct deferred *first_deferred, **last_deferred;
	int code;
	bool is_stopping;
};

struct loop_fd {
	uv_poll_t uv;
	loop_fd_cb *cb;
	void *arg;
	int events;
};

struct loop_timer {
	uv_timer_t uv;
	loop_timer_cb *cb;
	void *arg;
};

struct loop_signal {
	uv_signal_t uv;
	loop_signal_cb *cb;
	void *arg;
};

static void run_deferred(uv_idle_t *idle)
{
	struct loop *l = idle->data;
	struct deferred *list = l->first_deferred;

	l->first_deferred = NULL;
	l->last_deferred = &l->first_deferred;
	while (list != NULL) {
		struct deferred *d = list;

		list = d->next;
		d->cb(d->arg);
		free(d);
	}
	if (l->first_deferred == NULL)
		(void)uv_idle_stop(&l->defer_idle);
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->last_deferred = &l->first_deferred;
	if (uv_loop_init(&l->uv) < 0) {
		free(l);
		return NULL;
	}
	(void)uv_idle_init(&l->uv, &l->defer_idle); /* cannot fail */
	l->defer_idle.data = l;
	return l;
}

void loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	while (l->first_deferred != NULL) {
		struct deferred *d = l->first_deferred;

		l->first_deferred = d->next;
		free(d);
	}
	uv_close((uv_handle_t *)&l->defer_idle, NULL);
	(void)uv_run(&l->uv, UV_RUN_NOWAIT); /* lets pending closes finish */
	(void)uv_loop_close(&l->uv);
	free(l);
}

int loop_run(struct loop *l)
{
	/* The idle handle keeps the loop alive only while it is active; an owner without watches
	 * has nothing to wait for and would spin, so the loop runs until it is stopped. */
	l->is_stopping = false;
	while (!l->is_stopping)
		if (uv_run(&l->uv, UV_RUN_ONCE) == 0)
			break;
	return l->code;
}

void loop_stop(struct loop *l, int code)
{
	l->code = code;
	l->is_stopping = true;
	uv_stop(&l->uv);
}

uint64_t loop_now_ms(const struct loop *l)
{
	return uv_now(&l->uv);
}

void loop_defer(struct loop *l, void (*cb)(void *arg), void *arg)
{
	struct deferred *d = calloc(1, sizeof(*d));

	if (d == NULL)
		abort(); /* 24 bytes: the process cannot go on in a defined way */
	d->cb = cb;
	d->arg = arg;
	*l->last_deferred = d;
	l->last_deferred = &d->next;
	(void)uv_idle_start(&l->defer_idle, run_deferred);
}

static void free_handle(uv_handle_t *h)
{
	free(h); /* the uv handle is the first member of each wrapper */
}

static void start_poll(struct loop_fd *w);

static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct loop_fd *w = (struct loop_fd *)uv;
	int got = 0;

	if (status < 0) {
		/* EBADF: the descriptor has an error condition (a peer that closed with bytes of
		 * ours unread, for one). libuv has stopped the watch; but there may be bytes to
		 * read before the error, so the watch goes on and the owner's next read or write
		 * tells. Started before the callback, which may free it. */
		start_poll(w);
		w->cb(w->arg, LOOP_READ | LOOP_WRITE | LOOP_HANGUP);
		return;
	}
	if ((events & UV_READABLE) != 0)
		got |= LOOP_READ;
	if ((events & UV_WRITABLE) != 0)
		got |= LOOP_WRITE;
	if ((events & UV_DISCONNECT) != 0)
		got |= LOOP_HANGUP | (w->events & LOOP_READ);
	if (got != 0)
		w->cb(w->arg, got);
}

static void start_poll(struct loop_fd *w)
{
	int events = 0;

	if ((w->events & LOOP_READ) != 0)
		events |= UV_READABLE;
	if ((w->events & LOOP_WRITE) != 0)
		events |= UV_WRITABLE;
	if ((w->events & LOOP_HANGUP) != 0)
		events |= UV_DISCONNECT;
	if (events == 0)
		(void)uv_poll_stop(&w->uv);
	else
		(void)uv_poll_start(&w->uv, events, on_poll);
}

struct loop_fd *loop_fd_new(struct loop *l, int fd, int events, loop_fd_cb *cb, void *arg)
{
	struct loop_fd *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->cb = cb;
	w->arg = arg;
	w->events = events;
	if (uv_poll_init(&l->uv, &w->uv, fd) < 0) {
		free(w);
		return NULL;
	}
	start_poll(w);
	return w;
}

void loop_fd_set(struct loop_fd *w, int events)
{
	if (w->events == events)
		return;
	w->events = events;
	start_poll(w);
}

void loop_fd_free(struct loop_fd *w)
{
	if (w == NULL)
		return;
	(void)uv_poll_stop(&w->uv);
	uv_close((uv_handle_t *)&w->uv, free_handle);
}

static void on_timer(uv_timer_t *uv)
{
	struct loop_timer *t = (struct loop_timer *)uv;

	t->cb(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_timer_cb *cb, void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->cb = cb;
	t->arg = arg;
	(void)uv_timer_init(&l->uv, &t->uv); /* cannot fail */
	return t;
}

void loop_timer_set(struct loop_timer *t, uint64_t delay_ms)
{
	uv_update_time(t->uv.loop); /* a long callback must not shorten the delay */
	(void)uv_timer_start(&t->uv, on_timer, delay_ms, 0);
}

void loop_timer_stop(struct loop_timer *t)
{
	(void)uv_timer_stop(&t->uv);
}

void loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	(void)uv_timer_stop(&t->uv);
	uv_close((uv_handle_t *)&t->uv, free_handle);
}

static void on_signal(uv_signal_t *uv, int signal)
{
	struct loop_signal *s = (struct loop_signal *)uv;

	s->cb(s->arg, signal);
}

struct loop_signal *loop_signal_new(struct loop *l, int signal, loop_signal_cb *cb, void *arg)
{
	struct loop_signal *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->cb = cb;
	s->arg = arg;
	(void)uv_signal_init(&l->uv, &s->uv);
	if (uv_signal_start(&s->uv, on_signal, signal) < 0) {
		loop_signal_free(s);
		return NULL;
	}
	return s;
}

void loop_signal_free(struct loop_signal *s)
{
	if (s == NULL)
		return;
	(void)uv_signal_stop(&s->uv);
	uv_close((uv_handle_t *)&s->uv, free_handle);
}
