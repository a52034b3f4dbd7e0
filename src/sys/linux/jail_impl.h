/*
 * A jail's inside, shared by jail*.c. The order of the work, and who does it:
 *
 *   parent (jail.c)                      child (jail_child.c), pid 1 of the new pid namespace
 *   resolve sources
 *   make cgroups
 *   clone with the namespaces  --------> enters its cgroups (version 1), waits
 *   newuidmap                            .
 *   "mapped" --------------------------> set-up namespace: its uid 0 may mount
 *   its cgroup (version 2)               hostname, lo, mounts (jail_mounts.c), pivot_root
 *   "go" ------------------------------> cgroup namespace
 *                                        inner user and mount namespace: the agent's ids only; the
 *                                        mounts become unchangeable, nothing outside is owned
 *                                        uid, capabilities, limits, descriptors, seccomp
 *   <---------------------------------- "executing", then end of file at exec, or a failure:
 *                                       jail_finish() waits for it
 *
 * The caller's real root needs no set-up user namespace: it mounts as itself and only the inner
 * namespace is made, with a high range of host ids.
 */
#ifndef BB_SYS_LINUX_JAIL_IMPL_H
#define BB_SYS_LINUX_JAIL_IMPL_H

#include "sys/jail.h"

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x00000001
#define MOUNT_ATTR_NOSUID 0x00000002
#define MOUNT_ATTR_NODEV  0x00000004
#define MOUNT_ATTR_NOEXEC 0x00000008
#endif

#define JAIL_MAP_MAX     128
#define JAIL_CGROUPS_MAX 2
#define JAIL_PATH_MAX    4096

enum jail_id_mode {
	JAIL_IDS_SINGLE, /* ordinary user: one uid, written by the child itself */
	JAIL_IDS_RANGE,  /* ordinary user with newuidmap and a subuid range */
	JAIL_IDS_ROOT,   /* real root: no set-up user namespace, a high range of the host's ids */
};

struct jail_range {
	uint32_t start, count; /* count 0: none */
};

struct jail_ids {
	enum jail_id_mode mode;
	uint32_t host_uid, host_gid;   /* the caller's effective ids */
	struct jail_range uids, gids;  /* of the host: RANGE and ROOT */
	uint32_t agent_uid, agent_gid; /* the agent, as the set-up namespace numbers it */
	char inner_uids[JAIL_MAP_MAX], inner_gids[JAIL_MAP_MAX]; /* for uid_map and gid_map */
};

struct jail_cgroup {
	char *dirs[JAIL_CGROUPS_MAX]; /* owned */
	size_t count;
	bool has_memory, has_pids; /* enforced there; the child sets rlimits for the rest */
	bool enters_itself;        /* version 1: see jail_cgroup_enter() */
};

/* The parent's second message to the child (the first is one byte: the ids are mapped). What no
 * cgroup enforces the child limits itself. */
struct jail_go {
	bool has_cgroup_memory, has_cgroup_pids;
};

/* What the child gets, in its copy of the parent's memory. */
struct jail_work {
	const struct jail_plan *plan;
	char **sources; /* one a mount: resolved host path, NULL for none or a skipped one */
	struct jail_ids ids;
	struct jail_cgroup cgroup;
	struct jail_go go;
	bool probe_only; /* end with 0 where the program would be executed */
	int control_fd;  /* child's end, SOCK_SEQPACKET */
	int null_fd;
};

/* The child's messages on the control socket. */
enum jail_message {
	JAIL_MESSAGE_FAILED,    /* code and sentence */
	JAIL_MESSAGE_LISTENER,  /* with the seccomp listener: answer one execve, then close it */
	JAIL_MESSAGE_EXECUTING, /* end of file after this one means success */
};
struct jail_report {
	int32_t kind; /* enum jail_message */
	int32_t code;
	char text[BB_ERR_MSG_MAX];
};

/* jail_ids.c */
int jail_ids_choose(const struct jail_plan *plan, struct jail_ids *ret, struct bb_err *err);
/* What to allow when the host does not let this user make namespaces; error is an errno. */
int jail_ids_explain(enum jail_id_mode mode, int error, struct bb_err *err);
/* From outside: the user namespace of process pid knows the caller's own ids, unchanged. */
int jail_ids_map_self(const struct jail_ids *ids, pid_t pid, struct bb_err *err);
/* Parent: the set-up namespace's maps of `pid` through newuidmap and newgidmap (RANGE only). */
int jail_ids_map_range(const struct jail_ids *ids, pid_t pid, struct bb_err *err);
/* Child: the set-up namespace's maps, written by itself (SINGLE only); then its uid 0. */
int jail_ids_enter_setup(const struct jail_ids *ids, struct bb_err *err);
/* Child: the inner user namespace (with a mount namespace of its own), and the agent's ids in it.
 * proc_self_fd: this process's directory of a /proc that may be written. */
int jail_ids_enter_inner(const struct jail_ids *ids, const struct jail_plan *plan, int proc_self_fd,
			 struct bb_err *err);

/* jail_mounts.c; child, in the set-up namespace. Afterwards "/" is the jail's root. */
int jail_mounts_build(const struct jail_work *w, struct bb_err *err);
/* flags: MOUNT_ATTR_*. */
int jail_bind(const char *source, const char *at, uint64_t flags, bool is_recursive,
	      struct bb_err *err);

/* jail_proc.c; child, while the host's own /proc is still there. */
int jail_mount_proc(const struct jail_work *w, const char *at, struct bb_err *err);

/* jail_child.c; never returns. */
_Noreturn void jail_child_run(struct jail_work *w);

/* jail_cgroup.c. Best effort by nature: has_* say what is enforced; never fails a start. */
void jail_cgroup_make(const char *name, const struct jail_limits *limits, struct jail_cgroup *ret);
/* Parent: moves the child into its version 2 group; one that refuses is removed. */
void jail_cgroup_move(struct jail_cgroup *g, pid_t pid);
/*
 * Child, while it has one thread: enters its version 1 groups. A process that moves another, or a
 * whole process, waits for all processors to have noticed (some 10 ms); a thread that moves itself
 * does not. Clears has_* of what refuses.
 */
void jail_cgroup_enter(struct jail_cgroup *g);
void jail_cgroup_remove(struct jail_cgroup *g);

#endif
