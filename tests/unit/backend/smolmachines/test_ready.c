/* backend/smolmachines/ready.c: ready means that a fresh token came back, and nothing less. */
#include "../../unit.h"

#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fake.h"

/* $n counts the commands; the token is the last argument. */
#define COUNT                                                               \
	"n=$(cat $d/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > $d/n; " \
	"for t in \"$@\"; do :; done; "
#define RUNNING "echo '{\"name\":\"m\",\"state\":\"running\",\"pid\":12,\"network\":false}'"

static void assert_count(const char *want)
{
	char *n = fake_read("n");

	assert_string_equal(n, want);
	free(n);
}

static void the_first_answer_ends_it(void **state)
{
	char *log;

	(void)state;
	fake_does("exec", COUNT "echo $t");
	assert_int_equal(wait_exec_ready(&fake_vm, "m", 20000, NULL), 0);
	assert_count("1\n");
	log = fake_read("log");
	assert_non_null(strstr(log, "machine exec --name m --timeout 10s -- echo "));
	assert_null(strstr(log, "status"));
	free(log);
}

/* The races of 0.8.0: killed at first, then garbage with a good exit code, then right. */
static void only_the_tokens_return_counts(void **state)
{
	(void)state;
	fake_does("status", RUNNING);
	fake_does("exec", COUNT "case $n in 1) exit 137;; 2) exit 0;; 3) echo $t; echo trailing;; "
				"4) printf %s $t;; 5) echo $t; exit 1;; 6) echo other;; "
				"7) echo $t;; esac");
	assert_int_equal(wait_exec_ready(&fake_vm, "m", 60000, NULL), 0);
	assert_count("7\n");
}

static void each_wait_has_its_own_token(void **state)
{
	char *log, *first, *second;

	(void)state;
	fake_does("exec", "for t in \"$@\"; do :; done; echo $t; echo $t > $d/token");
	assert_int_equal(wait_exec_ready(&fake_vm, "m", 20000, NULL), 0);
	first = fake_read("token");
	assert_int_equal(wait_exec_ready(&fake_vm, "m", 20000, NULL), 0);
	second = fake_read("token");
	assert_int_equal(strlen(first), 33);
	assert_string_not_equal(first, second);
	log = fake_read("log");
	free(log);
	free(first);
	free(second);
}

static void the_deadline_tells_answer_state_and_console(void **state)
{
	struct bb_err err = { 0 };
	uint64_t before = bb_clock_ms();

	(void)state;
	fake_does("status", RUNNING);
	fake_does("data-dir", "echo $d");
	fake_write("agent-console.log", "waiting for storage\n", 0600);
	fake_does("exec", "echo 'container is not running' >&2; exit 137");
	assert_error(wait_exec_ready(&fake_vm, "m", 1000, &err), BB_E_DEADLINE, err);
	assert_true(bb_clock_ms() - before >= 1000);
	assert_non_null(strstr(err.msg, "machine 'm' ran no command within 1 s"));
	assert_non_null(strstr(err.msg, "code 137 and 'container is not running'"));
	assert_non_null(strstr(err.msg, "state: running"));
	assert_non_null(strstr(err.msg, "console: waiting for storage"));
}

static void a_command_that_hangs_counts_as_no_answer(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	fake_does("status", RUNNING);
	fake_does("exec", "exec sleep 1000");
	assert_error(wait_exec_ready(&fake_vm, "m", 500, &err), BB_E_DEADLINE, err);
	assert_non_null(strstr(err.msg, "'smolvm exec' did not end"));
	assert_non_null(strstr(err.msg, "console: empty"));
}

static void a_machine_that_ended_is_not_waited_for(void **state)
{
	static const struct {
		const char *status, *word;
	} cases[] = {
		{ "echo '{\"name\":\"m\",\"state\":\"stopped\",\"pid\":null}'", "state: stopped" },
		{ "echo '{\"name\":\"m\",\"state\":\"failed\",\"pid\":null}'", "state: failed" },
		{ "echo 'Error: vm not found: m' >&2; exit 1", "state: gone" },
	};

	(void)state;
	fake_does("exec", "exit 1");
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct bb_err err = { 0 };
		uint64_t before = bb_clock_ms();

		fake_does("status", cases[i].status);
		assert_error(wait_exec_ready(&fake_vm, "m", 120000, &err), BB_E_GUEST, err);
		assert_true(bb_clock_ms() - before < 60000);
		assert_non_null(strstr(err.msg, cases[i].word));
	}
}

static void an_interrupted_launch_does_not_wait(void **state)
{
	struct bb_err err = { 0 };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)close(pair[1]);
	fake_vm.interrupt_fd = pair[0];
	fake_does("exec", "exec sleep 1000");
	assert_error(wait_exec_ready(&fake_vm, "m", 120000, &err), -ECANCELED, err);
	(void)close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(the_first_answer_ends_it),
		FAKE_TEST(only_the_tokens_return_counts),
		FAKE_TEST(each_wait_has_its_own_token),
		FAKE_TEST(the_deadline_tells_answer_state_and_console),
		FAKE_TEST(a_command_that_hangs_counts_as_no_answer),
		FAKE_TEST(a_machine_that_ended_is_not_waited_for),
		FAKE_TEST(an_interrupted_launch_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
