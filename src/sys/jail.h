/*
 * A jail: a process tree in fresh user, mount, pid, net, ipc, uts and cgroup namespaces with a root
 * built from a list, no capability in any set, no new privileges, a seccomp filter, limits, and
 * exactly the named descriptors. The namespace backend runs the bottle in one; the microvm backend
 * runs QEMU in one. Works as an ordinary user where the host allows unprivileged user namespaces,
 * and as root.
 */
#ifndef BB_SYS_JAIL_H
#define BB_SYS_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/spawn.h"

enum jail_mount_kind {
	JAIL_BIND_RO,    /* source (host path) at target, recursive, read-only, nosuid, nodev */
	JAIL_BIND_DEV,   /* one device node, e.g. /dev/kvm, /dev/null */
	JAIL_TMPFS,      /* size bytes and inode count, mode */
	JAIL_DIR,        /* an empty directory */
	JAIL_FILE,       /* a file with content (on the root's own tmpfs), owned by the agent */
	JAIL_SYMLINK,    /* source is the link's text */
	JAIL_OVERLAY_RO, /* source "upper:lower:..." of read-only layers, first on top */
	JAIL_PROC,       /* a fresh proc, hidepid where possible */
	JAIL_DEVPTS,
};

struct jail_mount {
	enum jail_mount_kind kind;
	const char *source, *target; /* target: absolute path inside */
	uint64_t size;               /* TMPFS: bytes */
	uint32_t mode;               /* TMPFS, DIR, FILE */
	const void *content;         /* FILE */
	size_t content_size;
	bool is_optional; /* a missing source is skipped */
};

enum jail_filter {
	JAIL_FILTER_GUEST, /* the agent's: see backend/namespace */
	JAIL_FILTER_VMM,   /* on top of QEMU's own: no exec, socket, namespaces, ptrace, bpf,
			    * io_uring,   keyctl; installed so that it starts to bite after exec of
			    * the   VMM itself */
	JAIL_FILTER_TOOL,  /* a program of the host over bytes of a guest (sandbox_lock_tool()): the
			    * guest's without sockets, tracing and signals to others */
	JAIL_FILTER_NONE,  /* for tests only: proves that what remains holds by itself */
};

struct jail_limits {
	uint64_t memory;    /* bytes; cgroup where delegated, else RLIMIT_DATA a process; 0: none */
	uint32_t pids;      /* cgroup or RLIMIT_NPROC in the user namespace; 0: none */
	uint64_t file_size; /* RLIMIT_FSIZE; 0: none */
	uint32_t open_files; /* RLIMIT_NOFILE; 0: 1024 */
};

struct jail_plan {
	const char *name; /* for messages and the cgroup's name */
	const struct jail_mount *mounts;
	size_t mount_count;
	const char *path; /* program, as seen inside */
	char *const *argv, *const *envp;
	const struct spawn_fd *fds;
	size_t fd_count;
	uint32_t uid, gid;    /* inside; 1000 for the agent */
	bool wants_uid_range; /* map 0..65535 when newuidmap and a subuid range exist, else one uid
			       */
	bool needs_loopback;  /* lo up and routes that make every address local (sys/loopback.h) */
	enum jail_filter filter;
	struct jail_limits limits;
	const char *hostname;
};

struct jail; /* opaque: the first process (pid 1 inside) and what must be released */

/* Makes the jail's first process, which builds the rest by itself. The plan is not needed
 * afterwards.
 */
int jail_begin(const struct jail_plan *plan, struct jail **ret, struct bb_err *err);
/* Waits: 0 when the program was executed inside; else a sentence saying which step failed and what
 * to allow, and the jail is to be freed. Once. */
int jail_finish(struct jail *j, struct bb_err *err);
/* Both. */
int jail_start(const struct jail_plan *plan, struct jail **ret, struct bb_err *err);
int jail_pidfd(
	const struct jail *j); /* borrowed; readable when pid 1 has ended (so all of it has) */
pid_t jail_pid(const struct jail *j);
int jail_exit_code(struct jail *j); /* once ended; -EAGAIN before */
/* Kills all of it, waits, removes the cgroup, frees. NULL is fine. */
void jail_free(struct jail *j);

/* Removes what a jail of this name left in the cgroup file system after its monitor was killed.
 * Does nothing while one lives, and nothing where there is nothing. */
void jail_reap(const char *name);

/* Can this user limit memory and processes of a whole jail, or only those of each process? */
bool jail_has_cgroup(void);

/* Can this user make a jail? 0, or a sentence naming the sysctl or package
 * (kernel.unprivileged_userns_clone, user.max_user_namespaces, AppArmor's restriction). Proves it
 * by making one. */
int jail_probe(struct bb_err *err);

#endif
