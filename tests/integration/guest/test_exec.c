/* Sessions of bottle-init, seen from the host. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limit.h"
#include "base/num.h"
#include "base/tlv.h"
#include "host.h"

static const char *const base_env[] = { "GREETING=hello", "KEPT=yes", NULL };

static int setup(void **state)
{
	*state = host_start(&(struct host_options){ .env = base_env, .pids = 12000 });
	return 0;
}

static int teardown(void **state)
{
	host_free(*state);
	return 0;
}

static void exec_gives_the_exact_exit_code(void **state)
{
	host_expect_sh(*state, "exit 0", 0, "");
	host_expect_sh(*state, "exit 7", 7, "");
	host_expect_sh(*state, "exit 255", 255, "");
	host_expect_sh(*state, "kill -TERM $$", 128 + SIGTERM, "");
	host_expect_sh(*state, "kill -KILL $$", 128 + SIGKILL, "");
}

static void exec_keeps_stdout_and_stderr_apart(void **state)
{
	struct host_result r;

	assert_int_equal(host_sh(*state, "echo out; echo err >&2; echo out2", &r), 0);
	assert_string_equal(host_text(&r.out), "out\nout2\n");
	assert_string_equal(host_text(&r.err), "err\n");
	host_result_done(&r);
}

static void exec_has_base_environment_overridden_by_its_own(void **state)
{
	const char *const argv[] = { "sh", "-c", "echo $GREETING $KEPT $MINE $HOME $USER; id -u",
				     NULL };
	const char *const env[] = { "GREETING=bye", "MINE=1", NULL };
	struct host_result r;

	host_collect(host_exec_open(*state, &(struct host_exec){ .argv = argv, .env = env }), &r);
	assert_string_equal(host_text(&r.out), "bye yes 1 /home/node node\n1000\n");
	host_result_done(&r);
}

static void exec_starts_in_home_or_where_asked(void **state)
{
	const char *const argv[] = { "pwd", NULL };
	struct host_result r;

	host_expect_sh(*state, "pwd", 0, "/home/node\n");
	host_collect(host_exec_open(*state, &(struct host_exec){ .argv = argv, .cwd = "/etc" }),
		     &r);
	assert_string_equal(host_text(&r.out), "/etc\n");
	host_result_done(&r);
	host_collect(host_exec_open(*state, &(struct host_exec){ .argv = argv, .cwd = "/nope" }),
		     &r);
	assert_int_equal(r.failed, 125);
	assert_non_null(strstr(r.text, "directory"));
	host_result_done(&r);
}

static void exec_tells_missing_from_not_executable(void **state)
{
	static const struct {
		const char *program, *user;
		int failed;
	} cases[] = {
		{ "no-such-program", NULL, 127 }, { "/no/such/path", NULL, 127 },
		{ "/etc/passwd", NULL, 126 },     { "/etc", NULL, 126 },
		{ "true", "root", 125 },          { "true", "nobody", 125 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const argv[] = { cases[i].program, NULL };
		struct host_result r;

		host_collect(host_exec_open(*state, &(struct host_exec){ .argv = argv,
									 .user = cases[i].user }),
			     &r);
		assert_int_equal(r.failed, cases[i].failed);
		host_result_done(&r);
	}
}

static void exec_passes_stdin_and_its_end(void **state)
{
	const char *const argv[] = { "cat", NULL };
	struct host_stream *s = host_exec_open(*state, &(struct host_exec){ .argv = argv });
	struct host_result r;

	host_send(s, EXEC_STDIN, "one ", 4);
	host_send(s, EXEC_STDIN, "two", 3);
	host_send(s, EXEC_STDIN_EOF, NULL, 0);
	host_collect(s, &r);
	assert_int_equal(r.code, 0);
	assert_string_equal(host_text(&r.out), "one two");
	host_result_done(&r);
}

static void exec_loses_nothing_of_a_long_output(void **state)
{
	struct host_result r;

	assert_int_equal(host_sh(*state, "head -c 20000000 /dev/zero", &r), 0);
	assert_int_equal(bb_buf_size(&r.out), 20000000);
	host_result_done(&r);
}

static void exec_holds_back_stdin_that_nobody_reads(void **state)
{
	const char *const argv[] = { "sh", "-c", "read go </home/node/go; wc -c", NULL };
	struct host_stream *s;
	struct host_result r;
	char chunk[60000] = { 0 };
	size_t sent = 0;

	host_expect_sh(*state, "mkfifo /home/node/go", 0, "");
	s = host_exec_open(*state, &(struct host_exec){ .argv = argv });
	for (int i = 0; i < 200; i++) {
		/* The window, the guest's hold and the pipe: then no room is left. */
		if (mux_stream_writable(s->s) < sizeof(chunk) + PROTO_FRAME_HEAD) {
			host_turn(*state, 50);
			if (mux_stream_writable(s->s) < sizeof(chunk) + PROTO_FRAME_HEAD)
				break;
		}
		host_send(s, EXEC_STDIN, chunk, sizeof(chunk));
		sent += sizeof(chunk);
	}
	assert_true(sent >= 60000 && sent < 200 * sizeof(chunk));
	host_expect_sh(*state, "echo go >/home/node/go", 0, ""); /* others are served meanwhile */
	host_send(s, EXEC_STDIN_EOF, NULL, 0);
	host_collect(s, &r);
	assert_int_equal(strtol(host_text(&r.out), NULL, 10), sent);
	host_result_done(&r);
}

static void exec_does_not_wait_for_a_background_child(void **state)
{
	uint64_t before = bb_clock_ms();

	host_expect_sh(*state, "sleep 300 & echo done", 0, "done\n");
	assert_true(bb_clock_ms() - before < 5000);
	host_expect_sh(*state, "pkill -x sleep", 0, "");
}

static void exec_hears_a_background_child_that_never_stops_only_for_a_while(void **state)
{
	uint64_t before = bb_clock_ms();
	struct host_result r;

	assert_int_equal(
		host_sh(*state, "(while :; do echo x; done) & head -c 60000 /dev/zero", &r), 0);
	assert_true(bb_clock_ms() - before < 10000);
	assert_true(bb_buf_size(&r.out) >= 60000);
	host_result_done(&r);
}

static void wait_for_text(struct host_stream *s, struct bb_buf *all, const char *text)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 128 * 1024);
	while (strstr(host_text(all), text) == NULL) {
		uint8_t type = host_recv(s, &body);

		if (type == EXEC_STDOUT)
			bb_buf_append_view(all, bb_buf_peek(&body));
		else if (type != EXEC_STARTED)
			fail_msg("frame %d before '%s'; output: %s", type, text, host_text(all));
	}
	/* Up to and with it: what came in the same frame is for the next wait. */
	bb_buf_consume(all, (size_t)(strstr(host_text(all), text) - host_text(all)) + strlen(text));
}

static void pty_has_its_size_and_follows_a_change(void **state)
{
	const char *const argv[] = {
		"sh", "-c",
		"tty -s && echo is-a-tty; trap 'stty size; exit 3' WINCH; stty size; "
		"echo set; while :; do read x; done",
		NULL
	};
	struct host_stream *s = host_exec_open(
		*state, &(struct host_exec){ .argv = argv, .rows = 24, .columns = 80 });
	BB_AUTO_BUF struct bb_buf all = { 0 };
	struct host_result r;
	const uint8_t size[] = { 0, 50, 0, 132 };

	bb_buf_init(&all, 65536);
	wait_for_text(s, &all, "is-a-tty");
	wait_for_text(s, &all, "24 80");
	wait_for_text(s, &all, "set");
	host_send(s, EXEC_RESIZE, size, sizeof(size));
	host_send(s, EXEC_STDIN, "\n", 1);
	host_collect(s, &r);
	assert_int_equal(r.code, 3);
	assert_non_null(strstr(host_text(&r.out), "50 132"));
	host_result_done(&r);
}

static void pty_signals_reach_the_foreground_group(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "set -m; trap : INT; sh -c 'echo ready; exec sleep 300'; "
				     "echo code $?",
				     NULL };
	struct host_stream *s = host_exec_open(
		*state, &(struct host_exec){ .argv = argv, .rows = 24, .columns = 80 });
	BB_AUTO_BUF struct bb_buf all = { 0 };
	struct host_result r;
	const uint8_t interrupt[] = { 0, 0, 0, SIGINT };

	bb_buf_init(&all, 65536);
	wait_for_text(s, &all, "ready");
	host_send(s, EXEC_SIGNAL, interrupt, sizeof(interrupt));
	host_collect(s, &r);
	assert_non_null(strstr(host_text(&r.out), "code 130"));
	host_result_done(&r);
}

static void signals_reach_a_process_without_terminal(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "trap 'exit 9' USR1; echo ready; while :; do "
				     "sleep 0.05; done",
				     NULL };
	struct host_stream *s = host_exec_open(*state, &(struct host_exec){ .argv = argv });
	BB_AUTO_BUF struct bb_buf all = { 0 };
	struct host_result r;
	const uint8_t usr1[] = { 0, 0, 0, SIGUSR1 };

	bb_buf_init(&all, 65536);
	wait_for_text(s, &all, "ready");
	host_send(s, EXEC_SIGNAL, usr1, sizeof(usr1));
	host_collect(s, &r);
	/* "sleep" may have been hit as well; the shell's own trap gives the code. */
	assert_int_equal(r.code, 9);
	host_result_done(&r);
}

static void ten_thousand_processes_leave_no_zombie(void **state)
{
	static const char *const argv[] = {
		"python3", "-c",
		"import os, sys\n"
		"for i in range(200):\n"
		"    p = os.fork()\n"
		"    if p == 0:\n"
		"        for k in range(50):\n" /* orphans, as their parent ends at once */
		"            if os.fork() == 0: os._exit(0)\n"
		"        os._exit(0)\n"
		"    os.waitpid(p, 0)\n"
		"def zombies():\n"
		"    for d in os.listdir('/proc'):\n"
		"        try: s = open('/proc/%s/stat' % d).read() if d.isdigit() else ''\n"
		"        except OSError: continue\n"
		"        if ') Z ' in s: yield d\n"
		"while any(zombies()): pass\n"
		"print('clean')\n",
		NULL
	};
	struct host_result r;

	assert_int_equal(host_run(*state, argv, &r), 0);
	assert_string_equal(host_text(&r.out), "clean\n");
	host_result_done(&r);
}

static struct host_stream *attach(struct host *h, uint32_t session, uint32_t flags)
{
	struct host_stream *s = host_open(h, PROTO_EXEC, bb_view_of(NULL, 0));
	BB_AUTO_BUF struct bb_buf b = { 0 };

	bb_buf_init(&b, 256);
	bb_tlv_put_u32(&b, EXEC_TAG_SESSION, session);
	bb_tlv_put_u32(&b, EXEC_TAG_FLAGS, flags);
	host_send(s, EXEC_ATTACH, bb_buf_peek(&b).p, bb_buf_size(&b));
	return s;
}

static void main_session_survives_the_loss_of_its_stream(void **state)
{
	const char *const argv[] = { "sh", "-c", "echo first; read x; echo got $x; exit 5", NULL };
	struct host *h = *state;
	struct host_stream *s =
		host_exec_open(h, &(struct host_exec){ .argv = argv, .flags = EXEC_FLAG_MAIN });
	struct host_stream *observer;
	BB_AUTO_BUF struct bb_buf all = { 0 };
	struct host_result r;

	bb_buf_init(&all, 65536);
	wait_for_text(s, &all, "first");
	host_close(s);
	observer = attach(h, 0, EXEC_FLAG_OBSERVE);
	wait_for_text(observer, &all, "first");
	host_send(observer, EXEC_STDIN, "ignored\n", 8); /* an observer has no input */
	s = attach(h, 0, 0);
	wait_for_text(s, &all, "first"); /* the ring is replayed */
	host_send(s, EXEC_STDIN, "second\n", 7);
	host_collect(s, &r);
	assert_int_equal(r.code, 5);
	assert_string_equal(host_text(&r.out), "got second\n");
	host_result_done(&r);
	host_collect(observer, &r);
	assert_string_equal(host_text(&r.out), "got second\n");
	host_result_done(&r);
	assert_int_equal(host_recv(h->lifecycle, &all), LIFECYCLE_MAIN_EXIT);
	assert_int_equal(bb_be32(bb_buf_peek(&all).p + BB_TLV_HEADER), 5);
	host_collect(attach(h, 0, 0), &r); /* and again after its end */
	assert_string_equal(host_text(&r.out), "first\ngot second\n");
	host_result_done(&r);
}

static void kept_output_is_the_newest_when_nobody_is_attached(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "read x; seq 1 200000; echo end; read y </home/node/never",
				     NULL };
	struct host *h = *state;
	struct host_stream *s =
		host_exec_open(h, &(struct host_exec){ .argv = argv, .flags = EXEC_FLAG_KEEP });
	BB_AUTO_BUF struct bb_buf body = { 0 };
	BB_AUTO_BUF struct bb_buf all = { 0 };
	uint32_t session;

	bb_buf_init(&body, 65536);
	bb_buf_init(&all, 1024 * 1024);
	host_expect_sh(h, "mkfifo /home/node/never", 0, "");
	assert_int_equal(host_recv(s, &body), EXEC_STARTED);
	session = bb_be32(bb_buf_peek(&body).p);
	host_send(s, EXEC_STDIN, "go\n", 3);
	host_close(s);
	/* "end" was written once the reader of the fifo is there. */
	host_expect_sh(h, "timeout 20 sh -c ': >/home/node/never'", 0, "");
	s = attach(h, session, 0);
	assert_int_equal(host_recv(s, &body), EXEC_STARTED);
	while (host_recv(s, &body) != EXEC_EXIT)
		bb_buf_append_view(&all, bb_buf_peek(&body));
	assert_non_null(strstr(host_text(&all), "\n200000\nend\n"));
	assert_true(bb_buf_size(&all) <= 256 * 1024 + 64);
	assert_true(bb_buf_size(&all) > 200 * 1024);
	host_close(s);
}

static void lost_stream_without_keep_ends_the_process(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "trap '' HUP; echo $$; while :; do sleep 0.1; done", NULL };
	struct host *h = *state;
	struct host_stream *s = host_exec_open(h, &(struct host_exec){ .argv = argv });
	BB_AUTO_BUF struct bb_buf body = { 0 };
	char script[256];

	bb_buf_init(&body, 65536);
	while (host_recv(s, &body) != EXEC_STDOUT)
		;
	(void)snprintf(script, sizeof(script), "while kill -0 %ld 2>/dev/null; do sleep 0.1; done",
		       strtol(host_text(&body), NULL, 10));
	host_close(s);
	host_expect_sh(h, script, 0, "");
}

static void sessions_beyond_the_limit_are_refused_and_room_comes_back(void **state)
{
	const char *const argv[] = { "sleep", "300", NULL };
	struct host *h = *state;
	struct host_stream *s[LIMIT_EXEC_SESSIONS];
	struct host_result r;

	for (size_t i = 0; i < LIMIT_EXEC_SESSIONS; i++) {
		BB_AUTO_BUF struct bb_buf body = { 0 };

		bb_buf_init(&body, 65536);
		s[i] = host_exec_open(h, &(struct host_exec){ .argv = argv });
		assert_int_equal(host_recv(s[i], &body), EXEC_STARTED);
	}
	host_collect(host_exec_open(h, &(struct host_exec){ .argv = argv }), &r);
	assert_int_equal(r.failed, 125);
	assert_non_null(strstr(r.text, "64 processes"));
	host_result_done(&r);
	/* Hung up on: one that ended gives its place to the next. */
	host_close(s[0]);
	HOST_UNTIL(h, ({
			   host_collect(
				   host_exec_open(
					   h,
					   &(struct host_exec){
						   .argv = (const char *const[]){ "true", NULL } }),
				   &r);
			   host_result_done(&r);
			   r.code == 0;
		   }));
}

static void provision_appends_the_ca(void **state)
{
	host_expect_sh(*state, "cat /etc/ssl/certs/ca-certificates.crt", 0, "ROOTS\n\nBOTTLE CA\n");
}

static void ask_changed(struct host *h, uint32_t expected)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 256);
	host_send(h->lifecycle, LIFECYCLE_CHANGED, NULL, 0);
	assert_int_equal(host_recv(h->lifecycle, &body), LIFECYCLE_CHANGED);
	assert_int_equal(bb_be32(bb_buf_peek(&body).p + BB_TLV_HEADER), expected);
}

static void mark(struct host *h, const char *path)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };

	bb_buf_init(&b, 256);
	bb_tlv_put_str(&b, LIFECYCLE_TAG_PATH, path);
	host_send(h->lifecycle, LIFECYCLE_MARK, bb_buf_peek(&b).p, bb_buf_size(&b));
}

static void changed_sees_writes_and_deletions(void **state)
{
	static const char *const changes[] = { "echo x >>/home/node/w/d/f", "rm /home/node/w/d/g",
					       ">/home/node/w/new", "chmod +x /home/node/w/d/f",
					       "mv /home/node/w/d/f /home/node/w/d/f2" };

	host_expect_sh(*state,
		       "mkdir -p /home/node/w/d; echo 1 >/home/node/w/d/f; :>/home/node/w/d/g", 0,
		       "");
	mark(*state, "/home/node/w");
	ask_changed(*state, 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		mark(*state, "/home/node/w");
		ask_changed(*state, 0);
		host_expect_sh(*state, changes[i], 0, "");
		ask_changed(*state, 1);
	}
}

static void shutdown_ends_everything_and_says_bye(void **state)
{
	const char *const argv[] = { "sh", "-c", "trap '' TERM HUP; echo up; sleep 300", NULL };
	struct host *h = *state;
	struct host_stream *s =
		host_exec_open(h, &(struct host_exec){ .argv = argv, .flags = EXEC_FLAG_KEEP });
	BB_AUTO_BUF struct bb_buf all = { 0 };
	uint64_t before;

	bb_buf_init(&all, 65536);
	wait_for_text(s, &all, "up");
	host_close(s);
	before = bb_clock_ms();
	assert_int_equal(host_shutdown(h), 0);
	assert_true(bb_clock_ms() - before >= 4000); /* TERM was ignored: the grace ran out */
}

static void shutdown_is_quick_when_nothing_runs(void **state)
{
	uint64_t before = bb_clock_ms();

	assert_int_equal(host_shutdown(*state), 0);
	assert_true(bb_clock_ms() - before < 2000);
}

static void lost_stream_ends_the_guest(void **state)
{
	struct host *h = *state;
	uint64_t deadline = bb_clock_ms() + 10000;
	siginfo_t info = { 0 };

	shutdown(h->fd, SHUT_RDWR);
	while (info.si_pid == 0 && bb_clock_left_ms(deadline) > 0)
		waitid(P_PID, (id_t)h->pid, &info, WEXITED | WNOWAIT | WNOHANG);
	assert_int_equal(info.si_pid, h->pid);
}

#define GUEST_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(exec_gives_the_exact_exit_code),
		GUEST_TEST(exec_keeps_stdout_and_stderr_apart),
		GUEST_TEST(exec_has_base_environment_overridden_by_its_own),
		GUEST_TEST(exec_starts_in_home_or_where_asked),
		GUEST_TEST(exec_tells_missing_from_not_executable),
		GUEST_TEST(exec_passes_stdin_and_its_end),
		GUEST_TEST(exec_loses_nothing_of_a_long_output),
		GUEST_TEST(exec_holds_back_stdin_that_nobody_reads),
		GUEST_TEST(exec_does_not_wait_for_a_background_child),
		GUEST_TEST(exec_hears_a_background_child_that_never_stops_only_for_a_while),
		GUEST_TEST(pty_has_its_size_and_follows_a_change),
		GUEST_TEST(pty_signals_reach_the_foreground_group),
		GUEST_TEST(signals_reach_a_process_without_terminal),
		GUEST_TEST(ten_thousand_processes_leave_no_zombie),
		GUEST_TEST(main_session_survives_the_loss_of_its_stream),
		GUEST_TEST(kept_output_is_the_newest_when_nobody_is_attached),
		GUEST_TEST(lost_stream_without_keep_ends_the_process),
		GUEST_TEST(sessions_beyond_the_limit_are_refused_and_room_comes_back),
		GUEST_TEST(provision_appends_the_ca),
		GUEST_TEST(changed_sees_writes_and_deletions),
		GUEST_TEST(shutdown_ends_everything_and_says_bye),
		GUEST_TEST(shutdown_is_quick_when_nothing_runs),
		GUEST_TEST(lost_stream_ends_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
