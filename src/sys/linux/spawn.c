/*
 * Starting programs; see spawn.h. The child is made with its pidfd in one call, so that there is no
 * moment at which it could be reaped and its number reused before we hold it. Between clone and
 * exec only system calls are made: it runs in this process's memory, on a stack of its own, while
 * this process stands still, as posix_spawn() does it. A copy of the memory would cost both more
 * than all the rest.
 */
#include "sys/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sys/linux/fdset.h"
#include "sys/linux/process.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define CHILD_STACK 16384 /* fdset.c's fallbacks read directories in 4 KiB */

enum spawn_step {
	STEP_SESSION,
	STEP_PARENT,
	STEP_DESCRIPTORS,
	STEP_CWD,
	STEP_EXEC,
};
#define NUM_STEPS 5

static const char *const step_names[] = {
	"new session", "parent is gone", "placing descriptors", "working directory", "exec",
};
_Static_assert(BB_ARRAY_LEN(step_names) == NUM_STEPS, "one name for each step");

/* What the child reports when it cannot go on. Smaller than PIPE_BUF: one write is one read. */
struct spawn_report {
	int step;
	int error;
};

pid_t process_clone(unsigned long flags, int *ret_pidfd)
{
	return (pid_t)syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, ret_pidfd, NULL, 0UL);
}

void process_reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &action, NULL); /* KILL, STOP and libc's own two refuse */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void process_block_signals(sigset_t *ret_old)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, ret_old);
}

static _Noreturn void child_fail(int report_fd, enum spawn_step step, int error)
{
	struct spawn_report report = { .step = (int)step, .error = error };

	(void)!write(report_fd, &report, sizeof(report)); /* nobody else to tell */
	_exit(127);
}

struct child {
	const struct spawn_plan *plan;
	int null_fd, report_fd;
	pid_t parent;
};

static int child_run(void *arg)
{
	static char *const no_env[] = { NULL };
	struct child c = *(const struct child *)arg; /* not the parent's: descriptors move */
	const struct spawn_plan *plan = c.plan;
	int *keep[] = { &c.report_fd };
	int r;

	process_reset_signals();
	if (plan->new_session && setsid() < 0)
		child_fail(c.report_fd, STEP_SESSION, errno);
	if (plan->dies_with_parent) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
			child_fail(c.report_fd, STEP_PARENT, errno);
		if (getppid() != c.parent)
			child_fail(c.report_fd, STEP_PARENT, ESRCH);
	}
	if (chdir(plan->cwd != NULL ? plan->cwd : "/") < 0)
		child_fail(c.report_fd, STEP_CWD, errno);
	r = fdset_place(plan->fds, plan->fd_count, c.null_fd, keep, 1);
	if (r < 0)
		child_fail(c.report_fd, STEP_DESCRIPTORS, -r);
	(void)execve(plan->path, plan->argv, plan->envp != NULL ? plan->envp : no_env);
	child_fail(c.report_fd, STEP_EXEC, errno);
}

static int report_error(const char *path, const struct spawn_report *report, struct bb_err *err)
{
	const char *step = report->step >= 0 && report->step < NUM_STEPS ? step_names[report->step]
									 : "unknown step";

	errno = report->error;
	if (report->step == STEP_EXEC)
		return bb_err_errno(err, "cannot start '%s'", path);
	return bb_err_errno(err, "cannot start '%s': %s", path, step);
}

int spawn_begin(const struct spawn_plan *plan, struct spawn_pending *ret, struct bb_err *err)
{
	BB_AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	BB_AUTO_CLOSE int report_read = -1;
	BB_AUTO_CLOSE int report_write = -1;
	BB_AUTO_CLOSE int pidfd = -1;
	uint8_t stack[CHILD_STACK] __attribute__((aligned(16)));
	struct child child = { .plan = plan, .null_fd = null_fd, .parent = getpid() };
	sigset_t old;
	int ends[2];
	pid_t pid;
	int error;

	if (null_fd < 0)
		return bb_err_errno(err, "cannot open '/dev/null'");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot start '%s': pipe", plan->path);
	report_read = ends[0];
	report_write = ends[1];

	process_block_signals(&old);
	child.report_fd = report_write;
	pid = clone(child_run, stack + sizeof(stack),
		    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child, &pidfd);
	error = errno;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0) {
		errno = error;
		return bb_err_errno(err, "cannot start '%s': fork", plan->path);
	}
	*ret = (struct spawn_pending){ .child = { .pid = pid, .pidfd = bb_take_fd(&pidfd) },
				       .report_fd = bb_take_fd(&report_read),
				       .path = plan->path };
	return 0;
}

int spawn_finish(struct spawn_pending *pending, struct spawn_child *ret, struct bb_err *err)
{
	BB_AUTO_CLOSE int report_fd = bb_take_fd(&pending->report_fd);
	BB_AUTO_CLOSE int pidfd = bb_take_fd(&pending->child.pidfd);
	struct spawn_report report = { 0 };
	int r = bb_fd_read_full(report_fd, &report, sizeof(report));

	if (r == -ENODATA) {
		*ret = (struct spawn_child){ .pid = pending->child.pid,
					     .pidfd = bb_take_fd(&pidfd) };
		return 0;
	}
	(void)process_wait(pidfd, true);
	if (r < 0)
		return bb_err_set(err, r, "cannot start '%s': it ended before exec", pending->path);
	return report_error(pending->path, &report, err);
}

int spawn_start(const struct spawn_plan *plan, struct spawn_child *ret, struct bb_err *err)
{
	struct spawn_pending pending = { .child.pidfd = -1, .report_fd = -1 };
	int r = spawn_begin(plan, &pending, err);

	return r < 0 ? r : spawn_finish(&pending, ret, err);
}

int process_wait(int pidfd, bool blocks)
{
	siginfo_t info = { 0 };
	int r;

	/* A loop makes a descriptor that it watches non-blocking, and then waitid() does not wait.
	 */
	if (blocks && (r = process_poll(pidfd, -1)) < 0)
		return r;
	do
		r = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | (blocks ? 0 : WNOHANG));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EAGAIN;
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

int process_poll(int pidfd, int timeout_ms)
{
	uint64_t end = bb_clock_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

	for (;;) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		uint64_t now = bb_clock_ms();
		int left = timeout_ms < 0 ? -1 : now >= end ? 0 : (int)(end - now);
		int r = poll(&p, 1, left);

		if (r < 0 && errno == EINTR)
			continue;
		return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
	}
}

int spawn_reap(struct spawn_child *child)
{
	int code = process_wait(child->pidfd, false);

	if (code < 0)
		return code;
	(void)close(bb_take_fd(&child->pidfd));
	return code;
}

void spawn_kill(const struct spawn_child *child, int signal)
{
	if (child->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0);
}

int spawn_watch(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd; /* always close-on-exec */
}

int spawn_wait(struct spawn_child *child, int timeout_ms)
{
	int r = process_poll(child->pidfd, timeout_ms);

	if (r < 0) {
		spawn_kill(child, SIGKILL);
		(void)process_wait(child->pidfd, true);
		(void)close(bb_take_fd(&child->pidfd));
		return -ETIMEDOUT;
	}
	return spawn_reap(child);
}

/* Reads the program's output until its end or the deadline; what passes the cap is read and
 * dropped, so that the program does not block. */
static int collect(int fd, uint64_t end, struct bb_buf *out)
{
	uint8_t rest[4096];

	for (;;) {
		uint64_t now = bb_clock_ms();
		ssize_t n;
		int r = process_poll(fd, now >= end ? 0 : (int)(end - now));

		if (r < 0)
			return r;
		n = bb_fd_read_some(fd, out, sizeof(rest));
		if (n == -ENOBUFS)
			n = read(fd, rest, sizeof(rest));
		if (n == 0)
			return 0;
		if (n < 0 && n != -EINTR && n != -1)
			return (int)n;
	}
}

int spawn_run(const struct spawn_plan *plan, int timeout_ms, struct bb_buf *out, struct bb_err *err)
{
	struct spawn_fd fds[FDSET_MAX];
	struct spawn_plan with_output = *plan;
	struct spawn_child child = { .pid = -1, .pidfd = -1 };
	BB_AUTO_CLOSE int out_read = -1;
	BB_AUTO_CLOSE int out_write = -1;
	uint64_t end = bb_clock_ms() + (uint64_t)timeout_ms;
	uint64_t now;
	int ends[2];
	int r;

	if (plan->fd_count >= FDSET_MAX)
		return bb_err_set(err, -EINVAL, "too many descriptors for '%s'", plan->path);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot run '%s': pipe", plan->path);
	out_read = ends[0];
	out_write = ends[1];
	for (size_t i = 0; i < plan->fd_count; i++)
		fds[i] = plan->fds[i];
	fds[plan->fd_count] = (struct spawn_fd){ .from = out_write, .to = STDOUT_FILENO };
	with_output.fds = fds;
	with_output.fd_count = plan->fd_count + 1;

	r = spawn_start(&with_output, &child, err);
	if (r < 0)
		return r;
	(void)close(bb_take_fd(&out_write));
	(void)collect(out_read, end, out); /* an early end is found by the wait below */
	now = bb_clock_ms();
	r = spawn_wait(&child, now >= end ? 0 : (int)(end - now));
	if (r == -ETIMEDOUT)
		return bb_err_set(err, BB_E_DEADLINE, "'%s' did not end within %d ms", plan->path,
				  timeout_ms);
	return r;
}
