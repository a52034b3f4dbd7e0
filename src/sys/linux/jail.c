/*
 * Making, watching and ending a jail: the parent's half (jail_impl.h shows both). jail_finish()
 * waits for the child's exec, so its success means that the program runs; a child that stops on the
 * way is killed by the deadline.
 *
 * A VMM must not execute anything, yet has to be executed itself. Its filter asks a listener about
 * every exec; the child hands the listener over before its own, the parent lets that one pass and
 * closes the listener. From then on the kernel answers every exec with ENOSYS: there is no argument
 * that could be imitated and no window.
 */
#include "sys/jail.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "sys/linux/jail_impl.h"
#include "sys/linux/process.h"

#define START_TIMEOUT_MS 20000
#define SOURCES_MAX      8192 /* bytes of an overlay's list of layers */

#define JAIL_NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

struct jail {
	char *name;
	pid_t pid;
	int pidfd;
	int control_fd; /* the child's reports; -1 once it was executed */
	int exit_code;  /* -EAGAIN while it runs */
	struct jail_cgroup cgroup;
};

static void work_done(struct jail_work *w)
{
	for (size_t i = 0; w->sources != NULL && i < w->plan->mount_count; i++)
		free(w->sources[i]);
	free(w->sources);
	bb_cleanup_fd(&w->null_fd);
	bb_cleanup_fd(&w->control_fd);
}

/* The layers of an overlay, "a:b:c", each resolved. */
static char *resolve_layers(const char *source, struct bb_err *err)
{
	BB_AUTO_FREE char *list = strdup(source);
	BB_AUTO_BUF struct bb_buf out;
	char *rest = NULL;

	bb_buf_init(&out, SOURCES_MAX);
	for (char *layer = list != NULL ? strtok_r(list, ":", &rest) : NULL; layer != NULL;
	     layer = strtok_r(NULL, ":", &rest)) {
		BB_AUTO_FREE char *path = realpath(layer, NULL);

		if (path == NULL || strchr(path, ':') != NULL) {
			(void)bb_err_errno(err, "layer '%s'", layer);
			return NULL;
		}
		if (bb_buf_printf(&out, "%s%s", bb_buf_size(&out) > 0 ? ":" : "", path) < 0) {
			(void)bb_err_set(err, -E2BIG, "too many layers");
			return NULL;
		}
	}
	return bb_buf_dup_str(&out);
}

/* Host paths without symlinks: while the root is built, an absolute link would point into it. */
static int resolve_sources(struct jail_work *w, struct bb_err *err)
{
	const struct jail_plan *plan = w->plan;

	w->sources = calloc(plan->mount_count + 1, sizeof(*w->sources));
	if (w->sources == NULL)
		return bb_err_set(err, -ENOMEM, "jail '%s': no memory", plan->name);
	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct jail_mount *m = &plan->mounts[i];

		if (m->target == NULL || m->target[0] != '/')
			return bb_err_set(err, -EINVAL, "jail '%s': mount %zu has no target",
					  plan->name, i);
		if (m->kind == JAIL_OVERLAY_RO) {
			w->sources[i] = resolve_layers(m->source, err);
			if (w->sources[i] == NULL)
				return bb_err_wrap(err, "jail '%s'", plan->name);
		}
		if (m->kind != JAIL_BIND_RO && m->kind != JAIL_BIND_DEV)
			continue;
		w->sources[i] = realpath(m->source, NULL);
		if (w->sources[i] == NULL && !m->is_optional)
			return bb_err_errno(err, "jail '%s': '%s'", plan->name, m->source);
	}
	return 0;
}

/* Receives one report; 1, 0 at the end of file, or negative. *ret_fd: a descriptor that came with
 * it, else -1. */
static int receive(int fd, int timeout_ms, struct jail_report *ret, int *ret_fd)
{
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;
	int r = process_poll(fd, timeout_ms);

	*ret_fd = -1;
	if (r < 0)
		return r;
	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	if (n != (ssize_t)sizeof(*ret) || (msg.msg_flags & MSG_CTRUNC) != 0)
		return -EPROTO;
	ret->text[sizeof(ret->text) - 1] = '\0';
	return 1;
}

/* Lets the one exec pass. The listener is closed by the caller, whatever happened. */
static int answer_exec(int listener, int timeout_ms, struct bb_err *err)
{
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp response = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	if (process_poll(listener, timeout_ms) < 0 ||
	    ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return bb_err_errno(err, "seccomp listener");
	response.id = request.id;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0)
		return bb_err_errno(err, "seccomp listener");
	return 0;
}

/* From "go" to the exec. */
static int follow_child(int control, const char *name, struct bb_err *err)
{
	uint64_t deadline = bb_clock_ms() + START_TIMEOUT_MS;
	bool is_executing = false;

	for (;;) {
		struct jail_report rep;
		BB_AUTO_CLOSE int fd = -1;
		int r = receive(control, bb_clock_left_ms(deadline), &rep, &fd);

		if (r == -ETIMEDOUT)
			return bb_err_set(err, BB_E_DEADLINE, "jail '%s' did not start within %d s",
					  name, START_TIMEOUT_MS / 1000);
		if (r < 0)
			return bb_err_set(err, r, "jail '%s': control: %s", name, bb_err_name(r));
		if (r == 0 && !is_executing)
			return bb_err_set(err, BB_E_PART, "jail '%s' ended while starting", name);
		if (r == 0)
			return 0;
		if (rep.kind == JAIL_MESSAGE_FAILED)
			return bb_err_set(err, rep.code < 0 ? rep.code : -EPROTO, "jail '%s': %s",
					  name, rep.text);
		if (rep.kind == JAIL_MESSAGE_EXECUTING)
			is_executing = true;
		if (rep.kind == JAIL_MESSAGE_LISTENER) {
			r = fd < 0 ? bb_err_set(err, -EPROTO, "jail '%s': no listener", name)
				   : answer_exec(fd, bb_clock_left_ms(deadline), err);
			if (r < 0)
				return r;
		}
	}
}

/*
 * The child is there and waits for its ids; then it builds the root while it is moved into its
 * cgroup (version 2), which takes the kernel some milliseconds. A child that is gone has said why:
 * that is read, not the failure to write.
 */
static int release_child(const struct jail_work *w, struct jail *j, struct bb_err *err)
{
	int control = j->control_fd;
	struct jail_go go = { 0 };
	int r = jail_ids_map_range(&w->ids, j->pid, err);

	if (r < 0)
		return bb_err_wrap(err, "jail '%s'", w->plan->name);
	(void)send(control, "m", 1, MSG_NOSIGNAL);
	jail_cgroup_move(&j->cgroup, j->pid);
	go.has_cgroup_memory = j->cgroup.has_memory;
	go.has_cgroup_pids = j->cgroup.has_pids;
	(void)send(control, &go, sizeof(go), MSG_NOSIGNAL);
	return 0;
}

static int start(struct jail_work *w, struct jail *j, struct bb_err *err)
{
	unsigned long flags = JAIL_NAMESPACES;
	BB_AUTO_CLOSE int control = -1;
	sigset_t old;
	int ends[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return bb_err_errno(err, "jail '%s': socketpair", w->plan->name);
	control = ends[0];
	w->control_fd = ends[1];
	if (w->ids.mode != JAIL_IDS_ROOT)
		flags |= CLONE_NEWUSER;

	process_block_signals(&old);
	j->pid = process_clone(flags, &j->pidfd);
	if (j->pid == 0) {
		(void)close(control);
		jail_child_run(w);
	}
	error = errno;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	if (j->pid < 0)
		return jail_ids_explain(w->ids.mode, error, err);
	(void)close(bb_take_fd(&w->control_fd));
	j->control_fd = bb_take_fd(&control);
	return release_child(w, j, err);
}

static int prepare(struct jail_work *w, struct bb_err *err)
{
	int r = jail_ids_choose(w->plan, &w->ids, err);

	if (r < 0)
		return r;
	r = resolve_sources(w, err);
	if (r < 0)
		return r;
	w->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (w->null_fd < 0)
		return bb_err_errno(err, "cannot open '/dev/null'");
	return 0;
}

static int run_work(struct jail_work *w, struct jail **ret, struct bb_err *err)
{
	struct jail *j = calloc(1, sizeof(*j));
	int r;

	if (j == NULL)
		return bb_err_set(err, -ENOMEM, "jail '%s': no memory", w->plan->name);
	j->pid = -1;
	j->pidfd = -1;
	j->control_fd = -1;
	j->exit_code = -EAGAIN;
	j->name = strdup(w->plan->name);
	r = j->name == NULL ? bb_err_set(err, -ENOMEM, "no memory") : prepare(w, err);
	if (r == 0) {
		jail_cgroup_make(w->plan->name, &w->plan->limits, &j->cgroup);
		w->cgroup = j->cgroup; /* the child's copy, to be entered; the paths are j's */
		r = start(w, j, err);
	}
	if (r < 0) {
		jail_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

int jail_begin(const struct jail_plan *plan, struct jail **ret, struct bb_err *err)
{
	struct jail_work w = { .plan = plan, .control_fd = -1, .null_fd = -1 };
	int r = run_work(&w, ret, err);

	work_done(&w);
	return r;
}

int jail_finish(struct jail *j, struct bb_err *err)
{
	BB_AUTO_CLOSE int control = bb_take_fd(&j->control_fd);

	return follow_child(control, j->name, err);
}

int jail_start(const struct jail_plan *plan, struct jail **ret, struct bb_err *err)
{
	struct jail *j = NULL;
	int r = jail_begin(plan, &j, err);

	if (r == 0)
		r = jail_finish(j, err);
	if (r < 0) {
		jail_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

int jail_probe(struct bb_err *err)
{
	static const struct jail_mount mounts[] = {
		{ .kind = JAIL_PROC, .target = "/proc" },
		{ .kind = JAIL_DEVPTS, .target = "/dev/pts" },
	};
	static const struct jail_plan plan = { .name = "probe",
					       .mounts = mounts,
					       .mount_count = BB_ARRAY_LEN(mounts),
					       .uid = 1000,
					       .gid = 1000,
					       .needs_loopback = true };
	struct jail_work w = { .plan = &plan, .control_fd = -1, .null_fd = -1, .probe_only = true };
	struct jail *j = NULL;
	int r = run_work(&w, &j, err);

	work_done(&w);
	if (r == 0)
		r = jail_finish(j, err);
	jail_free(j);
	return r;
}

int jail_pidfd(const struct jail *j)
{
	return j->pidfd;
}

pid_t jail_pid(const struct jail *j)
{
	return j->pid;
}

int jail_exit_code(struct jail *j)
{
	if (j->exit_code == -EAGAIN)
		j->exit_code = process_wait(j->pidfd, false);
	return j->exit_code;
}

void jail_free(struct jail *j)
{
	if (j == NULL)
		return;
	if (j->pidfd >= 0) {
		/* pid 1: the kernel kills the rest of the pid namespace and waits for it. */
		if (j->exit_code == -EAGAIN) {
			(void)syscall(SYS_pidfd_send_signal, j->pidfd, SIGKILL, NULL, 0);
			(void)process_wait(j->pidfd, true);
		}
		(void)close(j->pidfd);
	}
	if (j->control_fd >= 0)
		(void)close(j->control_fd);
	jail_cgroup_remove(&j->cgroup);
	free(j->name);
	free(j);
}
