/* The plain ends of the stream benchmark and the copy that is its baseline. */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "stream.h"

pid_t bench_source(int fd, int go_fd)
{
	static uint8_t block[BENCH_BLOCK];
	pid_t pid = fork();
	char go;

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(block, 'x', sizeof(block));
	if (bb_fd_read_full(go_fd, &go, 1) < 0)
		_exit(1);
	for (size_t left = BENCH_BYTES; left > 0; left -= sizeof(block))
		if (bb_fd_write_all(fd, block, sizeof(block)) < 0)
			_exit(1);
	(void)shutdown(fd, SHUT_WR);
	_exit(0);
}

pid_t bench_copier(int from, int to)
{
	static uint8_t block[BENCH_BLOCK];
	pid_t pid = fork();
	ssize_t n;

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((n = read(from, block, sizeof(block))) > 0)
		if (bb_fd_write_all(to, block, (size_t)n) < 0)
			_exit(1);
	_exit(n < 0);
}

void bench_sink(int fd)
{
	static uint8_t block[BENCH_BLOCK];
	size_t got = 0;

	while (got < BENCH_BYTES) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EAGAIN)
			bench_die("a blocking socket is expected");
		if (n <= 0)
			bench_die("the bytes end early");
		got += (size_t)n;
	}
}
