/*
 * Facts that the code relies on and that no manual promises for every kernel. A failure here
 * explains a failure elsewhere.
 */
#include "../unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/linux/landlock.h"
#include "sys/linux/process.h"
#include "sys/loopback.h"

#define DEADLINE_MS 20000

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(100);
	(void)close(fd);
}

/* Root of a fresh user namespace (and more); ends the process when there is none. */
static void enter_namespaces(int more)
{
	char uids[32], gids[32];

	(void)snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
	(void)snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER | more) < 0)
		_exit(101);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", uids);
	put("/proc/self/gid_map", gids);
}

/* Runs fn in a process of its own; its result. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void pidfd_is_readable_at_the_end_and_reaps(void **state)
{
	BB_AUTO_CLOSE int pidfd = -1;
	pid_t pid = process_clone(0, &pidfd);

	(void)state;
	if (pid == 0)
		_exit(7);
	assert_true(pid > 0);
	assert_int_equal(process_poll(pidfd, DEADLINE_MS), 0);
	assert_int_equal(process_wait(pidfd, false), 7);
}

static void pidfd_of_a_reaped_process_signals_nobody(void **state)
{
	BB_AUTO_CLOSE int pidfd = -1;
	pid_t pid = process_clone(0, &pidfd);

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(process_wait(pidfd, true), 0);
	assert_int_equal(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* PDEATHSIG is cleared when ids change: it has to be asked for after the last change. */
static int death_signal_after_id_change(void)
{
	int signal = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || setresuid(65534, 65534, 65534) < 0 ||
	    prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) < 0)
		return 1;
	return signal == 0 ? 0 : 2;
}

static void id_change_clears_the_death_signal(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("# skipped: only root changes its uid\n");
		skip();
	}
	assert_int_equal(in_child(death_signal_after_id_change), 0);
}

static int death_signal_after_exec_flag(void)
{
	int signal = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) < 0)
		return 1;
	return signal == SIGTERM ? 0 : 2;
}

static void no_new_privileges_keeps_the_death_signal(void **state)
{
	(void)state;
	assert_int_equal(in_child(death_signal_after_exec_flag), 0);
}

/* The end of pid 1 ends every process of its namespace before it can be reaped. */
static void end_of_pid_one_ends_its_namespace(void **state)
{
	BB_AUTO_CLOSE int pidfd = -1;
	int alive[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
	pid = process_clone(CLONE_NEWUSER | CLONE_NEWPID, &pidfd);
	assert_true(pid >= 0);
	if (pid == 0) {
		if (fork() == 0) {
			(void)setsid();
			for (;;)
				(void)pause();
		}
		_exit(0);
	}
	(void)close(alive[1]);
	assert_int_equal(process_wait(pidfd, true), 0);
	assert_int_equal(process_poll(alive[0], 0), 0); /* at once: nobody is left */
	assert_int_equal(read(alive[0], &c, 1), 0);
	(void)close(alive[0]);
}

static int mount_is_locked(void)
{
	enter_namespaces(CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("t", "/mnt", "tmpfs", MS_RDONLY | MS_NODEV, NULL) < 0)
		return 1;
	/* The inner namespace gets the mounts of the outer one and may not loosen them. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return 2;
	if (mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		return 3;
	return umount2("/mnt", 0) == 0 ? 4 : 0;
}

static void mounts_are_locked_in_an_inner_user_namespace(void **state)
{
	(void)state;
	assert_int_equal(in_child(mount_is_locked), 0);
}

static int overlay_in_user_namespace(void)
{
	enter_namespaces(CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("t", "/mnt", "tmpfs", 0, NULL) < 0)
		return 1;
	if (mkdir("/mnt/a", 0755) < 0 || mkdir("/mnt/b", 0755) < 0 || mkdir("/mnt/m", 0755) < 0)
		return 2;
	if (mount("o", "/mnt/m", "overlay", MS_RDONLY, "lowerdir=/mnt/a:/mnt/b") < 0)
		return 3;
	return 0;
}

static void read_only_overlay_needs_no_root(void **state)
{
	(void)state;
	assert_int_equal(in_child(overlay_in_user_namespace), 0);
}

static void landlock_is_there(void **state)
{
	(void)state;
	assert_true(landlock_version() >= 1);
}

static int every_address_is_ours(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(8080) };
	struct sockaddr_in got = { 0 };
	socklen_t n = sizeof(got);
	struct bb_err err = { 0 };
	int server, client;

	enter_namespaces(CLONE_NEWNET);
	if (loopback_setup(&err) < 0)
		return 1;
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server < 0 || bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(server, 1) < 0)
		return 2;
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (inet_pton(AF_INET, "203.0.113.77", &at.sin_addr) != 1 ||
	    connect(client, (struct sockaddr *)&at, sizeof(at)) < 0)
		return 3;
	client = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	/* The dialled address is what the listener sees as its own. */
	if (client < 0 || getsockname(client, (struct sockaddr *)&got, &n) < 0 ||
	    got.sin_addr.s_addr != at.sin_addr.s_addr)
		return 4;
	/* No listener: refused at once, not lost. */
	at.sin_port = htons(8081);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(client, (struct sockaddr *)&at, sizeof(at)) == 0 || errno != ECONNREFUSED)
		return 5;
	return 0;
}

static void every_address_is_local_without_a_network_card(void **state)
{
	(void)state;
	assert_int_equal(in_child(every_address_is_ours), 0);
}

/* Why seccomp has to refuse the family: an empty network namespace does not. */
static int vsock_opens(void)
{
	enter_namespaces(CLONE_NEWNET);
	return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 0
	       : errno == EAFNOSUPPORT                              ? 1
								    : 2;
}

static void vsock_is_not_bound_to_a_network_namespace(void **state)
{
	int r = in_child(vsock_opens);

	(void)state;
	if (r == 1) {
		print_message("# skipped: this kernel has no vsock\n");
		skip();
	}
	assert_int_equal(r, 0);
}

static void sealed_memory_file_cannot_be_written(void **state)
{
	BB_AUTO_CLOSE int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	BB_AUTO_CLOSE int again = -1;
	char path[64];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	assert_int_equal(write(fd, "y", 1), -1);
	/* Nor through another opening of it. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_true(again < 0 || write(again, "y", 1) < 0);
}

/* A datagram pair keeps each message and its descriptors together. */
static void seqpacket_keeps_messages_apart(void **state)
{
	char got[16];
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(write(ends[0], "ab", 2), 2);
	assert_int_equal(write(ends[0], "cde", 3), 3);
	assert_int_equal(read(ends[1], got, sizeof(got)), 2);
	assert_int_equal(read(ends[1], got, sizeof(got)), 3);
	(void)close(ends[0]);
	assert_int_equal(read(ends[1], got, sizeof(got)), 0);
	(void)close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pidfd_is_readable_at_the_end_and_reaps),
		cmocka_unit_test(pidfd_of_a_reaped_process_signals_nobody),
		cmocka_unit_test(id_change_clears_the_death_signal),
		cmocka_unit_test(no_new_privileges_keeps_the_death_signal),
		cmocka_unit_test(end_of_pid_one_ends_its_namespace),
		cmocka_unit_test(mounts_are_locked_in_an_inner_user_namespace),
		cmocka_unit_test(read_only_overlay_needs_no_root),
		cmocka_unit_test(landlock_is_there),
		cmocka_unit_test(every_address_is_local_without_a_network_card),
		cmocka_unit_test(vsock_is_not_bound_to_a_network_namespace),
		cmocka_unit_test(sealed_memory_file_cannot_be_written),
		cmocka_unit_test(seqpacket_keeps_messages_apart),
	};

	return cmocka_run_group_tests_name("platform-kernel", tests, NULL, NULL);
}
