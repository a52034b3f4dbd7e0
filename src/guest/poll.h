/*
 * The loop of bottle-init: epoll, level-triggered, and a list of timers. bottle-init is static and
 * needs nothing of libuv, and PID 1 should have as little in it as possible.
 *
 * A watch is part of its owner's struct. poll_del() may be called in any callback, its own
 * included: events already fetched for the watch are dropped.
 */
#ifndef BB_GUEST_POLL_H
#define BB_GUEST_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
	POLL_READ = 1,
	POLL_WRITE = 2,
	POLL_HANGUP = 4, /* error or hang-up; always reported, whatever is watched */
};

struct poll_watch {
	int fd; /* borrowed; -1: not watched */
	int events;
	void (*cb)(void *arg, int events);
	void *arg;
};

struct poll_timer {
	bool is_set;
	uint64_t deadline_ms; /* bb_clock_ms() units */
	void (*cb)(void *arg);
	void *arg;
	struct poll_timer *next;
};

struct poll_loop {
	int epoll_fd;
	int batch_count; /* events of the turn that is running */
	struct epoll_event *batch;
	struct poll_timer *timers; /* those that are set */
	bool is_stopped;
	int code;
};

int poll_init(struct poll_loop *l, struct bb_err *err);
void poll_done(struct poll_loop *l);

/* Starts watching fd; 0 or -errno (regular files cannot be watched: -EPERM). */
int poll_add(struct poll_loop *l, struct poll_watch *w, int fd, int events);
/* No events: the descriptor is taken out, so that a hang-up nobody can act on yet does not spin. */
void poll_set(struct poll_loop *l, struct poll_watch *w, int events);
/* Stops watching; call it before closing the descriptor. A watch that is not active is fine. */
void poll_del(struct poll_loop *l, struct poll_watch *w);

void poll_timer_set(struct poll_loop *l, struct poll_timer *t, uint64_t delay_ms);
void poll_timer_stop(struct poll_loop *l, struct poll_timer *t);

/* One turn: waits for events or the next timer, at most max_wait_ms (-1: no bound). */
int poll_turn(struct poll_loop *l, int max_wait_ms);

#endif
