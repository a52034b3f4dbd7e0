/*
 * Containers, as crun makes them in the real guest: a pid namespace of its own. When its first
 * process ends, the kernel kills everything that joined it: that is where the 137 of the facts
 * comes from, and here it happens in the same way.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest.h"

pid_t container_new(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0 && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		_exit(126);
	return (pid_t)pid;
}

static int join_one(pid_t pid, const char *name, int kind)
{
	char path[64];
	BB_AUTO_CLOSE int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || setns(fd, kind) < 0 ? -errno : 0;
}

int container_join(pid_t main_pid)
{
	int r = join_one(main_pid, "pid", CLONE_NEWPID);

	return r < 0 ? r : join_one(main_pid, "mnt", CLONE_NEWNS);
}

static _Noreturn void fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "standin-guest: %s: %s\n", what, why);
	(void)fflush(stderr);
	_exit(127);
}

_Noreturn void container_exec(const struct container_run *run)
{
	struct bb_err err = { 0 };
	sigset_t none;
	int fds[3];

	/* Above 2 first, so that none is overwritten before it is placed. */
	for (int i = 0; i < 3; i++)
		fds[i] = fcntl(run->fds[i], F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 3; i++)
		(void)dup2(fds[i], i);
	(void)setsid();
	if (run->has_terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		fail("terminal", strerror(errno));
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (user_become(run->user, &err) < 0)
		fail(run->user, err.msg);
	/* A dead CLI or a dead parent ends the command; set after the change of ids, which clears
	 * it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (*run->workdir != '\0' && chdir(run->workdir) < 0)
		fail(run->workdir, strerror(errno));
	environ = (char **)(uintptr_t)run->env; /* execvp() looks for PATH there */
	(void)execvp(run->argv[0], run->argv);
	fail(run->argv[0], strerror(errno));
}
