/* --mount-socket: a connection in the guest becomes one of the VMM's own to the host's socket. */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "guest.h"

#define CHUNK 65536

/* As the VMM's own user, which root's is not from 1.2.5 on. */
static int connect_as(uid_t uid, int fd, const struct sockaddr_un *a)
{
	const uid_t own = geteuid();
	int r;

	if (uid != own && seteuid(uid) < 0)
		return -1;
	r = connect(fd, (const struct sockaddr *)a, sizeof(*a));
	if (uid != own && seteuid(own) < 0)
		_exit(1);
	return r;
}

static int dial(uid_t uid, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	BB_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path, path, strlen(path));
	return connect_as(uid, fd, &a) < 0 ? -1 : bb_take_fd(&fd);
}

/* One direction, in a child that dies with the VMM. End of data is passed on as such; a failed
 * write ends both directions. */
static void carry(int from, int to)
{
	static char chunk[CHUNK];
	const pid_t vmm = getpid();
	ssize_t n;

	if (fork() != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "standin-relay");
	(void)signal(SIGPIPE, SIG_IGN);
	if (getppid() != vmm)
		_exit(1);
	while ((n = read(from, chunk, sizeof(chunk))) > 0) {
		if (bb_fd_write_all(to, chunk, (size_t)n) < 0) {
			(void)shutdown(from, SHUT_RDWR);
			break;
		}
	}
	(void)shutdown(to, SHUT_WR);
	_exit(0);
}

void relay_start(const struct guest *g, int guest_fd, const char *host_path)
{
	BB_AUTO_CLOSE int host_fd = dial(g->relay_uid, host_path);

	if (host_fd < 0)
		return; /* the caller closes: the guest sees the end at once */
	carry(guest_fd, host_fd);
	carry(host_fd, guest_fd);
}
