/*
 * A program in a network namespace of its own: what it dials and listens on ends there. Each way is
 * first seen to lead somewhere without the namespace.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/netns.h"
#include "unit/unit.h"

static int listen_at(const char *address, uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(*port) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)inet_pton(AF_INET, address, &at.sin_addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) < 0)
		return -1;
	*port = ntohs(at.sin_port);
	return fd;
}

/* 0 or the errno of the connect. */
static int dial(const char *address, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	BB_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)inet_pton(AF_INET, address, &at.sin_addr);
	return connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? errno : 0;
}

#define STEP(condition, code)        \
	do {                         \
		if (!(condition))    \
			_exit(code); \
	} while (0)

/* Runs in a child: the number of the step that was not as it should be. */
static void inside(uint16_t host_port, int tell_fd, int wait_fd)
{
	struct bb_err err = { 0 };
	struct stat before, after;
	const char *home = getenv("HOME") != NULL ? getenv("HOME") : "/";
	uint16_t port = 0;
	char c;

	STEP(stat(home, &before) == 0, 10);
	STEP(dial("127.0.0.17", host_port) == 0, 11); /* the way is there before */
	if (netns_enter(&err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		_exit(12);
	}
	STEP(dial("127.0.0.17", host_port) == ECONNREFUSED, 13); /* lo is up, nobody is there */
	STEP(dial("127.0.0.1", host_port) == ECONNREFUSED, 14);
	STEP(dial("192.0.2.1", 53) == ENETUNREACH, 15);
	STEP(stat(home, &after) == 0 && after.st_ino == before.st_ino, 16);
	STEP(access(home, W_OK) == 0 || geteuid() != after.st_uid, 17);
	STEP(listen_at("0.0.0.0", &port) >= 0 && dial("127.0.0.17", port) == 0, 18);
	STEP(write(tell_fd, &port, sizeof(port)) == (ssize_t)sizeof(port), 19);
	STEP(read(wait_fd, &c, 1) == 0, 20); /* listens until the parent has looked */
	_exit(0);
}

static void run_inside(bool is_dumpable)
{
	uint16_t host_port = 0, port = 0;
	BB_AUTO_CLOSE int canary = listen_at("0.0.0.0", &host_port);
	int tell[2], hold[2], status;
	pid_t pid;

	assert_true(canary >= 0);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(hold[1]);
		(void)prctl(PR_SET_DUMPABLE, is_dumpable, 0, 0, 0);
		inside(host_port, tell[1], hold[0]);
	}
	(void)close(tell[1]);
	(void)close(hold[0]);
	if (read(tell[0], &port, sizeof(port)) == (ssize_t)sizeof(port))
		assert_int_equal(dial("127.0.0.1", port), ECONNREFUSED);
	(void)close(tell[0]);
	(void)close(hold[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : 256 + status, 0);
}

static void nothing_of_the_host_is_reached_and_nothing_shows_on_it(void **state)
{
	(void)state;
	run_inside(true);
}

/* As our own processes are, which hold credentials. */
static void a_process_without_dumps_enters_too(void **state)
{
	(void)state;
	run_inside(false);
}

static void the_probe_says_yes_and_stays_outside(void **state)
{
	struct bb_err err = { 0 };
	uint16_t port = 0;
	BB_AUTO_CLOSE int canary = listen_at("127.0.0.1", &port);

	(void)state;
	assert_true(canary >= 0);
	assert_int_equal(netns_probe(&err), 0);
	assert_int_equal(dial("127.0.0.1", port), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_the_host_is_reached_and_nothing_shows_on_it),
		cmocka_unit_test(a_process_without_dumps_enters_too),
		cmocka_unit_test(the_probe_says_yes_and_stays_outside),
	};

	return cmocka_run_group_tests_name("escape-netns", tests, NULL, NULL);
}
