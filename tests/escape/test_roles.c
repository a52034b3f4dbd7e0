/*
 * What each role may do once it is locked. For every profile a child locks itself and then tries
 * each call of the table; the table says for which profiles it works. Unlocked, all of them work
 * (the control), so a refusal is the sandbox's. A second run has a kernel without close_range,
 * openat2 and Landlock.
 */
#include "arena.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/linux/caps.h"
#include "sys/linux/filter.h"
#include "sys/linux/landlock.h"
#include "sys/sandbox.h"

#define BIT(profile) (1U << (profile))
#define NOBODY       0U
#define EVERYBODY    ((1U << SANDBOX_NUM_PROFILES) - 1)
#define KILLED       1000
#define CHANNELS     (BIT(SANDBOX_CHANNEL) | BIT(SANDBOX_CHANNEL_ACCEPT))
#define EGRESSES     (BIT(SANDBOX_EGRESS) | BIT(SANDBOX_EGRESS_ACCEPT))

static char dir_path[64]; /* the archive's tree */
static int dir_fd;

static int verdict(long r)
{
	return r < 0 ? errno : 0;
}

/* ---- what is tried ---- */

static int open_passwd(void)
{
	return verdict(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}
static int open_resolv(void)
{
	return verdict(open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC));
}
static int write_resolv(void)
{
	return verdict(open("/etc/resolv.conf", O_WRONLY | O_CLOEXEC));
}
static int write_tree(void)
{
	int fd = openat(dir_fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? errno : verdict(unlinkat(dir_fd, "new", 0));
}
static int read_tree_parent(void)
{
	return verdict(openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
static int execute(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)fd;
	return verdict(execl("/bin/true", "true", (char *)NULL));
}
static int fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return verdict(pid);
}
static int thread_like_clone(void)
{
	return verdict(syscall(SYS_unshare, CLONE_FILES));
}
static int new_user_namespace(void)
{
	return verdict(unshare(CLONE_NEWUSER));
}
static int tcp_socket(void)
{
	return verdict(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}
static int udp6_socket(void)
{
	return verdict(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}
static int raw_socket(void)
{
	return verdict(socket(AF_PACKET, SOCK_RAW, 0));
}
static int netlink_socket(void)
{
	return verdict(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int vsock_socket(void)
{
	return verdict(socket(AF_VSOCK, SOCK_STREAM, 0));
}
static int unix_socket(void)
{
	return verdict(socket(AF_UNIX, SOCK_STREAM, 0));
}
static int unix_pair(void)
{
	int fds[2];

	return verdict(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}
static int connect_out(void)
{
	/* On a descriptor that is no socket: the call is refused before it is looked at. */
	struct sockaddr_in at = { .sin_family = AF_INET };
	int r = verdict(connect(0, (struct sockaddr *)&at, sizeof(at)));

	return r == ENOTSOCK ? 0 : r;
}
static int listen_here(void)
{
	int r = verdict(listen(0, 1));

	return r == ENOTSOCK ? 0 : r;
}
static int accept_there(void)
{
	int r = verdict(accept4(0, NULL, NULL, SOCK_CLOEXEC));

	return r == ENOTSOCK ? 0 : r;
}
static int trace_parent(void)
{
	/* Ourselves: the call itself is what counts. */
	return verdict(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int read_memory_of_another(void)
{
	char a[4] = "abc", b[4];
	struct iovec l = { b, 4 }, r = { a, 4 };

	return verdict(syscall(SYS_process_vm_readv, getpid(), &l, 1, &r, 1, 0));
}
static int signal_parent(void)
{
	return verdict(kill(getppid(), 0));
}
static int signal_by_owner(void)
{
	return verdict(fcntl(0, F_SETOWN, getppid())) == ENOTTY ? 0
								: verdict(fcntl(0, F_SETOWN, 0));
}
static int executable_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? errno : 0;
}
static int memory_file(void)
{
	return verdict(memfd_create("x", MFD_CLOEXEC));
}
static int ring(void)
{
	uint8_t params[120] = { 0 };

	return verdict(syscall(SYS_io_uring_setup, 4, params));
}
static int keys(void)
{
	return verdict(syscall(SYS_keyctl, 0, -2, 1));
}
static int raise_limit(void)
{
	struct rlimit l = { 0, 0 };

	return verdict(setrlimit(RLIMIT_CORE, &l));
}
static int become_dumpable(void)
{
	return verdict(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
/* What each of them needs all the time. */
static int daily_work(void)
{
	int fds[2], fd;
	char c = 'x';
	void *p = malloc(300000);

	if (p == NULL || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return errno;
	free(p);
	if (write(fds[1], &c, 1) != 1 || read(fds[0], &c, 1) != 1)
		return errno;
	fd = (int)syscall(SYS_epoll_create1, 0);
	return fd < 0 ? errno : verdict(fcntl(fds[0], F_SETFL, O_NONBLOCK));
}
static int sync_file(void)
{
	int r = verdict(fdatasync(0));

	return r == EINVAL || r == EROFS ? 0 : r;
}

static const struct attempt {
	const char *name;
	int (*run)(void);
	unsigned works_for; /* bits of profiles */
} attempts[] = {
	{ "open_passwd", open_passwd, BIT(SANDBOX_MONITOR) },
	{ "open_resolv", open_resolv, BIT(SANDBOX_MONITOR) | BIT(SANDBOX_DIALLER) },
	{ "write_tree", write_tree, BIT(SANDBOX_MONITOR) | BIT(SANDBOX_ARCHIVE) },
	{ "read_tree_parent", read_tree_parent, BIT(SANDBOX_MONITOR) },
	{ "execute", execute, NOBODY },
	{ "fork_child", fork_child, NOBODY },
	{ "thread_like_clone", thread_like_clone, NOBODY },
	{ "new_user_namespace", new_user_namespace, NOBODY },
	{ "tcp_socket", tcp_socket, BIT(SANDBOX_DIALLER) },
	{ "udp6_socket", udp6_socket, BIT(SANDBOX_DIALLER) },
	{ "netlink_socket", netlink_socket, NOBODY },
	{ "unix_socket", unix_socket, BIT(SANDBOX_MONITOR) },
	{ "unix_pair", unix_pair, BIT(SANDBOX_MONITOR) | CHANNELS },
	{ "connect_out", connect_out, BIT(SANDBOX_MONITOR) | BIT(SANDBOX_DIALLER) },
	{ "listen_here", listen_here, BIT(SANDBOX_MONITOR) },
	{ "accept_there", accept_there,
	  BIT(SANDBOX_MONITOR) | BIT(SANDBOX_CHANNEL_ACCEPT) | BIT(SANDBOX_EGRESS_ACCEPT) },
	{ "trace_parent", trace_parent, NOBODY },
	{ "read_memory_of_another", read_memory_of_another, NOBODY },
	{ "signal_parent", signal_parent, BIT(SANDBOX_MONITOR) },
	{ "signal_by_owner", signal_by_owner, NOBODY },
	{ "executable_memory", executable_memory, NOBODY },
	{ "memory_file", memory_file, BIT(SANDBOX_MONITOR) | EGRESSES },
	{ "ring", ring, NOBODY },
	{ "keys", keys, NOBODY },
	{ "raise_limit", raise_limit, NOBODY },
	{ "become_dumpable", become_dumpable, NOBODY },
	{ "daily_work", daily_work, EVERYBODY },
	{ "sync_file", sync_file,
	  BIT(SANDBOX_MONITOR) | CHANNELS | BIT(SANDBOX_RECORDER) | BIT(SANDBOX_ARCHIVE) },
	/* Refused everywhere; not every kernel or user can show that they work. */
	{ "raw_socket", raw_socket, NOBODY },
	{ "vsock_socket", vsock_socket, NOBODY },
	{ "write_resolv", write_resolv, NOBODY },
};
#define UNPROVED 3

/* ---- an old kernel ---- */

static const struct filter_rule old_kernel_calls[] = {
	{ .call = "close_range", .verdict = FILTER_ERRNO, .error = ENOSYS },
	{ .call = "openat2", .verdict = FILTER_ERRNO, .error = ENOSYS },
	{ .call = "landlock_create_ruleset", .verdict = FILTER_ERRNO, .error = ENOSYS },
	{ .call = "landlock_add_rule", .verdict = FILTER_ERRNO, .error = ENOSYS },
	{ .call = "landlock_restrict_self", .verdict = FILTER_ERRNO, .error = ENOSYS },
	{ .call = NULL },
};

static int become_old(void)
{
	static const struct filter_rule *const tables[] = { old_kernel_calls, NULL };
	FILTER_AUTO_PROGRAM struct filter_program program = { 0 };
	struct bb_err err = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    filter_build(tables, FILTER_ALLOW, 0, &program, &err) < 0)
		return -1;
	return filter_load(&program);
}

/* ---- running ---- */

enum stage {
	UNLOCKED,
	LOCKED,
	LOCKED_OLD,
};

#define LOCK_FAILED 250

/* What the attempt gives in a child that went through the stage. */
static int try_in_child(const struct attempt *a, enum stage stage, enum sandbox_profile profile)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct bb_err err = { 0 };
		int fd = open(dir_path, O_RDONLY | O_DIRECTORY);

		(void)dup2(fd, 3);
		dir_fd = 3;
		if (stage == LOCKED_OLD && become_old() < 0)
			_exit(LOCK_FAILED);
		if (stage != UNLOCKED &&
		    (sandbox_early(4, &err) < 0 ||
		     sandbox_lock(profile, profile == SANDBOX_ARCHIVE ? 3 : -1, &err) < 0))
			_exit(LOCK_FAILED);
		_exit(a->run() & 0xff);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? KILLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir_path, sizeof(dir_path), "/tmp/roles-XXXXXX");
	return mkdtemp(dir_path) == NULL;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir_path);
}

static void everything_works_without_a_sandbox(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(attempts) - UNPROVED; i++) {
		int r = try_in_child(&attempts[i], UNLOCKED, SANDBOX_CHANNEL);

		if (r != 0)
			fail_msg("'%s' fails unlocked: %d", attempts[i].name, r);
	}
}

static void check_profile(enum sandbox_profile profile, enum stage stage)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(attempts); i++) {
		const struct attempt *a = &attempts[i];
		bool is_allowed = (a->works_for & BIT(profile)) != 0;
		int r;

		/* The monitor keeps its files; whose they are is the host's matter. */
		if (profile == SANDBOX_MONITOR && a->run == write_resolv)
			continue;
		/* Without Landlock the dialler opens nothing. */
		if (stage == LOCKED_OLD && profile == SANDBOX_DIALLER && a->run == open_resolv)
			is_allowed = false;
		r = try_in_child(a, stage, profile);
		assert_int_not_equal(r, LOCK_FAILED);
		if (is_allowed != (r == 0))
			fail_msg("profile %d: '%s' gives %d", (int)profile, a->name, r);
	}
}

static void profile_allows_what_it_says(void **state)
{
	check_profile((enum sandbox_profile)(uintptr_t)*state, LOCKED);
}

static void profile_holds_on_an_old_kernel(void **state)
{
	enum sandbox_profile profile = (enum sandbox_profile)(uintptr_t)*state;

	if (profile == SANDBOX_ARCHIVE) {
		/* Its tree is Landlock's to guard: it refuses to work instead. */
		assert_int_equal(try_in_child(&attempts[0], LOCKED_OLD, profile), LOCK_FAILED);
		return;
	}
	check_profile(profile, LOCKED_OLD);
}

static void attempts_that_no_role_makes_kill(void **state)
{
	static const char *const deadly[] = { "execute", "trace_parent", "read_memory_of_another",
					      "new_user_namespace", "keys" };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(attempts); i++) {
		for (size_t k = 0; k < BB_ARRAY_LEN(deadly); k++) {
			if (strcmp(attempts[i].name, deadly[k]) == 0)
				assert_int_equal(try_in_child(&attempts[i], LOCKED, SANDBOX_EGRESS),
						 KILLED + SIGSYS);
		}
	}
}

/* ---- early ---- */

static int state_after_early(void)
{
	struct rlimit core;

	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0)
		return 3;
	if (fcntl(50, F_GETFD) >= 0 || fcntl(3, F_GETFD) < 0)
		return 4;
	return 0;
}

static int early_in_child(bool is_old)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct bb_err err = { 0 };

		(void)dup2(0, 3);
		(void)dup2(0, 50);
		if (is_old && become_old() < 0)
			_exit(LOCK_FAILED);
		_exit(sandbox_early(4, &err) < 0 ? LOCK_FAILED : state_after_early());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void early_leaves_nothing_to_dump_and_nothing_inherited(void **state)
{
	(void)state;
	assert_int_equal(early_in_child(false), 0);
	assert_int_equal(early_in_child(true), 0);
}

static void lock_drops_every_capability(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		arena_skip("an ordinary user has none to drop");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct bb_err err = { 0 };

		if (!caps_has(1ULL << 21) || sandbox_early(3, &err) < 0)
			_exit(1);
		if (!caps_has(1ULL << 21)) /* the set-up may still need them */
			_exit(2);
		if (sandbox_lock(SANDBOX_MONITOR, -1, &err) < 0)
			_exit(3);
		_exit(caps_has(1ULL << 21) ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define PROFILE_TEST(test, profile)                                                \
	{                                                                          \
#test " " #profile, test, NULL, NULL, (void *)(uintptr_t)(profile) \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_works_without_a_sandbox),
		PROFILE_TEST(profile_allows_what_it_says, SANDBOX_CHANNEL),
		PROFILE_TEST(profile_allows_what_it_says, SANDBOX_EGRESS),
		PROFILE_TEST(profile_allows_what_it_says, SANDBOX_DIALLER),
		PROFILE_TEST(profile_allows_what_it_says, SANDBOX_RECORDER),
		PROFILE_TEST(profile_allows_what_it_says, SANDBOX_MONITOR),
		PROFILE_TEST(profile_allows_what_it_says, SANDBOX_ARCHIVE),
		PROFILE_TEST(profile_allows_what_it_says, SANDBOX_CHANNEL_ACCEPT),
		PROFILE_TEST(profile_allows_what_it_says, SANDBOX_EGRESS_ACCEPT),
		PROFILE_TEST(profile_holds_on_an_old_kernel, SANDBOX_CHANNEL),
		PROFILE_TEST(profile_holds_on_an_old_kernel, SANDBOX_EGRESS),
		PROFILE_TEST(profile_holds_on_an_old_kernel, SANDBOX_DIALLER),
		PROFILE_TEST(profile_holds_on_an_old_kernel, SANDBOX_RECORDER),
		PROFILE_TEST(profile_holds_on_an_old_kernel, SANDBOX_MONITOR),
		PROFILE_TEST(profile_holds_on_an_old_kernel, SANDBOX_ARCHIVE),
		PROFILE_TEST(profile_holds_on_an_old_kernel, SANDBOX_CHANNEL_ACCEPT),
		PROFILE_TEST(profile_holds_on_an_old_kernel, SANDBOX_EGRESS_ACCEPT),
		cmocka_unit_test(attempts_that_no_role_makes_kill),
		cmocka_unit_test(early_leaves_nothing_to_dump_and_nothing_inherited),
		cmocka_unit_test(lock_drops_every_capability),
	};

	return cmocka_run_group_tests_name("escape-roles", tests, make_dir, remove_dir);
}
