/*
 * Starting programs: argv and environment given in full, descriptors placed exactly, everything
 * else closed. The child gets default signal dispositions and an empty mask, PR_SET_PDEATHSIG
 * SIGKILL where asked, and is watched by a pidfd: nothing is ever signalled by a number read from
 * somewhere.
 */
#ifndef BB_SYS_SPAWN_H
#define BB_SYS_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct spawn_fd {
	int from; /* borrowed */
	int to;   /* number in the child */
};

struct spawn_plan {
	const char *path;           /* absolute */
	char *const *argv;          /* NULL-terminated; argv[0] included */
	char *const *envp;          /* NULL-terminated; NULL: empty environment */
	const struct spawn_fd *fds; /* 0,1,2 not named here become /dev/null */
	size_t fd_count;
	const char *cwd;       /* NULL: "/" */
	bool dies_with_parent; /* PDEATHSIG; the caller's thread must be the one that lives on */
	bool new_session;      /* setsid() */
};

struct spawn_child {
	pid_t pid;
	int pidfd; /* readable when the child has ended; owned */
};

/* A child that was made and may not have been executed yet. */
struct spawn_pending {
	struct spawn_child child;
	int report_fd; /* owned; -1 once spawn_finish() was called */
	const char *path;
};

/* 0 and the child, or an error that names the program (exec failure included: reported by the child
 * over a CLOEXEC pipe, so success means that exec succeeded). */
int spawn_start(const struct spawn_plan *plan, struct spawn_child *ret, struct bb_err *err);
/* The same in two steps, so that several programs are loaded at once: spawn_begin() makes the
 * child, spawn_finish() waits for its exec. plan->path lives until then. A child that was begun is
 * finished: it ends by itself otherwise, but its pidfd would stay. */
int spawn_begin(const struct spawn_plan *plan, struct spawn_pending *ret, struct bb_err *err);
int spawn_finish(struct spawn_pending *pending, struct spawn_child *ret, struct bb_err *err);
/* Exit code (128+n for a signal) once pidfd is readable; -EAGAIN while it runs. Closes pidfd on
 * success. */
int spawn_reap(struct spawn_child *child);
/* SIGKILL through the pidfd; harmless when it has ended. */
void spawn_kill(const struct spawn_child *child, int signal);
/* Waits at most timeout_ms, then kills and reaps. Exit code or -ETIMEDOUT (killed). */
int spawn_wait(struct spawn_child *child, int timeout_ms);
/* A pidfd (close-on-exec) of a process that is not our child, or -errno; -ESRCH: there is none. The
 * caller makes sure that the number still meant the process it wanted when it was opened. */
int spawn_watch(pid_t pid);
/* Runs a short helper program to its end with output (stdout, at most out's cap) captured.
 * Exit code, or negative. */
struct bb_buf;
int spawn_run(const struct spawn_plan *plan, int timeout_ms, struct bb_buf *out,
	      struct bb_err *err);

#endif
