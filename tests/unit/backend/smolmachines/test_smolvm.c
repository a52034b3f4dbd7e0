/* backend/smolmachines/{smolvm,status}.c: what a child gets, how long it may take, and what is
 * understood of its answers. */
#include "../../unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fake.h"

static char **words(const char *a, const char *b)
{
	char **v = NULL;

	assert_int_equal(bb_strv_push(&v, strdup("smolvm")), 0);
	assert_int_equal(bb_strv_push(&v, strdup(a)), 0);
	assert_int_equal(bb_strv_push(&v, strdup(b)), 0);
	return v;
}

static const char *loose_environment(const char *name)
{
	static const struct {
		const char *name, *value;
	} all[] = { { "HOME", "/home/u" },
		    { "PATH", "/bin" },
		    { "XDG_DATA_HOME", "/data" },
		    { "SMOLVM_EGRESS_FLOOR", "off" },
		    { "SMOLVM_DATA_DIR", "/elsewhere" },
		    { "SMOLVM_ALLOW_HOST_LOOPBACK", "1" },
		    { "SMOLVM_LIB_DIR", "/evil" },
		    { "LD_PRELOAD", "/evil.so" },
		    { "HTTP_PROXY", "http://x" } };

	for (size_t i = 0; i < BB_ARRAY_LEN(all); i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i].value;
	return NULL;
}

static const char *no_environment(const char *name)
{
	(void)name;
	return NULL;
}

static bool has_entry(char *const *env, const char *entry)
{
	for (size_t i = 0; env[i] != NULL; i++)
		if (strncmp(env[i], entry, strlen(entry)) == 0)
			return true;
	return false;
}

static void nothing_that_loosens_policy_reaches_a_child(void **state)
{
	char **env = smolvm_environment(loose_environment);

	(void)state;
	assert_int_equal(bb_strv_len(env), 3);
	assert_true(has_entry(env, "HOME=/home/u") && has_entry(env, "PATH=/bin") &&
		    has_entry(env, "XDG_DATA_HOME=/data"));
	bb_strv_free(env);
	env = smolvm_environment(no_environment); /* the user database knows a home */
	assert_int_equal(bb_strv_len(env), 1);
	assert_true(has_entry(env, "HOME=/"));
	bb_strv_free(env);
}

/* Of a real child of a process whose own environment is loose. */
static void a_childs_environment_is_the_list_alone(void **state)
{
	struct smolvm_result r;
	char *out;

	(void)state;
	setenv("SMOLVM_EGRESS_FLOOR", "off", 1);
	fake_does("env", "env");
	assert_int_equal(smolvm_run_checked(&fake_vm, words("machine", "env"), 5000, &r, NULL), 0);
	out = bb_buf_dup_str(&r.out);
	assert_non_null(strstr(out, "HOME="));
	assert_null(strstr(out, "SMOLVM_"));
	unsetenv("SMOLVM_EGRESS_FLOOR");
	free(out);
	smolvm_result_done(&r);
}

static void smolvm_is_looked_for_along_path(void **state)
{
	char *dir = fake_path("dir"), *path = fake_path("smolvm"), *below = fake_path("dir/smolvm");
	char *variable = bb_text_printf("relative::%s:%s:/bin", dir, fake_root);
	char *found;

	(void)state;
	assert_int_equal(bb_path_mkdirs(below, 0755, NULL), 0); /* a directory of that name */
	found = smolvm_search(variable, "smolvm");
	assert_string_equal(found, path);
	free(found);
	assert_int_equal(chmod(path, 0600), 0);
	assert_null(smolvm_search(variable, "smolvm"));
	assert_null(smolvm_search("/bin:/usr/bin", "smolvm"));
	assert_null(smolvm_search(NULL, "smolvm"));
	free(dir);
	free(path);
	free(below);
	free(variable);
}

static void opening_asks_the_version_and_the_gate(void **state)
{
	struct smolvm vm;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(fake_vm.mode, SMOLVM_SOCKET);
	assert_true(fake_vm.quirks.labels);
	fake_does("--version", "echo smolvm 1.0.0");
	assert_error(smolvm_open(fake_getenv, &vm, &err), BB_E_REFUSED, err);
	assert_int_equal(vm.version.major, 1);
	assert_non_null(vm.path);
	smolvm_done(&vm);
	fake_does("--version", "echo smolvm dev");
	assert_error(smolvm_open(fake_getenv, &vm, &err), BB_E_REFUSED, err);
	smolvm_done(&vm);
	fake_does("--version", "echo broken >&2; exit 3");
	assert_error(smolvm_open(fake_getenv, &vm, &err), -EIO, err);
	assert_non_null(strstr(err.msg, "code 3: broken"));
	smolvm_done(&vm);
	assert_error(smolvm_open(no_environment, &vm, &err), BB_E_MISSING, err);
	assert_non_null(strstr(err.msg, "not on PATH"));
	smolvm_done(&vm);
}

static const char *as_root_getenv(const char *name)
{
	return strcmp(name, SMOLVM_AS_ROOT_VARIABLE) == 0 ? "1" : fake_getenv(name);
}

/* From 1.2.5 on a machine's process has a user of its own when root starts it. */
static void root_is_refused_unless_it_is_said_to_stay_root(void **state)
{
	struct smolvm vm;
	struct bb_err err = { 0 };
	const char *drop;

	(void)state;
	assert_int_equal(smolvm_check_user(&fake_vm, 1000, &err), 0);
	assert_error(smolvm_check_user(&fake_vm, 0, &err), BB_E_REFUSED, err);
	assert_non_null(strstr(err.msg, SMOLVM_AS_ROOT_VARIABLE "=1"));
	assert_int_equal(smolvm_open(as_root_getenv, &vm, NULL), 0);
	drop = smolvm_variable(&vm, "SMOLVM_VM_UID_DROP");
	if (geteuid() == 0) {
		assert_non_null(drop);
		assert_string_equal(drop, "off");
		assert_int_equal(smolvm_check_user(&vm, 0, NULL), 0);
	} else {
		assert_null(drop); /* means nothing there */
	}
	smolvm_done(&vm);
	fake_does("--version", "echo smolvm 0.8.1");
	assert_int_equal(smolvm_open(as_root_getenv, &vm, NULL), 0);
	assert_null(smolvm_variable(&vm, "SMOLVM_VM_UID_DROP"));
	assert_int_equal(smolvm_check_user(&vm, 0, NULL), 0);
	smolvm_done(&vm);
}

static void output_error_and_code_are_kept_apart(void **state)
{
	struct smolvm_result r;
	const struct bb_view input = bb_view_str("a secret\n");
	char *text;

	(void)state;
	fake_does("x", "read line; echo \"got $line\"; echo 'first\nsecond' >&2; exit 7");
	assert_int_equal(smolvm_run(&fake_vm, words("machine", "x"), &input, 5000, &r, NULL), 0);
	assert_int_equal(r.code, 7);
	text = bb_buf_dup_str(&r.out);
	assert_string_equal(text, "got a secret\n");
	free(text);
	text = smolvm_words(&r);
	assert_string_equal(text, "first second");
	free(text);
	smolvm_result_done(&r);
	text = fake_read("log");
	assert_null(strstr(text, "secret"));
	free(text);
}

static void what_smolvm_says_is_escaped_and_its_end_counts(void **state)
{
	struct smolvm_result r;
	struct bb_err err = { 0 };

	(void)state;
	fake_does("x", "i=0; while [ $i -lt 3000 ]; do echo 'a long line of noise' >&2; "
		       "i=$((i+1)); done; printf 'the \\033[31mreason\\n' >&2; exit 1");
	assert_error(smolvm_run_checked(&fake_vm, words("machine", "x"), 20000, &r, &err), -EIO,
		     err);
	assert_non_null(strstr(err.msg, "'smolvm x' failed with code 1"));
	assert_non_null(strstr(err.msg, "the \\x1b[31mreason"));
	assert_null(strchr(err.msg, '\033'));
	smolvm_result_done(&r);
	fake_does("x", "exit 9");
	assert_error(smolvm_run_checked(&fake_vm, words("machine", "x"), 5000, &r, &err), -EIO,
		     err);
	assert_non_null(strstr(err.msg, "code 9: no word"));
	smolvm_result_done(&r);
}

static void a_command_that_hangs_is_ended_at_its_limit(void **state)
{
	struct smolvm_result r;
	struct bb_err err = { 0 };
	uint64_t before = bb_clock_ms();

	(void)state;
	fake_does("x", "echo $$ > $d/pid; exec sleep 1000");
	assert_error(smolvm_run(&fake_vm, words("machine", "x"), NULL, 300, &r, &err),
		     BB_E_DEADLINE, err);
	assert_true(bb_clock_ms() - before >= 300);
	smolvm_result_done(&r);
}

/* A limit for several commands together ends the one that runs, and no other begins. */
static void a_limit_over_several_commands_is_kept(void **state)
{
	struct smolvm_result r;
	struct bb_err err = { 0 };
	uint64_t before = bb_clock_ms();
	char *begun;

	(void)state;
	fake_vm.deadline_ms = before + 300;
	fake_does("x", "exec sleep 1000");
	assert_error(smolvm_run(&fake_vm, words("machine", "x"), NULL, 60000, &r, &err),
		     BB_E_DEADLINE, err);
	smolvm_result_done(&r);
	assert_true(bb_clock_ms() - before < 30000);
	fake_does("y", "touch $d/begun");
	assert_error(smolvm_run(&fake_vm, words("machine", "y"), NULL, 60000, &r, &err),
		     BB_E_DEADLINE, err);
	smolvm_result_done(&r);
	begun = fake_path("begun");
	assert_int_equal(access(begun, F_OK), -1);
	free(begun);
	fake_vm.deadline_ms = bb_clock_ms() + 60000;
	assert_int_equal(smolvm_run(&fake_vm, words("machine", "y"), NULL, 60000, &r, NULL), 0);
	smolvm_result_done(&r);
}

static void a_launch_that_is_interrupted_ends_its_command(void **state)
{
	struct smolvm_result r;
	struct bb_err err = { 0 };
	int pair[2];
	char byte = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fake_vm.interrupt_fd = pair[0];
	/* A message on the link is no interruption. */
	assert_int_equal(write(pair[1], &byte, 1), 1);
	fake_does("x", "exit 0");
	assert_int_equal(smolvm_run(&fake_vm, words("machine", "x"), NULL, 5000, &r, NULL), 0);
	smolvm_result_done(&r);
	(void)close(pair[1]);
	fake_does("x", "exec sleep 1000");
	assert_error(smolvm_run(&fake_vm, words("machine", "x"), NULL, 60000, &r, &err), -ECANCELED,
		     err);
	smolvm_result_done(&r);
	(void)close(pair[0]);
}

static void a_machine_that_keeps_the_pipes_is_not_waited_for(void **state)
{
	struct smolvm_result r;
	uint64_t before = bb_clock_ms();
	char *text;

	(void)state;
	fake_does("start", "echo running; sleep 30 & echo $! > $d/pid");
	assert_int_equal(smolvm_run(&fake_vm, smolvm_argv_start("n"), NULL, 25000, &r, NULL), 0);
	assert_true(bb_clock_ms() - before < 20000);
	text = bb_buf_dup_str(&r.out);
	assert_string_equal(text, "running\n");
	free(text);
	smolvm_result_done(&r);
	text = fake_read("pid");
	assert_int_equal(kill((pid_t)strtol(text, NULL, 10), SIGKILL), 0);
	free(text);
}

static void endless_output_is_refused(void **state)
{
	struct smolvm_result r;
	struct bb_err err = { 0 };

	(void)state;
	fake_does("ls", "head -c 5000000 /dev/zero");
	assert_error(smolvm_run(&fake_vm, smolvm_argv_ls(), NULL, 20000, &r, &err), -EMSGSIZE, err);
	assert_true(bb_buf_size(&r.out) <= SMOLVM_OUTPUT_MAX);
	smolvm_result_done(&r);
}

static void a_command_that_lives_on_has_our_descriptors(void **state)
{
	struct spawn_child child;
	int in[2], out[2];
	char answer[16] = "";

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fake_does("x", "read line; echo \"<$line>\"; exit 5");
	assert_int_equal(smolvm_spawn(&fake_vm, words("machine", "x"),
				      (int[]){ in[0], out[1], out[1] }, &child, NULL),
			 0);
	assert_int_equal(write(in[1], "abc\n", 4), 4);
	assert_int_equal(read(out[0], answer, sizeof(answer)), 6);
	assert_memory_equal(answer, "<abc>\n", 6);
	assert_int_equal(spawn_wait(&child, 10000), 5);
	(void)close(in[0]);
	(void)close(in[1]);
	(void)close(out[0]);
	(void)close(out[1]);
}

#define MACHINE(name, state, pid) \
	"{\"name\": \"" name "\", \"state\": \"" state "\", \"pid\": " pid ", \"network\": false}"

static void a_list_of_machines_is_read(void **state)
{
	struct smolvm_status *all = NULL;
	size_t n = 7;

	(void)state;
	fake_does("ls", "echo '[\n " MACHINE("a", "running", "12") ",\n " MACHINE("b", "frozen",
										  "null") "]'");
	assert_int_equal(smolvm_ls(&fake_vm, &all, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(all[0].name, "a");
	assert_int_equal(all[0].state, SMOLVM_RUNNING);
	assert_int_equal(all[0].pid, 12);
	assert_int_equal(all[1].state, SMOLVM_OTHER);
	assert_int_equal(all[1].pid, 0);
	free(all);
	fake_does("ls", "echo '[]'");
	assert_int_equal(smolvm_ls(&fake_vm, &all, &n, NULL), 0);
	assert_int_equal(n, 0);
	free(all);
}

static void a_list_that_is_not_understood_is_an_error(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"{}",
		"[1]",
		"[{}]",
		"[{\"name\":\"a\"}]",
		"[{\"name\":7,\"state\":\"running\"}]",
		"[{\"name\":\"a\",\"state\":1}]",
		"[{\"name\":\"a\",\"state\":\"running\",\"pid\":\"12\"}]",
		"[{\"name\":\"a\",\"state\":\"running\",\"pid\":-1}]",
		"[{\"name\":\"a\",\"state\":\"running\",\"pid\":99999999999}]",
		"[] []",
	};
	struct smolvm_status *all = NULL;
	size_t n;

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(texts); i++) {
		struct bb_err err = { 0 };

		if (smolvm_parse_ls(bb_view_str(texts[i]), &all, &n, &err) != -EPROTO)
			fail_msg("'%s' was taken", texts[i]);
		assert_true(err.msg[0] != '\0');
	}
}

static void one_machines_status_tells_missing_from_failing(void **state)
{
	struct smolvm_status s;
	struct bb_err err = { 0 };

	(void)state;
	fake_does("status", "echo '" MACHINE("a", "unreachable", "12") "'");
	assert_int_equal(smolvm_status(&fake_vm, "a", &s, NULL), 0);
	assert_int_equal(s.state, SMOLVM_UNREACHABLE);
	fake_does("status", "echo 'Error: vm not found: a' >&2; exit 1");
	assert_error(smolvm_status(&fake_vm, "a", &s, &err), -ENOENT, err);
	fake_does("status", "echo 'Error: database is locked' >&2; exit 1");
	assert_error(smolvm_status(&fake_vm, "a", &s, &err), -EIO, err);
	fake_does("status", "echo '[]'");
	assert_error(smolvm_status(&fake_vm, "a", &s, &err), -EPROTO, err);
}

static void the_data_directory_is_one_absolute_path(void **state)
{
	static const char *const bad[] = { "true", "echo relative", "echo /a; echo /b",
					   "printf '/a\\000b'" };
	char *dir = NULL;
	struct bb_err err = { 0 };

	(void)state;
	fake_does("data-dir", "echo /cache/smolvm/vms/00");
	assert_int_equal(smolvm_data_dir(&fake_vm, "a", &dir, NULL), 0);
	assert_string_equal(dir, "/cache/smolvm/vms/00");
	free(dir);
	for (size_t i = 0; i < BB_ARRAY_LEN(bad); i++) {
		fake_does("data-dir", bad[i]);
		assert_error(smolvm_data_dir(&fake_vm, "a", &dir, &err), -EPROTO, err);
	}
}

static void the_consoles_end_is_shown_escaped(void **state)
{
	char *text;

	(void)state;
	text = smolvm_console_tail(fake_root);
	assert_string_equal(text, "");
	free(text);
	fake_write("agent-console.log", "first\nKernel \033panic\n\n", 0600);
	text = smolvm_console_tail(fake_root);
	assert_string_equal(text, "first Kernel \\x1bpanic");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_loosens_policy_reaches_a_child),
		FAKE_TEST(a_childs_environment_is_the_list_alone),
		FAKE_TEST(smolvm_is_looked_for_along_path),
		FAKE_TEST(opening_asks_the_version_and_the_gate),
		FAKE_TEST(root_is_refused_unless_it_is_said_to_stay_root),
		FAKE_TEST(output_error_and_code_are_kept_apart),
		FAKE_TEST(what_smolvm_says_is_escaped_and_its_end_counts),
		FAKE_TEST(a_command_that_hangs_is_ended_at_its_limit),
		FAKE_TEST(a_limit_over_several_commands_is_kept),
		FAKE_TEST(a_launch_that_is_interrupted_ends_its_command),
		FAKE_TEST(a_machine_that_keeps_the_pipes_is_not_waited_for),
		FAKE_TEST(endless_output_is_refused),
		FAKE_TEST(a_command_that_lives_on_has_our_descriptors),
		FAKE_TEST(a_list_of_machines_is_read),
		cmocka_unit_test(a_list_that_is_not_understood_is_an_error),
		FAKE_TEST(one_machines_status_tells_missing_from_failing),
		FAKE_TEST(the_data_directory_is_one_absolute_path),
		FAKE_TEST(the_consoles_end_is_shown_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
