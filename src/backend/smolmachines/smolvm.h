/*
 * Running smolvm: found on PATH once, its version read once, every child with the same environment
 * (built from a list, so that no SMOLVM_* variable of the operator's reaches it), output through
 * pipes and bounded, a time limit for each command, and an end to all of it when the launch is
 * interrupted.
 *
 * What smolvm prints is an outsider's: parsed strictly, escaped in messages.
 */
#ifndef BB_BACKEND_SMOLMACHINES_SMOLVM_H
#define BB_BACKEND_SMOLMACHINES_SMOLVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/smolmachines/argv.h"
#include "backend/smolmachines/statepath.h"
#include "backend/smolmachines/version.h"
#include "base/buf.h"
#include "base/err.h"
#include "sys/spawn.h"

#define SMOLVM_OUTPUT_MAX (4 * 1024 * 1024) /* bytes of one command's standard output */
#define SMOLVM_ERROR_MAX  16384             /* bytes of its standard error that are kept */

struct smolvm {
	char *path; /* absolute */
	char **env; /* of every child */
	struct smolvm_version version;
	enum smolvm_mode mode;
	struct smolvm_quirks quirks;
	int interrupt_fd;     /* borrowed; hung up: the running command is ended and -ECANCELED
				 returned. -1: none */
	uint64_t deadline_ms; /* no command runs beyond it (bb_clock_ms()); 0: none */
};

/* The value of a variable in the operator's environment, or NULL: getenv, or a test's. */
typedef const char *smolvm_getenv(const char *name);
const char *smolvm_own_environment(const char *name); /* getenv */

/* The environment of every smolvm child, from a list of names: HOME, PATH, XDG_*, ... */
char **smolvm_environment(smolvm_getenv *get);
/* Looks for a program along PATH: absolute path on the heap, or NULL: not there. */
char *smolvm_search(const char *path_variable, const char *program);

/* Finds smolvm and asks its version. BB_E_MISSING: not there; BB_E_REFUSED: the format or the gate
 * (then ret is usable for removing, and freed by smolvm_done() all the same). */
int smolvm_open(smolvm_getenv *get, struct smolvm *ret, struct bb_err *err);
/* The same of a program and an environment that are known; both are taken. */
int smolvm_open_at(char *path, char **env, struct smolvm *ret, struct bb_err *err);
/*
 * Whether this user can have machines. As root, smolvm from 1.2.5 on gives a machine's process a
 * uid of its own: one that can reach no directory of ours, and that channel would take for another
 * user's. BB_E_REFUSED then, unless the operator has said that it shall stay root.
 */
#define SMOLVM_AS_ROOT_VARIABLE "BOT_BOTTLE_SMOLVM_AS_ROOT"
int smolvm_check_user(const struct smolvm *vm, uid_t uid, struct bb_err *err);
/* A variable of its children's environment, borrowed, or NULL. */
const char *smolvm_variable(const struct smolvm *vm, const char *name);
/* What its children agree on; borrowed from vm. */
struct statepath_env smolvm_paths(const struct smolvm *vm);
void smolvm_done(struct smolvm *vm); /* zeroed struct: no-op */

struct smolvm_result {
	int code;          /* exit code; 128+n for a signal */
	struct bb_buf out; /* standard output */
	struct bb_buf err; /* standard error, its end when it is long */
};
void smolvm_result_done(struct smolvm_result *r);

/* Runs one command to its end (vm->path may be another program: its name is argv's first word);
 * takes argv (NULL: out of memory). input: its standard input, NULL:
 * /dev/null. 0 with the result whatever the exit code is; BB_E_DEADLINE, -ECANCELED, or an error of
 * starting it. */
int smolvm_run(const struct smolvm *vm, char **argv, const struct bb_view *input, int timeout_ms,
	       struct smolvm_result *ret, struct bb_err *err);
/* smolvm's own last words, escaped, on the heap. */
char *smolvm_words(const struct smolvm_result *r);
/* The same, and an exit code other than 0 is an error with smolvm's own words. */
int smolvm_run_checked(const struct smolvm *vm, char **argv, int timeout_ms,
		       struct smolvm_result *ret, struct bb_err *err);

/* A command that lives on, with the caller's descriptors as 0, 1 and 2. Dies with its parent. */
int smolvm_spawn(const struct smolvm *vm, char **argv, const int fds[3], struct spawn_child *ret,
		 struct bb_err *err);

enum smolvm_state {
	SMOLVM_CREATED,
	SMOLVM_RUNNING,
	SMOLVM_STOPPED,
	SMOLVM_FAILED,
	SMOLVM_UNREACHABLE, /* the process lives, its agent does not answer */
	SMOLVM_OTHER,       /* a word that a later version may have added */
};
#define SMOLVM_NUM_STATES 6
extern const char *const smolvm_state_names[SMOLVM_NUM_STATES];

struct smolvm_status {
	char name[SMOLVM_NAME_MAX + 1];
	enum smolvm_state state;
	pid_t pid; /* 0: none */
	bool network;
};

/* Of `ls --json`: an array on the heap and its length. Of `status --json`: one object. */
int smolvm_parse_ls(struct bb_view text, struct smolvm_status **ret, size_t *ret_count,
		    struct bb_err *err);
int smolvm_parse_status(struct bb_view text, struct smolvm_status *ret, struct bb_err *err);

int smolvm_ls(const struct smolvm *vm, struct smolvm_status **ret, size_t *ret_count,
	      struct bb_err *err);
/* -ENOENT: there is no such machine. */
int smolvm_status(const struct smolvm *vm, const char *name, struct smolvm_status *ret,
		  struct bb_err *err);
/* The machine's directory on the heap. */
int smolvm_data_dir(const struct smolvm *vm, const char *name, char **ret, struct bb_err *err);

/* The last lines of the machine's console, escaped, for a message; "" when there are none. */
char *smolvm_console_tail(const char *data_dir);

/*
 * Waits until the machine runs a command and its whole output comes back: an exec that prints a
 * random token. Tries again after 20 ms, doubling to 1 s; ends as soon as one succeeds. At the
 * deadline: BB_E_DEADLINE with the last answer, the machine's state and its last console lines. A
 * machine that has stopped is an error at once.
 */
int wait_exec_ready(const struct smolvm *vm, const char *name, int timeout_ms, struct bb_err *err);
#define SMOLVM_READY_MS 60000

/*
 * stop, wait until its process is gone (killed by its pidfd after a grace), delete, wait until ls
 * does not list it; then what a command that was killed half way left of it (vmdir.h). A machine
 * that is not there: success. vm->interrupt_fd is not heeded. Ends within SMOLVM_REMOVE_MS and a
 * few seconds.
 */
#define SMOLVM_REMOVE_MS 60000
int smolvm_remove(const struct smolvm *vm, const char *name, struct bb_err *err);

#endif
