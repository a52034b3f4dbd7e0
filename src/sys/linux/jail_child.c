/*
 * The jailed process from its clone to its exec. It is pid 1 of the new pid namespace, a copy of
 * the parent with one thread. Stages, and what each must not do yet:
 *
 *   setup()    still has the set-up namespace's capabilities: mounts, names, network. No descriptor
 *              of the parent is used but the control socket.
 *   become()   the agent's ids; from here no capability counts outside the inner namespace.
 *   confine()  capabilities, limits, descriptors; nothing may be opened by path afterwards, since
 *              that would already be as the agent.
 *   seal()     parent-death signal (an id change would clear it), then seccomp, then exec.
 */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/linux/caps.h"
#include "sys/linux/fdset.h"
#include "sys/linux/filters.h"
#include "sys/linux/jail_impl.h"
#include "sys/linux/process.h"
#include "sys/loopback.h"

#define DEFAULT_OPEN_FILES 1024
/* The bottle is what the host's kernel kills first when memory runs out. */
#define OOM_SCORE "500"

static void report(const struct jail_work *w, enum jail_message kind, const struct bb_err *err)
{
	struct jail_report rep = { .kind = (int32_t)kind };

	if (err != NULL) {
		rep.code = err->code;
		(void)snprintf(rep.text, sizeof(rep.text), "%s", err->msg);
	}
	(void)!write(w->control_fd, &rep,
		     sizeof(rep)); /* a parent that is gone is seen in seal() */
}

static _Noreturn void fail(const struct jail_work *w, const struct bb_err *err)
{
	report(w, JAIL_MESSAGE_FAILED, err);
	_exit(127);
}

static int wait_for_maps(const struct jail_work *w, struct bb_err *err)
{
	char mapped;

	if (read(w->control_fd, &mapped, 1) != 1)
		return bb_err_set(err, BB_E_PART, "the parent is gone");
	return 0;
}

/* In its cgroups: what the cgroup namespace shows as its root from now on. */
static int enter_cgroups(struct jail_work *w, struct bb_err *err)
{
	if (read(w->control_fd, &w->go, sizeof(w->go)) != (ssize_t)sizeof(w->go))
		return bb_err_set(err, BB_E_PART, "the parent is gone");
	w->go.has_cgroup_memory = w->go.has_cgroup_memory && w->cgroup.has_memory;
	w->go.has_cgroup_pids = w->go.has_cgroup_pids && w->cgroup.has_pids;
	if (unshare(CLONE_NEWCGROUP) < 0)
		return bb_err_errno(err, "cgroup namespace");
	return 0;
}

static void raise_oom_score(int proc_self)
{
	BB_AUTO_CLOSE int fd = openat(proc_self, "oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, OOM_SCORE, sizeof(OOM_SCORE) - 1); /* a preference only */
}

static int join_keyring(struct bb_err *err)
{
	/* An anonymous session keyring: none of the operator's keys. ENOSYS: a kernel without keys.
	 */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return bb_err_errno(err, "session keyring");
	return 0;
}

static int setup(const struct jail_work *w, struct bb_err *err)
{
	const struct jail_plan *plan = w->plan;
	const char *hostname = plan->hostname != NULL ? plan->hostname : "bottle";
	int r = jail_ids_enter_setup(&w->ids, err);

	if (r < 0)
		return r;
	(void)umask(022);
	if (sethostname(hostname, strlen(hostname)) < 0)
		return bb_err_errno(err, "hostname '%s'", hostname);
	if (plan->needs_loopback) {
		r = loopback_setup(err);
		if (r < 0)
			return r;
	}
	r = join_keyring(err);
	if (r < 0)
		return r;
	return jail_mounts_build(w, err);
}

static int set_limit(int which, const char *name, rlim_t value, struct bb_err *err)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)which, &limit) < 0)
		return bb_err_errno(err, "limit '%s'", name);
	if (limit.rlim_max != RLIM_INFINITY && value > limit.rlim_max)
		value = limit.rlim_max;
	limit.rlim_cur = value;
	limit.rlim_max = value;
	if (setrlimit((__rlimit_resource_t)which, &limit) < 0)
		return bb_err_errno(err, "limit '%s'", name);
	return 0;
}

/* In the inner namespace, so that RLIMIT_NPROC counts this bottle's processes and no others
 * (Linux 5.14). */
static int set_limits(const struct jail_work *w, struct bb_err *err)
{
	const struct jail_limits *l = &w->plan->limits;
	int r = set_limit(RLIMIT_CORE, "core", 0, err);

	if (r < 0)
		return r;
	r = set_limit(RLIMIT_NOFILE, "open files",
		      l->open_files > 0 ? l->open_files : DEFAULT_OPEN_FILES, err);
	if (r < 0)
		return r;
	if (l->file_size > 0) {
		r = set_limit(RLIMIT_FSIZE, "file size", l->file_size, err);
		if (r < 0)
			return r;
	}
	if (l->memory > 0 && !w->go.has_cgroup_memory) {
		r = set_limit(RLIMIT_DATA, "memory", l->memory, err);
		if (r < 0)
			return r;
	}
	if (l->pids > 0 && !w->go.has_cgroup_pids) {
		r = set_limit(RLIMIT_NPROC, "processes", l->pids, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int confine(struct jail_work *w, struct bb_err *err)
{
	int *keep[] = { &w->control_fd };
	int r = caps_drop_bounding();

	if (r == 0)
		r = set_limits(w, err);
	else
		return bb_err_set(err, r, "capability bounds: %s", bb_err_name(r));
	if (r < 0)
		return r;
	r = caps_drop_all();
	if (r < 0)
		return bb_err_set(err, r, "capabilities: %s", bb_err_name(r));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return bb_err_errno(err, "no_new_privs");
	r = fdset_place(w->plan->fds, w->plan->fd_count, w->null_fd, keep, 1);
	if (r < 0)
		return bb_err_set(err, r, "placing descriptors: %s", bb_err_name(r));
	return 0;
}

/* Hands the listener to the parent, who lets one execve pass and then closes it. */
static int send_listener(const struct jail_work *w, int listener, struct bb_err *err)
{
	struct jail_report rep = { .kind = JAIL_MESSAGE_LISTENER };
	struct iovec iov = { .iov_base = &rep, .iov_len = sizeof(rep) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &listener, sizeof(int));
	if (sendmsg(w->control_fd, &msg, 0) < 0)
		return bb_err_errno(err, "seccomp listener");
	(void)close(listener);
	return 0;
}

static int seal(const struct jail_work *w, struct bb_err *err)
{
	struct pollfd parent = { .fd = w->control_fd, .events = 0 };
	enum jail_filter filter = w->plan->filter;
	int r;

	/* getppid() is 0 here, the parent being outside: a closed socket says whether it died
	 * before the signal was asked for. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return bb_err_errno(err, "parent-death signal");
	if (poll(&parent, 1, 0) < 0 || (parent.revents & POLLHUP) != 0)
		return bb_err_set(err, BB_E_PART, "the parent is gone");
	report(w, JAIL_MESSAGE_EXECUTING, NULL);

	if (filter >= JAIL_FILTER_NUM_BUILT)
		return 0;
	r = filter_load(&filters_jail_refusals[filter]);
	if (r < 0)
		return bb_err_set(err, r, "seccomp: %s", bb_err_name(r));
	if (filter == JAIL_FILTER_VMM) {
		r = filter_load_listener(&filters_jail_calls[filter]);
		return r < 0 ? bb_err_set(err, r, "seccomp listener: %s", bb_err_name(r))
			     : send_listener(w, r, err);
	}
	r = filter_load(&filters_jail_calls[filter]);
	return r < 0 ? bb_err_set(err, r, "seccomp: %s", bb_err_name(r)) : 0;
}

void jail_child_run(struct jail_work *w)
{
	static char *const no_env[] = { NULL };
	struct bb_err err = { 0 };
	int proc_self;

	process_reset_signals();
	/* An undumpable process's files in /proc belong to root: it could not write its own map.
	 * exec decides anew. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || setsid() < 0) {
		(void)bb_err_errno(&err, "new session");
		fail(w, &err);
	}
	proc_self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_self < 0) {
		(void)bb_err_errno(&err, "'/proc/self'");
		fail(w, &err);
	}
	raise_oom_score(proc_self);
	jail_cgroup_enter(&w->cgroup);
	if (wait_for_maps(w, &err) < 0 || setup(w, &err) < 0 || enter_cgroups(w, &err) < 0 ||
	    jail_ids_enter_inner(&w->ids, w->plan, proc_self, &err) < 0 || confine(w, &err) < 0)
		fail(w, &err);
	if (w->probe_only) {
		report(w, JAIL_MESSAGE_EXECUTING, NULL);
		_exit(0);
	}
	if (seal(w, &err) < 0)
		fail(w, &err);
	(void)execve(w->plan->path, w->plan->argv, w->plan->envp != NULL ? w->plan->envp : no_env);
	(void)bb_err_errno(&err, "cannot execute '%s'", w->plan->path);
	fail(w, &err);
}
