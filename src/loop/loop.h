/*
 * The event loop of a role: a thin layer over libuv, one loop a process, no threads, none of
 * libuv's pool calls. Each watch has exactly one callback at a time and is cancelled by freeing it;
 * freeing is allowed inside any callback, its own included, and no callback comes afterwards.
 */
#ifndef BB_LOOP_LOOP_H
#define BB_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_fd;
struct loop_timer;
struct loop_signal;

enum {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_HANGUP = 4, /* reported with READ; a watch for 0 events still reports it where the
			    system can */
};

/* NULL: out of memory or descriptors. Only one loop may exist. */
struct loop *loop_new(void);
void loop_free(struct loop *l);
/* Runs until loop_stop(); returns what was given to it. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int code);
uint64_t loop_now_ms(const struct loop *l); /* cached at the start of this turn */

/* Watches a descriptor (borrowed: it must outlive the watch). events may be 0 and changed later. */
typedef void loop_fd_cb(void *arg, int events);
struct loop_fd *loop_fd_new(struct loop *l, int fd, int events, loop_fd_cb *cb, void *arg);
void loop_fd_set(struct loop_fd *w, int events);
void loop_fd_free(struct loop_fd *w); /* NULL is fine */

/* Fires once after delay_ms, then is idle until loop_timer_set() again. */
typedef void loop_timer_cb(void *arg);
struct loop_timer *loop_timer_new(struct loop *l, loop_timer_cb *cb, void *arg); /* idle */
void loop_timer_set(struct loop_timer *t, uint64_t delay_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is fine */

/* Runs cb once, later in this turn or the next: for work that must not happen in the caller's
 * frame. */
void loop_defer(struct loop *l, void (*cb)(void *arg), void *arg);

typedef void loop_signal_cb(void *arg, int signal);
struct loop_signal *loop_signal_new(struct loop *l, int signal, loop_signal_cb *cb, void *arg);
void loop_signal_free(struct loop_signal *s); /* NULL is fine */

#endif
