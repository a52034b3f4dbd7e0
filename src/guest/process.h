/* Starting one process of a session: environment, directory, user, terminal or pipes. */
#ifndef BB_GUEST_PROCESS_H
#define BB_GUEST_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/view.h"
#include "guest/guest.h"

struct process_plan {
	const struct bb_view *args;
	size_t arg_count;
	const struct bb_view
		*env; /* added to the base environment; a later entry replaces a name */
	size_t env_count;
	struct bb_view cwd; /* empty: the user's home, or "/" where that is missing */
	struct guest_user user;
	bool has_pty;
	uint16_t rows, columns;
};

/* All descriptors are ours, non-blocking, close-on-exec. */
struct process {
	pid_t pid;     /* leader of a session and process group of its own */
	int in_fd;     /* standard input, or the terminal */
	int out_fd;    /* standard output, or the terminal (another descriptor of it) */
	int err_fd;    /* standard error; -1 with a terminal */
	int status_fd; /* end: the program was executed; a struct process_failure: it was not */
};

struct process_failure {
	int code;   /* 125, 126, 127 */
	int number; /* errno */
	char what[16];
};

int process_start(const struct guest *g, const struct process_plan *plan, struct process *ret,
		  struct bb_err *err);

/* NULL-terminated heap vector: defaults for the user, then base, then added; NULL: out of memory.
 */
char **process_environment(const struct guest_user *user, char *const *base,
			   const struct bb_view *added, size_t added_count);

#endif
