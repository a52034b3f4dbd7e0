/*
 * standin-guest run [OPTION VALUE]... [-- WORKLOAD...]   the VMM (guest.h); ends with the guest
 * standin-guest ids PROGRAM [ARGUMENT...]                a program with the guest's ids, nothing
 * else
 *
 * `ids` is for unpacking images and removing machines: their files belong to the guest's users.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "guest.h"

enum { POLL_CONTROL, POLL_SIGNAL, POLL_NOTIFY, POLL_SOCKETS };
#define POLL_MAX (POLL_SOCKETS + GUEST_SOCKETS_MAX)

#define GUEST_NAMESPACES \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)

struct option_def {
	const char *name;
	int (*set)(struct guest *g, char *value, struct bb_err *err);
};

/* Each sets one member; an unknown option or a bad value is the stand-in's own mistake. */
#define STRING_OPTION(member)                                                     \
	static int set_##member(struct guest *g, char *value, struct bb_err *err) \
	{                                                                         \
		(void)err;                                                        \
		g->member = value;                                                \
		return 0;                                                         \
	}
#define NUMBER_OPTION(member)                                                     \
	static int set_##member(struct guest *g, char *value, struct bb_err *err) \
	{                                                                         \
		(void)err;                                                        \
		g->member = (__typeof__(g->member))strtol(value, NULL, 10);       \
		return 0;                                                         \
	}
STRING_OPTION(dir)
STRING_OPTION(hostname)
STRING_OPTION(dns)
STRING_OPTION(workdir)
STRING_OPTION(user)
NUMBER_OPTION(agent_fd)
NUMBER_OPTION(ready_fd)
NUMBER_OPTION(console_fd)
NUMBER_OPTION(relay_uid)
NUMBER_OPTION(is_tsi)
NUMBER_OPTION(has_policy)
NUMBER_OPTION(keeps_alive)
NUMBER_OPTION(join_as_user)

static int set_allow(struct guest *g, char *value, struct bb_err *err)
{
	return policy_add(g, value, err);
}

static int set_socket(struct guest *g, char *value, struct bb_err *err)
{
	char *colon = strchr(value, ':');

	if (colon == NULL || g->socket_count == GUEST_SOCKETS_MAX)
		return bb_err_set(err, -EINVAL, "mounted socket '%s'", value);
	*colon = '\0';
	g->sockets[g->socket_count++] = (struct guest_socket){ .host = value, .guest = colon + 1 };
	return 0;
}

static int set_env(struct guest *g, char *value, struct bb_err *err)
{
	if (g->env_count == GUEST_ENV_MAX)
		return bb_err_set(err, -E2BIG, "more than %d variables", GUEST_ENV_MAX);
	g->env[g->env_count++] = value;
	return 0;
}

static const struct option_def options[] = {
	{ "--dir", set_dir },
	{ "--hostname", set_hostname },
	{ "--dns", set_dns },
	{ "--workdir", set_workdir },
	{ "--user", set_user },
	{ "--agent-fd", set_agent_fd },
	{ "--ready-fd", set_ready_fd },
	{ "--console-fd", set_console_fd },
	{ "--relay-uid", set_relay_uid },
	{ "--tsi", set_is_tsi },
	{ "--policy", set_has_policy },
	{ "--keep-alive", set_keeps_alive },
	{ "--join-as-user", set_join_as_user },
	{ "--allow", set_allow },
	{ "--mount-socket", set_socket },
	{ "--env", set_env },
};

static int parse_option(struct guest *g, const char *name, char *value, struct bb_err *err)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(options); i++) {
		if (strcmp(options[i].name, name) == 0)
			return options[i].set(g, value, err);
	}
	return bb_err_set(err, -EINVAL, "unknown option '%s'", name);
}

static int parse(struct guest *g, char **argv, struct bb_err *err)
{
	for (; argv[0] != NULL && strcmp(argv[0], "--") != 0; argv += 2) {
		int r = argv[1] == NULL ? -EINVAL : parse_option(g, argv[0], argv[1], err);

		if (r < 0)
			return r;
	}
	g->argv = argv[0] == NULL ? argv : argv + 1;
	if (g->dir == NULL || g->hostname == NULL || g->agent_fd <= 2 || g->ready_fd <= 2)
		return bb_err_set(err, -EINVAL,
				  "--dir, --hostname, --agent-fd and --ready-fd are needed");
	return 0;
}

static pid_t clone_with(unsigned long namespaces)
{
	return (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL, NULL);
}

/* What the agent announces; the descriptor is taken from it, not sent by it. */
static int hear(pid_t agent, int control_fd, struct pollfd p[POLL_MAX], nfds_t *count)
{
	BB_AUTO_CLOSE int pidfd = -1;
	char line[GUEST_SAY_LEN + 1] = { 0 };
	int fd = -1;

	if (bb_fd_read_full(control_fd, line, GUEST_SAY_LEN) < 0)
		return -EPIPE;
	if (line[0] == GUEST_SAY_READY)
		return bb_fd_write_all(control_fd, "g", 1);
	pidfd = (int)syscall(SYS_pidfd_open, agent, 0);
	if (pidfd >= 0)
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)strtol(line + 1, NULL, 10), 0);
	if (fd < 0)
		return -errno;
	if (line[0] == GUEST_SAY_SECCOMP)
		p[POLL_NOTIFY].fd = fd;
	else if (*count < POLL_MAX)
		p[(*count)++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return 0;
}

static void accept_socket(const struct guest *g, int listener, size_t index)
{
	BB_AUTO_CLOSE int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		relay_start(g, fd, g->sockets[index].host);
}

/* Until the guest is gone or the VMM is told to end. */
static void serve(const struct guest *g, pid_t agent, int control_fd, int signal_fd)
{
	struct pollfd p[POLL_MAX] = { [POLL_CONTROL] = { .fd = control_fd, .events = POLLIN },
				      [POLL_SIGNAL] = { .fd = signal_fd, .events = POLLIN },
				      [POLL_NOTIFY] = { .fd = -1, .events = POLLIN } };
	nfds_t count = POLL_SOCKETS;

	for (;;) {
		if (poll(p, count, -1) < 0)
			continue;
		if (p[POLL_SIGNAL].revents != 0)
			return;
		if (p[POLL_NOTIFY].revents != 0)
			tsi_serve(g, p[POLL_NOTIFY].fd);
		for (nfds_t i = POLL_SOCKETS; i < count; i++) {
			if (p[i].revents != 0)
				accept_socket(g, p[i].fd, i - POLL_SOCKETS);
		}
		if (p[POLL_CONTROL].revents != 0 && hear(agent, control_fd, p, &count) < 0)
			return;
	}
}

/* The VMM in a session of its own, below a parent that only reaps it: a pid that nobody has waited
 * for would look alive to whoever looks for it by number. */
static int detach(const struct guest *g, struct bb_err *err)
{
	char text[32];
	pid_t pid = fork();

	if (pid < 0)
		return bb_err_errno(err, "fork");
	if (pid > 0) {
		(void)close(g->ready_fd);
		(void)close(g->agent_fd);
		(void)waitpid(pid, NULL, 0);
		_exit(0);
	}
	(void)setsid();
	(void)snprintf(text, sizeof(text), "%d\n", getpid());
	return bb_fd_write_all(g->ready_fd, text, strlen(text));
}

static int run(struct guest *g, struct bb_err *err)
{
	int ends[2];
	bool has_range;
	sigset_t mask;
	pid_t agent;
	int r;

	r = detach(g, err);
	if (r < 0)
		return r;
	(void)prctl(PR_SET_NAME, "libkrun VM");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return bb_err_errno(err, "control socket");
	agent = clone_with(GUEST_NAMESPACES);
	if (agent < 0)
		return bb_err_errno(err, "namespaces of the guest");
	if (agent == 0) {
		(void)close(ends[0]);
		agent_run(g, ends[1]);
	}
	(void)close(ends[1]);
	r = ids_map(agent, &has_range, err);
	if (r < 0)
		return r;
	if (!has_range)
		(void)fprintf(stderr, "stand-in: no subordinate ids can be used here: root is the "
				      "only user of this guest, uid 1000 (node) does not exist\n");
	(void)close(g->ready_fd); /* the agent's: its end is seen when the agent dies */
	(void)close(g->agent_fd);
	(void)signal(SIGCHLD, SIG_IGN); /* relays and connects are not waited for */
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	r = bb_fd_write_all(ends[0], "m", 1);
	if (r >= 0)
		serve(g, agent, ends[0], signalfd(-1, &mask, SFD_CLOEXEC));
	(void)kill(agent, SIGKILL);
	(void)waitpid(agent, NULL, 0);
	return 0;
}

static int run_with_ids(char **argv, struct bb_err *err)
{
	int go[2], status;
	bool has_range;
	pid_t child;
	char byte;

	if (pipe2(go, O_CLOEXEC) < 0)
		return bb_err_errno(err, "pipe");
	child = clone_with(CLONE_NEWUSER);
	if (child < 0)
		return bb_err_errno(err, "user namespace");
	if (child == 0) {
		(void)close(go[1]);
		if (read(go[0], &byte, 1) == 1)
			(void)execvp(argv[0], argv);
		_exit(127);
	}
	if (ids_map(child, &has_range, err) < 0)
		return err->code;
	(void)!write(go[1], "g", 1);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	static struct guest g = { .workdir = "", .user = "" };
	struct bb_err err = { 0 };
	int r;

	if (argc >= 3 && strcmp(argv[1], "ids") == 0) {
		r = run_with_ids(argv + 2, &err);
	} else if (argc >= 3 && strcmp(argv[1], "run") == 0) {
		r = parse(&g, argv + 2, &err);
		if (r == 0)
			r = run(&g, &err);
		if (r < 0 && g.ready_fd > 2)
			(void)bb_fd_write_all(g.ready_fd, err.msg, strlen(err.msg));
	} else {
		r = bb_err_set(&err, -EINVAL, "usage: standin-guest run|ids ...");
	}
	if (r < 0)
		(void)fprintf(stderr, "standin-guest: %s\n", err.msg);
	return r < 0 ? 1 : r;
}
