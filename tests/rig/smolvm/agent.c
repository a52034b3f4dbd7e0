/* Pid 1 of the guest: makes the guest's root and network, starts the workload, reaps, and gives
 * every exec request a process of its own. Ends with the control socket, and the guest with it. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "guest.h"

enum { POLL_CONTROL, POLL_AGENT, POLL_SIGNAL, POLL_MAIN, POLL_COUNT };

static void say(int control_fd, enum guest_say kind, int number)
{
	char line[GUEST_SAY_LEN + 1] = { 0 };

	(void)snprintf(line, sizeof(line), "%c %-*d\n", (char)kind, GUEST_SAY_LEN - 3, number);
	if (bb_fd_write_all(control_fd, line, GUEST_SAY_LEN) < 0)
		_exit(1);
}

static _Noreturn void give_up(const struct guest *g, const struct bb_err *err)
{
	(void)bb_fd_write_all(g->ready_fd, err->msg, strlen(err->msg));
	_exit(1);
}

static int write_names(const struct guest *g, struct bb_err *err)
{
	char text[128];

	if (sethostname(g->hostname, strlen(g->hostname)) < 0)
		return bb_err_errno(err, "host name");
	if (g->dns == NULL)
		return 0;
	(void)snprintf(text, sizeof(text), "nameserver %s\n", g->dns);
	errno = -root_write_file("/etc/resolv.conf", text);
	return errno == 0 ? 0 : bb_err_errno(err, "/etc/resolv.conf of the guest");
}

static int set_up(const struct guest *g, int control_fd, struct bb_err *err)
{
	int r = root_enter(g, err);

	if (r >= 0)
		r = write_names(g, err);
	if (r < 0)
		return r;
	errno = -root_lo_up();
	if (errno != 0)
		return bb_err_errno(err, "lo of the guest");
	for (size_t i = 0; i < g->socket_count; i++) {
		r = root_listen(g->sockets[i].guest, err);
		if (r < 0)
			return r;
		say(control_fd, GUEST_SAY_SOCKET, r);
	}
	r = tsi_filter(g->is_tsi, err);
	if (r >= 0 && g->is_tsi)
		say(control_fd, GUEST_SAY_SECCOMP, r);
	return r;
}

static pid_t start_workload(const struct guest *g)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct container_run run = { .argv = g->argv,
					   .env = g->env,
					   .workdir = g->workdir,
					   .user = g->user,
					   .fds = { null_fd, g->console_fd, g->console_fd } };
	pid_t pid = g->argv[0] == NULL ? 0 : container_new();

	if (pid == 0 && g->argv[0] != NULL)
		container_exec(&run);
	(void)close(null_fd);
	return pid;
}

/* Reaps what has ended; the main container's first process, or none. */
static pid_t reap(pid_t main_pid)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid == main_pid)
			main_pid = 0;
	}
	/* An exec that became the main container is reaped by its own watcher. */
	return main_pid > 0 && kill(main_pid, 0) < 0 ? 0 : main_pid;
}

static void accept_request(const struct guest *g, pid_t main_pid, int main_fd)
{
	BB_AUTO_CLOSE int client = accept4(g->agent_fd, NULL, NULL, SOCK_CLOEXEC);

	if (client >= 0 && fork() == 0)
		exec_serve(g, client, main_pid, main_fd);
}

_Noreturn void agent_run(const struct guest *g, int control_fd)
{
	struct bb_err err = { 0 };
	sigset_t mask;
	int main_pipe[2];
	pid_t main_pid;
	char byte;

	if (bb_fd_read_full(control_fd, &byte, 1) < 0) /* the ids are mapped */
		_exit(1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "standin-agent");
	if (set_up(g, control_fd, &err) < 0)
		give_up(g, &err);
	/* The supervisor has taken the notification descriptor before anything asks it. */
	say(control_fd, GUEST_SAY_READY, 0);
	if (bb_fd_read_full(control_fd, &byte, 1) < 0 || pipe2(main_pipe, O_CLOEXEC) < 0)
		_exit(1);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	struct pollfd p[POLL_COUNT] = {
		[POLL_CONTROL] = { .fd = control_fd, .events = POLLIN },
		[POLL_AGENT] = { .fd = g->agent_fd, .events = POLLIN },
		[POLL_SIGNAL] = { .fd = signalfd(-1, &mask, SFD_CLOEXEC), .events = POLLIN },
		[POLL_MAIN] = { .fd = main_pipe[0], .events = POLLIN },
	};
	main_pid = start_workload(g);
	(void)bb_fd_write_all(g->ready_fd, "ready", 5);
	(void)close(g->ready_fd);
	for (;;) {
		struct signalfd_siginfo info;

		if (poll(p, POLL_COUNT, -1) < 0)
			continue;
		if (p[POLL_CONTROL].revents != 0)
			_exit(0);
		if (p[POLL_SIGNAL].revents != 0)
			(void)!read(p[POLL_SIGNAL].fd, &info, sizeof(info));
		if (p[POLL_MAIN].revents != 0)
			(void)bb_fd_read_full(main_pipe[0], &main_pid, sizeof(main_pid));
		main_pid = reap(main_pid);
		if (p[POLL_AGENT].revents != 0)
			accept_request(g, main_pid, main_pipe[1]);
	}
}
