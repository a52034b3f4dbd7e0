/*
 * Running the confined git (role/git). The CLI's own process never reads a repository: it gives
 * descriptors of directories, a list on standard input, and takes bytes back.
 */
#ifndef BB_WORKSPACE_GIT_H
#define BB_WORKSPACE_GIT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Waits for events on fd: 1; 0 at the time-out (-1: for ever); negative with a sentence when the
 * operator interrupts. cli_signals_wait() is one. */
typedef int workspace_wait_fn(int fd, short events, int timeout_ms, struct bb_err *err);

#define GIT_DIRS_MAX 8

struct git_call {
	workspace_wait_fn *wait;
	const char *dirs[GIT_DIRS_MAX]; /* paths; the first is where git works */
	const char *access;             /* 'r' or 'w' for each of dirs */
	char *const *env;               /* GIT_DIR=... and the like; NULL: none */
	const char *const *args;        /* behind "git"; NULL-terminated */
	struct bb_view input;           /* standard input; empty: none */
	int in_fd;                      /* used when input is empty; 0: none */
	int out_fd;                     /* where the output goes; 0: into out */
	struct bb_buf *out;             /* NULL: the output is dropped */
	bool may_fail;                  /* exit code 1 is an answer and no error */
};

/* git's exit code (0, or 1 with may_fail), or negative with git's own words, escaped. */
int git_run(const struct git_call *call, struct bb_err *err);

/* Is there a git on this host? */
bool git_is_there(void);

/* The next of NUL-terminated texts; false at the end. *v moves on. */
bool git_next(struct bb_view *v, const char **ret);

#endif
