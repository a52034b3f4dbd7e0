/* spawn.c: exact descriptors, exact exit codes, exec failures told by name. */
#include "../unit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sys/spawn.h"

static char *const sh_env[] = { (char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL };

/* argv for `sh -c script`. */
static char *const *sh_argv(const char *script)
{
	static char *argv[4];

	argv[0] = (char *)(uintptr_t) "sh";
	argv[1] = (char *)(uintptr_t) "-c";
	argv[2] = (char *)(uintptr_t)script;
	argv[3] = NULL;
	return argv;
}

static int run_script(const char *script, struct bb_buf *out)
{
	struct bb_err err = { 0 };
	struct spawn_plan plan = { .path = "/bin/sh", .argv = sh_argv(script), .envp = sh_env };

	return spawn_run(&plan, 10000, out, &err);
}

static void spawn_run_gives_output_and_exit_code(void **state)
{
	BB_AUTO_BUF struct bb_buf out;

	(void)state;
	bb_buf_init(&out, 4096);
	assert_int_equal(run_script("echo hello; exit 7", &out), 7);
	assert_int_equal(bb_buf_size(&out), 6);
	assert_memory_equal(bb_buf_peek(&out).p, "hello\n", 6);
}

static void spawn_run_reports_a_signal_as_128_and_number(void **state)
{
	BB_AUTO_BUF struct bb_buf out;

	(void)state;
	bb_buf_init(&out, 16);
	assert_int_equal(run_script("kill -TERM $$", &out), 128 + SIGTERM);
}

static void spawn_run_does_not_stall_on_output_above_the_cap(void **state)
{
	BB_AUTO_BUF struct bb_buf out;

	(void)state;
	bb_buf_init(&out, 16);
	assert_int_equal(run_script("head -c 300000 /dev/zero; exit 3", &out), 3);
	assert_int_equal(bb_buf_size(&out), 16);
}

static void spawn_run_kills_at_the_deadline(void **state)
{
	struct bb_err err = { 0 };
	struct spawn_plan plan = { .path = "/bin/sleep" };
	char *const argv[] = { (char *)(uintptr_t) "sleep", (char *)(uintptr_t) "100", NULL };
	BB_AUTO_BUF struct bb_buf out;

	(void)state;
	bb_buf_init(&out, 16);
	plan.argv = argv;
	assert_error(spawn_run(&plan, 50, &out, &err), BB_E_DEADLINE, err);
}

static void spawn_start_names_a_missing_program(void **state)
{
	struct bb_err err = { 0 };
	struct spawn_child child;
	struct spawn_plan plan = { .path = "/nonexistent/program", .argv = sh_argv("") };

	(void)state;
	assert_error(spawn_start(&plan, &child, &err), -ENOENT, err);
	assert_non_null(strstr(err.msg, "/nonexistent/program"));
}

static void spawn_hands_over_only_the_named_descriptors(void **state)
{
	BB_AUTO_BUF struct bb_buf out;
	BB_AUTO_CLOSE int leak = open("/etc/passwd", O_RDONLY); /* no O_CLOEXEC: on purpose */
	BB_AUTO_CLOSE int high = fcntl(leak, F_DUPFD, 200);

	(void)state;
	assert_true(leak > 2 && high >= 200);
	bb_buf_init(&out, 4096);
	assert_int_equal(run_script("for f in /proc/self/fd/*; do echo ${f##*/}; done | sort | "
				    "tr '\\n' ' '; readlink /proc/self/fd/0",
				    &out),
			 0);
	assert_int_equal(bb_buf_append_byte(&out, 0), 0);
	/* The shell's own pipe makes descriptors as it likes; 200 and the file must not be there.
	 */
	assert_null(strstr((const char *)bb_buf_peek(&out).p, "200"));
	assert_non_null(strstr((const char *)bb_buf_peek(&out).p, "/dev/null"));
}

static void spawn_can_swap_descriptors(void **state)
{
	struct bb_err err = { 0 };
	struct spawn_child child;
	int a[2], b[2];
	char got[2] = { 0 };

	(void)state;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	{
		/* Each source is the other's target number. */
		const struct spawn_fd fds[] = { { .from = a[1], .to = b[1] },
						{ .from = b[1], .to = a[1] } };
		char script[64];
		struct spawn_plan plan = {
			.path = "/bin/sh", .envp = sh_env, .fds = fds, .fd_count = 2
		};

		(void)snprintf(script, sizeof(script), "printf A >&%d; printf B >&%d", b[1], a[1]);
		plan.argv = sh_argv(script);
		assert_int_equal(spawn_start(&plan, &child, &err), 0);
	}
	assert_int_equal(spawn_wait(&child, 10000), 0);
	assert_int_equal(read(a[0], &got[0], 1), 1);
	assert_int_equal(read(b[0], &got[1], 1), 1);
	assert_int_equal(got[0], 'A');
	assert_int_equal(got[1], 'B');
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
}

static void spawn_refuses_two_sources_for_one_target(void **state)
{
	struct bb_err err = { 0 };
	struct spawn_child child;
	const struct spawn_fd fds[] = { { .from = 0, .to = 5 }, { .from = 1, .to = 5 } };
	struct spawn_plan plan = { .path = "/bin/true", .argv = sh_argv(""), .fds = fds };

	(void)state;
	plan.fd_count = 2;
	assert_error(spawn_start(&plan, &child, &err), -EINVAL, err);
}

static void spawn_resets_signals(void **state)
{
	BB_AUTO_BUF struct bb_buf out;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	sigset_t block, before;

	(void)state;
	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGUSR1);
	assert_int_equal(sigaction(SIGPIPE, &ignore, &old), 0);
	assert_int_equal(sigprocmask(SIG_BLOCK, &block, &before), 0);
	bb_buf_init(&out, 4096);
	assert_int_equal(
		run_script("grep -E 'Sig(Blk|Ign)' /proc/self/status | grep -vc '[[:space:]]0*$'",
			   &out),
		1); /* grep -c counts no line that is not zero */
	assert_int_equal(sigaction(SIGPIPE, &old, NULL), 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

/* The grandchild dies with the child that started it: a pipe that only it holds reaches its end. */
static void spawn_child_dies_with_its_parent(void **state)
{
	int alive[2];
	pid_t middle;
	char c;

	(void)state;
	assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
	middle = fork();
	assert_true(middle >= 0);
	if (middle == 0) {
		struct bb_err err = { 0 };
		struct spawn_child child;
		char *const argv[] = { (char *)(uintptr_t) "sleep", (char *)(uintptr_t) "100",
				       NULL };
		const struct spawn_fd fds[] = { { .from = alive[1], .to = 5 } };
		struct spawn_plan plan = { .path = "/bin/sleep",
					   .argv = argv,
					   .fds = fds,
					   .fd_count = 1,
					   .dies_with_parent = true };

		_exit(spawn_start(&plan, &child, &err) == 0 ? 0 : 1);
	}
	(void)close(alive[1]);
	assert_int_equal(read(alive[0], &c, 1), 0);
	(void)close(alive[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spawn_run_gives_output_and_exit_code),
		cmocka_unit_test(spawn_run_reports_a_signal_as_128_and_number),
		cmocka_unit_test(spawn_run_does_not_stall_on_output_above_the_cap),
		cmocka_unit_test(spawn_run_kills_at_the_deadline),
		cmocka_unit_test(spawn_start_names_a_missing_program),
		cmocka_unit_test(spawn_hands_over_only_the_named_descriptors),
		cmocka_unit_test(spawn_can_swap_descriptors),
		cmocka_unit_test(spawn_refuses_two_sources_for_one_target),
		cmocka_unit_test(spawn_resets_signals),
		cmocka_unit_test(spawn_child_dies_with_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
