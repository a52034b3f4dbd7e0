/*
 * A jail ends with its owner, whole: daemons that left their session and parent included. Seen from
 * outside by a pipe whose write end only the inside holds. And what keeps it in: the VMM's one
 * exec, id ranges, messages of a host that forbids namespaces.
 */
#include "arena.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sched.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "sys/linux/jail_impl.h"
#include "sys/linux/process.h"

static char *const daemon_argv[] = { (char *)(uintptr_t) "probe", (char *)(uintptr_t) "daemon",
				     NULL };

/* The jail with its daemons, the pipe they hold in *ret_hold. */
static struct jail *start_daemons(int *ret_hold)
{
	const struct arena_run run = { .argv = daemon_argv };
	struct jail *j;
	int ends[2], out;
	char line[8];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	j = arena_start(&run, ends[1], &out);
	(void)close(ends[1]);
	assert_int_equal(process_poll(out, ARENA_TIMEOUT_MS), 0);
	assert_true(read(out, line, sizeof(line)) > 0); /* the daemon is there */
	(void)close(out);
	*ret_hold = ends[0];
	return j;
}

static void assert_all_gone(int hold)
{
	char c;

	assert_int_equal(process_poll(hold, ARENA_TIMEOUT_MS), 0);
	assert_int_equal(read(hold, &c, 1), 0);
	(void)close(hold);
}

static void free_ends_daemons_too(void **state)
{
	int hold;
	struct jail *j = start_daemons(&hold);

	(void)state;
	assert_int_equal(process_poll(hold, 0), -ETIMEDOUT); /* they live */
	jail_free(j);
	assert_all_gone(hold);
}

static void death_of_the_owner_ends_all(void **state)
{
	int ends[2], hold;
	pid_t owner;
	char c;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	owner = fork();
	assert_true(owner >= 0);
	if (owner == 0) {
		const struct arena_run run = { .argv = daemon_argv };
		int out;

		(void)arena_start(&run, ends[1], &out);
		(void)!read(out, &c, 1);
		(void)kill(getpid(), SIGKILL);
	}
	(void)close(ends[1]);
	hold = ends[0];
	assert_all_gone(hold);
	assert_int_equal(waitpid(owner, NULL, 0), owner);
}

static void killed_jail_reports_the_signal(void **state)
{
	int hold;
	struct jail *j = start_daemons(&hold);

	(void)state;
	assert_int_equal(jail_exit_code(j), -EAGAIN);
	assert_int_equal(kill(jail_pid(j), SIGKILL), 0);
	assert_int_equal(process_poll(jail_pidfd(j), ARENA_TIMEOUT_MS), 0);
	assert_int_equal(jail_exit_code(j), 128 + SIGKILL);
	jail_free(j);
	assert_all_gone(hold);
}

static void probe_says_yes(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(jail_probe(&err), 0);
}

static void missing_program_is_named(void **state)
{
	struct bb_err err = { 0 };
	char *const argv[] = { (char *)(uintptr_t) "x", NULL };
	struct jail_plan plan = {
		.name = "t", .path = "/no/such", .argv = argv, .uid = 1000, .gid = 1000
	};
	struct jail *j = NULL;

	(void)state;
	assert_error(jail_start(&plan, &j, &err), -ENOENT, err);
	assert_non_null(strstr(err.msg, "/no/such"));
}

static void missing_source_is_named(void **state)
{
	struct bb_err err = { 0 };
	const struct jail_mount mount = { .kind = JAIL_BIND_RO,
					  .source = "/no/source",
					  .target = "/x" };
	struct jail_plan plan = {
		.name = "t", .mounts = &mount, .mount_count = 1, .uid = 1000, .gid = 1000
	};
	struct jail *j = NULL;

	(void)state;
	assert_error(jail_start(&plan, &j, &err), -ENOENT, err);
	assert_non_null(strstr(err.msg, "/no/source"));
}

/* A namespace in which nobody may make another. */
static void host_without_namespaces_gets_a_sentence(void **state)
{
	int ends[2], status;
	char text[2048] = { 0 };
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct bb_err err = { 0 };
		char map[64];
		int fd;

		(void)snprintf(map, sizeof(map), "0 %u 1", geteuid());
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(1);
		fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, map, strlen(map)) < 0)
			_exit(2);
		fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(3);
		if (jail_probe(&err) == 0)
			_exit(4);
		(void)!write(ends[1], err.msg, strlen(err.msg));
		_exit(0);
	}
	(void)close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	(void)close(ends[0]);
	assert_non_null(strstr(text, "user.max_user_namespaces"));
}

/* What a shell needs. */
static const struct jail_mount shell_mounts[] = {
	{ .kind = JAIL_BIND_RO, .source = "/usr", .target = "/usr" },
	{ .kind = JAIL_BIND_RO, .source = "/lib", .target = "/lib" },
	{ .kind = JAIL_BIND_RO, .source = "/lib64", .target = "/lib64", .is_optional = true },
	{ .kind = JAIL_BIND_RO, .source = "/bin", .target = "/bin" },
	{ .kind = JAIL_PROC, .target = "/proc" },
};

/* Runs it as the agent, with no other descriptors than 1 and 2. */
static struct jail_plan shell_jail(const char *name, char *const *argv,
				   const struct spawn_fd fds[2])
{
	return (struct jail_plan){ .name = name,
				   .mounts = shell_mounts,
				   .mount_count = BB_ARRAY_LEN(shell_mounts),
				   .path = "/bin/sh",
				   .argv = argv,
				   .fds = fds,
				   .fd_count = 2,
				   .uid = 1000,
				   .gid = 1000 };
}

/* ---- the VMM's filter ---- */

static int run_vmm(const char *script, enum jail_filter filter, struct bb_buf *out)
{
	char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			 (char *)(uintptr_t)script, NULL };
	struct bb_err err = { 0 };
	struct jail *j = NULL;
	int ends[2], code;

	bb_buf_init(out, ARENA_OUTPUT_MAX);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	{
		const struct spawn_fd fds[] = { { ends[1], 1 }, { ends[1], 2 } };
		struct jail_plan plan = shell_jail("vmm", argv, fds);

		plan.filter = filter;
		if (jail_start(&plan, &j, &err) < 0)
			fail_msg("%s", err.msg);
	}
	(void)close(ends[1]);
	arena_collect(ends[0], out);
	(void)close(ends[0]);
	assert_int_equal(process_poll(jail_pidfd(j), ARENA_TIMEOUT_MS), 0);
	code = jail_exit_code(j);
	jail_free(j);
	return code;
}

static void vmm_is_executed_and_executes_nothing(void **state)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_BUF struct bb_buf twin = { 0 };

	(void)state;
	assert_int_not_equal(run_vmm("echo in 1; exec /bin/echo out 1", JAIL_FILTER_VMM, &out), 0);
	assert_int_equal(arena_number(&out, "in"), 1);
	assert_int_equal(arena_number(&out, "out"), -1);
	assert_int_equal(run_vmm("echo in 1; exec /bin/echo out 1", JAIL_FILTER_NONE, &twin), 0);
	assert_int_equal(arena_number(&twin, "out"), 1);
}

static void vmm_makes_no_process(void **state)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_BUF struct bb_buf twin = { 0 };

	(void)state;
	assert_int_not_equal(run_vmm("(echo forked 1)", JAIL_FILTER_VMM, &out), 0);
	assert_int_equal(arena_number(&out, "forked"), -1);
	assert_int_equal(run_vmm("(echo forked 1)", JAIL_FILTER_NONE, &twin), 0);
	assert_int_equal(arena_number(&twin, "forked"), 1);
}

/* ---- a range of ids ---- */

/*
 * newuidmap reads /etc/subuid: where the caller is root, an /etc of the test's own in a private
 * mount namespace gives the ordinary user 65533 a range, and the jail is made as that user.
 */
static void make_as_ranged_user(int result)
{
	static const char passwd[] = "ranged:x:65533:65533::/:/bin/sh\n";
	static const char range[] = "ranged:700000:65536\n";
	struct bb_err err = { 0 };
	char *const argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			       (char *)(uintptr_t) "cat /proc/self/uid_map", NULL };
	const struct spawn_fd fds[] = { { result, 1 }, { result, 2 } };
	struct jail_plan plan = shell_jail("range", argv, fds);
	struct jail *j = NULL;

	plan.wants_uid_range = true;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("t", "/mnt", "tmpfs", 0, NULL) < 0 ||
	    bb_path_write_atomic("/mnt/p", passwd, sizeof(passwd) - 1, 0644, &err) < 0 ||
	    bb_path_write_atomic("/mnt/r", range, sizeof(range) - 1, 0644, &err) < 0 ||
	    mount("/mnt/p", "/etc/passwd", NULL, MS_BIND, NULL) < 0 ||
	    mount("/mnt/r", "/etc/subuid", NULL, MS_BIND, NULL) < 0 ||
	    mount("/mnt/r", "/etc/subgid", NULL, MS_BIND, NULL) < 0)
		_exit(10);
	if (setgid(65533) < 0 || setuid(65533) < 0)
		_exit(11);
	if (jail_start(&plan, &j, &err) < 0) {
		dprintf(result, "%s\n", err.msg);
		_exit(12);
	}
	if (process_poll(jail_pidfd(j), ARENA_TIMEOUT_MS) < 0)
		_exit(13);
	jail_free(j);
	_exit(0);
}

static void subuid_range_is_mapped_where_there_is_one(void **state)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	int ends[2], status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		arena_skip("an /etc of one's own needs root");
	if (access("/usr/bin/newuidmap", X_OK) < 0 || access("/etc/subuid", F_OK) < 0)
		arena_skip("the package uidmap is not installed");
	bb_buf_init(&out, 4096);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		make_as_ranged_user(ends[1]);
	(void)close(ends[1]);
	arena_collect(ends[0], &out);
	(void)close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	print_message("# %s", (const char *)bb_buf_peek(&out).p);
	assert_int_equal(WEXITSTATUS(status), 0);
	/* Three lines: below 1000, the agent, above. Together 0 to 65535. */
	assert_non_null(strstr((const char *)bb_buf_peek(&out).p, "1001       1001      64535"));
}

static void host_root_maps_to_high_ids(void **state)
{
	struct bb_err err = { 0 };
	struct jail_ids ids;
	struct jail_plan plan = { .name = "t", .uid = 1000, .gid = 1000 };

	(void)state;
	if (geteuid() != 0)
		arena_skip("for the host's root only");
	assert_int_equal(jail_ids_choose(&plan, &ids, &err), 0);
	assert_int_equal(ids.mode, JAIL_IDS_ROOT);
	assert_true(ids.agent_uid > 65536);
	assert_null(strstr(ids.inner_uids, " 0 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_ends_daemons_too),
		cmocka_unit_test(death_of_the_owner_ends_all),
		cmocka_unit_test(killed_jail_reports_the_signal),
		cmocka_unit_test(probe_says_yes),
		cmocka_unit_test(missing_program_is_named),
		cmocka_unit_test(missing_source_is_named),
		cmocka_unit_test(host_without_namespaces_gets_a_sentence),
		cmocka_unit_test(vmm_is_executed_and_executes_nothing),
		cmocka_unit_test(vmm_makes_no_process),
		cmocka_unit_test(subuid_range_is_mapped_where_there_is_one),
		cmocka_unit_test(host_root_maps_to_high_ids),
	};

	return cmocka_run_group_tests_name("escape-life", tests, NULL, NULL);
}
