/*
 * One `machine exec`, in a process of its own: joins the main container, or makes one when none
 * runs, and reports how the command ended. The command dies with its client.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "guest.h"

#define REQUEST_MAX (4 * 1024 * 1024)
#define WORDS_MAX   4096
#define TEARDOWN_MS 500 /* between the death of a member and that of its container */

struct request {
	char *text;
	char *words[WORDS_MAX + 1];
	size_t word_count;
	int fds[3];
	bool is_interactive, has_terminal, is_detached;
	const char *workdir;
	struct winsize size;
	char **env, **argv;
};

static int receive(int client, struct request *r)
{
	union {
		char raw[CMSG_SPACE(sizeof(r->fds))];
		struct cmsghdr align;
	} control;
	uint8_t head[4] = { 0 };
	struct iovec iov = { .iov_base = head, .iov_len = sizeof(head) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	const struct cmsghdr *c;
	uint32_t n;

	if (recvmsg(client, &m, MSG_CMSG_CLOEXEC | MSG_WAITALL) != (ssize_t)sizeof(head))
		return -EPROTO;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(r->fds)))
		memcpy(r->fds, CMSG_DATA(c), sizeof(r->fds));
	n = bb_be32(head);
	if (n == 0 || n > REQUEST_MAX)
		return -EPROTO;
	r->text = calloc(1, n + 1);
	if (r->text == NULL || bb_fd_read_full(client, r->text, n) < 0)
		return -EPROTO;
	for (char *p = r->text; p < r->text + n && r->word_count < WORDS_MAX; p += strlen(p) + 1)
		r->words[r->word_count++] = p;
	return 0;
}

static int parse(struct request *r)
{
	unsigned long env_count;

	if (r->word_count < 6)
		return -EPROTO;
	r->is_interactive = strchr(r->words[0], 'i') != NULL;
	r->has_terminal = strchr(r->words[0], 't') != NULL;
	r->is_detached = strchr(r->words[0], 'd') != NULL;
	r->workdir = r->words[1];
	r->size.ws_row = (unsigned short)strtoul(r->words[2], NULL, 10);
	r->size.ws_col = (unsigned short)strtoul(r->words[3], NULL, 10);
	env_count = strtoul(r->words[4], NULL, 10);
	if (env_count >= r->word_count - 5)
		return -EPROTO;
	r->argv = &r->words[5 + env_count];
	/* The environment ends where the arguments start: shifted down by one to make room for its
	 * NULL. */
	memmove(&r->words[4], &r->words[5], env_count * sizeof(r->words[0]));
	r->words[4 + env_count] = NULL;
	r->env = &r->words[4];
	return 0;
}

static int send_answer(int client, char kind, uint32_t number, int tail, int fd)
{
	union {
		char raw[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	uint8_t answer[6] = { (uint8_t)kind,           (uint8_t)(number >> 24),
			      (uint8_t)(number >> 16), (uint8_t)(number >> 8),
			      (uint8_t)number,         (uint8_t)tail };
	struct iovec iov = { .iov_base = answer, .iov_len = sizeof(answer) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						       .cmsg_type = SCM_RIGHTS,
						       .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
	}
	return sendmsg(client, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(answer) ? 0 : -errno;
}

static int open_terminal(struct request *r, int client)
{
	BB_AUTO_CLOSE int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int slave, zero = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &zero) < 0)
		return -errno;
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	(void)ioctl(master, TIOCSWINSZ, &r->size);
	r->fds[0] = r->fds[1] = r->fds[2] = slave;
	return send_answer(client, 'T', 0, 0, master);
}

/* Since 1.4 a non-interactive exec without a main container gets one that lasts. */
static pid_t start_keeper(int main_fd)
{
	pid_t pid = container_new();

	if (pid == 0) {
		(void)setsid();
		for (;;)
			(void)pause();
	}
	(void)bb_fd_write_all(main_fd, &pid, sizeof(pid));
	return pid;
}

static pid_t start(const struct guest *g, struct request *r, pid_t *main_pid, int main_fd)
{
	struct container_run run = { .argv = r->argv,
				     .env = r->env,
				     .workdir = r->workdir,
				     .user = g->user,
				     .fds = { r->fds[0], r->fds[1], r->fds[2] },
				     .has_terminal = r->has_terminal };
	pid_t pid;

	if (*main_pid == 0 && g->keeps_alive && !r->is_interactive)
		*main_pid = start_keeper(main_fd);
	if (*main_pid > 0) {
		if (!g->join_as_user)
			run.user = "";
		if (container_join(*main_pid) < 0)
			return -1;
		pid = fork();
	} else {
		pid = container_new();
	}
	if (pid == 0)
		container_exec(&run);
	/* In interactive mode the exec is the main container that later ones join, and die with. */
	if (pid > 0 && *main_pid == 0 && r->is_interactive)
		(void)bb_fd_write_all(main_fd, &pid, sizeof(pid));
	return pid;
}

static int wait_or_kill(pid_t pid, int client)
{
	struct pollfd p[2] = { { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
			       { .fd = client, .events = POLLIN | POLLRDHUP } };
	int status = 0;

	while (p[0].revents == 0 && p[1].revents == 0)
		(void)poll(p, 2, -1);
	if (p[0].revents == 0)
		(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	return status;
}

/* A member was killed: by its container's end? */
static bool has_died_with(int main_pidfd, int status)
{
	struct pollfd p = { .fd = main_pidfd, .events = POLLIN };

	return main_pidfd >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
	       poll(&p, 1, TEARDOWN_MS) == 1;
}

_Noreturn void exec_serve(const struct guest *g, int client, pid_t main_pid, int main_fd)
{
	struct request r = { .fds = { -1, -1, -1 } };
	int status, main_pidfd = -1;
	pid_t pid;

	(void)prctl(PR_SET_NAME, "standin-exec");
	if (receive(client, &r) < 0 || parse(&r) < 0)
		_exit(1);
	if (r.has_terminal && open_terminal(&r, client) < 0)
		_exit(1);
	if (main_pid > 0)
		main_pidfd = (int)syscall(SYS_pidfd_open, main_pid, 0);
	pid = start(g, &r, &main_pid, main_fd);
	for (int i = 0; i < 3; i++)
		(void)close(r.fds[i]);
	if (pid < 0) {
		(void)send_answer(client, 'G', 0, 0, -1);
		_exit(1);
	}
	if (r.is_detached) {
		(void)send_answer(client, 'D', (uint32_t)pid, 0, -1);
		(void)close(client);
		(void)waitpid(pid, NULL, 0);
		_exit(0);
	}
	status = wait_or_kill(pid, client);
	(void)send_answer(client, 'X', (uint32_t)status, has_died_with(main_pidfd, status), -1);
	_exit(0);
}
