/* backend/smolmachines/{remove,record}.c: a machine goes in the right order or is said to be there
 * still; what a killed keeper left is removed by whoever comes next. */
#include "../../unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "backend/smolmachines/record.h"
#include "backend/smolmachines/vmdir.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "fake.h"

#define NAME "bot-bottle-claude_ab12c"

/*
 * A machine that is a process of the test: `state` holds its state, `pid` its process. stop takes
 * the process down unless the file `stubborn` is there.
 */
#define DO_STATUS                                                           \
	"[ -f $d/state ] || { echo 'Error: vm not found' >&2; exit 1; }\n"  \
	"s=$(cat $d/state); p=null; [ $s != running ] || p=$(cat $d/pid)\n" \
	"echo '{\"name\":\"" NAME "\",\"state\":\"'$s'\",\"pid\":'$p',\"network\":false}'"
#define DO_STOP                       \
	"[ -f $d/state ] || exit 1\n" \
	"[ ! -f $d/pid ] || [ -f $d/stubborn ] || kill $(cat $d/pid)\necho stopped > $d/state"
#define DO_DELETE                                                                 \
	"[ ! -f $d/keeps ] || { echo 'Error: cannot delete' >&2; exit 1; }\n"     \
	"[ -f $d/state ] || { echo 'Error: vm not found' >&2; exit 1; }\n"        \
	"kill -0 $(cat $d/pid) 2>/dev/null && touch $d/too-early\nrm -rf $d/vm\n" \
	"[ -f $d/lists ] || rm $d/state"
#define DO_LS "echo \"[$(. $d/do-status 2>/dev/null)]\""

static pid_t machine;

/* The process is reaped as soon as it ends, as init does with a real machine's. */
static void start_machine(bool ignores_term)
{
	char text[32];
	pid_t middle = fork();

	assert_true(middle >= 0);
	if (middle == 0) {
		pid_t p = fork();

		if (p == 0) {
			if (ignores_term)
				(void)signal(SIGTERM, SIG_IGN);
			for (;;)
				(void)pause();
		}
		(void)snprintf(text, sizeof(text), "%d\n", (int)p);
		fake_write("pid", text, 0600);
		(void)waitpid(p, NULL, 0);
		_exit(0);
	}
	machine = middle;
	for (;;) {
		char *pid = fake_read("pid");
		bool is_there = pid[0] != '\0';

		free(pid);
		if (is_there)
			break;
		(void)usleep(1000);
	}
	fake_write("state", "running\n", 0600);
}

static void set_up_machine(void)
{
	char *vm = fake_path("vm");

	assert_int_equal(bb_path_mkdirs(vm, 0700, NULL), 0);
	free(vm);
	fake_does("status", DO_STATUS);
	fake_does("stop", DO_STOP);
	fake_does("delete", DO_DELETE);
	fake_does("ls", DO_LS);
	fake_does("data-dir", "echo $d/vm");
	machine = -1;
}

static bool is_there(const char *name)
{
	char *path = fake_path(name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static void assert_machine_ended(void)
{
	assert_int_equal(waitpid(machine, NULL, 0), machine); /* hangs when it lives: a time limit
								 of the runner ends that */
}

/* The verbs of the log in their order. */
static void assert_order(const char *const *verbs)
{
	char *log = fake_read("log");
	const char *at = log;

	for (size_t i = 0; verbs[i] != NULL; i++) {
		char *word = bb_text_printf("machine %s ", verbs[i]);
		const char *next = strstr(at, word);

		if (next == NULL)
			fail_msg("no '%s' behind: %s", verbs[i], log);
		at = next + 1;
		free(word);
	}
	free(log);
}

static void a_running_machine_is_stopped_then_deleted(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine();
	start_machine(false);
	if (smolvm_remove(&fake_vm, NAME, &err) < 0)
		fail_msg("%s", err.msg);
	assert_machine_ended();
	assert_order((const char *const[]){ "status", "stop", "delete", "ls", NULL });
	assert_false(is_there("too-early"));
	assert_false(is_there("state"));
}

static void a_process_that_survives_stop_is_killed_before_delete(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine();
	fake_write("stubborn", "", 0600);
	start_machine(true);
	if (smolvm_remove(&fake_vm, NAME, &err) < 0)
		fail_msg("%s", err.msg);
	assert_machine_ended();
	assert_false(is_there("too-early"));
	assert_false(is_there("state"));
}

/* The number in smolvm's answer is another process's by now: it is not touched. */
static void a_pid_that_smolvm_does_not_confirm_is_left_alone(void **state)
{
	(void)state;
	set_up_machine();
	fake_write("stubborn", "", 0600);
	start_machine(false);
	fake_does("status", "[ -f $d/state ] || { echo 'Error: vm not found' >&2; exit 1; }\n"
			    "n=$(cat $d/n 2>/dev/null || echo x); echo y$n > $d/n\n"
			    "[ $n = x ] && s=running p=$(cat $d/pid) || { s=stopped; p=null; }\n"
			    "echo '{\"name\":\"" NAME
			    "\",\"state\":\"'$s'\",\"pid\":'$p',\"network\":false}'");
	assert_int_equal(smolvm_remove(&fake_vm, NAME, NULL), 0);
	assert_int_equal(waitpid(machine, NULL, WNOHANG), 0);
	assert_true(is_there("too-early")); /* it lives */
	{
		char *pid = fake_read("pid");

		assert_int_equal(kill((pid_t)strtol(pid, NULL, 10), SIGKILL), 0);
		free(pid);
	}
	assert_machine_ended();
}

static void a_machine_that_is_not_there_is_removed_already(void **state)
{
	char *log;

	(void)state;
	set_up_machine();
	assert_int_equal(smolvm_remove(&fake_vm, NAME, NULL), 0);
	log = fake_read("log");
	assert_null(strstr(log, "machine delete"));
	free(log);
}

static void a_created_machine_has_no_process(void **state)
{
	(void)state;
	set_up_machine();
	fake_write("state", "created\n", 0600);
	assert_int_equal(smolvm_remove(&fake_vm, NAME, NULL), 0);
	assert_false(is_there("state"));
}

static void what_is_still_there_is_said(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine();
	fake_write("state", "created\n", 0600);
	fake_write("keeps", "", 0600);
	assert_error(smolvm_remove(&fake_vm, NAME, &err), -EIO, err);
	assert_non_null(strstr(err.msg, "machine '" NAME "' was not removed"));
	assert_non_null(strstr(err.msg, "cannot delete"));
	fake_does("delete", "exit 0");
	assert_error(smolvm_remove(&fake_vm, NAME, &err), BB_E_DEADLINE, err);
	assert_non_null(strstr(err.msg, "still listed"));
	fake_does("delete", "rm $d/state");
	assert_error(smolvm_remove(&fake_vm, NAME, &err), -ENOTEMPTY, err);
	assert_non_null(strstr(err.msg, "/vm' is still there"));
	fake_does("status", "echo 'Error: database is locked' >&2; exit 1");
	assert_error(smolvm_remove(&fake_vm, NAME, &err), -EIO, err);
}

static void an_interruption_does_not_stop_a_removal(void **state)
{
	int pair[2];

	(void)state;
	set_up_machine();
	fake_write("state", "created\n", 0600);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)close(pair[1]);
	fake_vm.interrupt_fd = pair[0];
	assert_int_equal(smolvm_remove(&fake_vm, NAME, NULL), 0);
	(void)close(pair[0]);
}

/* --- what a command that was killed half way leaves --- */

/* A stopped process that is named like a machine's. */
static pid_t start_named(const char *comm, const char *argument)
{
	pid_t p = fork();
	int status = 0;

	assert_true(p >= 0);
	if (p == 0) {
		char script[] = "printf '%s' \"$2\" > /proc/self/comm && kill -STOP $$",
		     sh[] = "sh";
		char option[] = "-c", *named = strdup(argument), *name = strdup(comm);
		char *const argv[] = { sh, option, script, sh, named, name, NULL };

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execv("/bin/sh", argv);
		_exit(127);
	}
	assert_int_equal(waitpid(p, &status, WUNTRACED), p);
	assert_true(WIFSTOPPED(status));
	return p;
}

static bool was_killed(pid_t p)
{
	int status = 0;

	if (waitpid(p, &status, WNOHANG) == 0) {
		(void)kill(p, SIGKILL);
		assert_int_equal(waitpid(p, &status, 0), p);
		return false;
	}
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* `start` was killed before it wrote the process down. */
static void a_process_without_a_row_is_found_by_its_directory(void **state)
{
	static const struct {
		const char *comm;
		bool is_named;   /* the directory is among its arguments */
		bool is_written; /* agent.pid has its number */
		bool dies;
	} cases[] = {
		{ "libkrun VM", true, false, true },  { "libkrun VM", false, true, true },
		{ "VM:box", true, false, true },      { "less", true, false, false },
		{ "less", false, true, false },       { "libkrun VM", false, false, false },
		{ "libkrun VMs", true, true, false },
	};
	struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char *dir = fake_path("vm");

	(void)state;
	set_up_machine();
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		pid_t p = start_named(cases[i].comm, cases[i].is_named ? dir : "/elsewhere");
		char text[32];

		(void)snprintf(text, sizeof(text), "%d\n", cases[i].is_written ? (int)p : 1);
		fake_write("vm/agent.pid", text, 0600);
		fake_write("state", "created\n", 0600);
		fake_does("delete", "rm $d/state; rm -f $d/vm/agent.pid; rmdir $d/vm");
		assert_int_equal(smolvm_remove(&fake_vm, NAME, NULL), 0);
		if (was_killed(p) != cases[i].dies)
			fail_msg("case %zu: '%s'", i, cases[i].comm);
		assert_int_equal(bb_path_mkdirs(dir, 0700, NULL), 0);
	}
	/* A number from long ago is another process's by now. */
	{
		pid_t p = start_named("libkrun VM", "/elsewhere");
		char *file = fake_path("vm/agent.pid"), text[32];

		(void)snprintf(text, sizeof(text), "%d\n", (int)p);
		fake_write("vm/agent.pid", text, 0600);
		assert_int_equal(utimensat(AT_FDCWD, file, old, 0), 0);
		assert_int_equal(vmdir_end_processes(dir, NULL), 0);
		assert_false(was_killed(p));
		free(file);
	}
	free(dir);
}

/* A process whose argument is smolvm's word for a machine that is about to be one. */
static void a_process_that_is_about_to_be_a_machine_is_ended(void **state)
{
	char *dir = fake_path("vm"), *config = bb_text_printf("%s/_boot-vm", dir);
	pid_t p;

	(void)state;
	set_up_machine();
	p = start_named("smolvm-bin", config);
	assert_int_equal(vmdir_end_processes(dir, NULL), 1);
	assert_true(was_killed(p));
	assert_int_equal(vmdir_end_processes(dir, NULL), 0);
	free(config);
	free(dir);
}

/* `create` was killed before it wrote the row. */
static void a_directory_without_a_row_goes_when_it_is_the_machines(void **state)
{
	(void)state;
	set_up_machine();
	fake_write("vm/name", "somebodys\n", 0600);
	assert_int_equal(smolvm_remove(&fake_vm, NAME, NULL), 0);
	assert_true(is_there("vm/name"));
	fake_write("vm/name", NAME "\n", 0600);
	assert_int_equal(smolvm_remove(&fake_vm, NAME, NULL), 0);
	assert_false(is_there("vm"));
}

/* A smolvm that says no directory of a machine that it does not know: it is where they all are. */
static void its_directory_is_found_without_smolvm(void **state)
{
	const struct statepath_env paths = { .os = STATEPATH_LINUX, .home = fake_getenv("HOME") };
	char *dir = statepath_machine(&paths, NAME, NULL), *file = bb_text_printf("%s/name", dir);

	(void)state;
	set_up_machine();
	fake_does("data-dir", "echo 'Error: vm not found' >&2; exit 1");
	assert_int_equal(bb_path_mkdirs(dir, 0700, NULL), 0);
	assert_int_equal(bb_path_write_atomic(file, NAME "\n", sizeof(NAME), 0600, NULL), 0);
	assert_int_equal(smolvm_remove(&fake_vm, NAME, NULL), 0);
	assert_int_equal(access(dir, F_OK), -1);
	free(file);
	free(dir);
}

/* --- records --- */

static size_t told_count, begun_count;
static char told_why[256];

static void on_told(void *arg, const char *name, enum backend_reaped what, const char *why)
{
	(void)arg;
	assert_string_equal(name, NAME);
	if (what == BACKEND_REAP_BEGINS) {
		begun_count++;
		return;
	}
	assert_int_equal(what, why[0] == '\0' ? BACKEND_REAP_GONE : BACKEND_REAP_LEFT);
	told_count++;
	(void)snprintf(told_why, sizeof(told_why), "%s", why);
}

static int reap(struct bb_err *err)
{
	char *dir = fake_path("machines");
	int r;

	told_count = begun_count = 0;
	r = smol_record_reap(dir, on_told, NULL, err);
	free(dir);
	return r;
}

static int hold(struct smol_record *r, struct bb_err *err)
{
	char *dir = fake_path("machines"), *run_dir = fake_path("run");
	int result = bb_path_mkdirs(run_dir, 0700, NULL);

	assert_int_equal(result, 0);
	result = smol_record_hold(dir, NAME, &fake_vm, run_dir, r, err);
	free(dir);
	free(run_dir);
	return result;
}

static void a_held_record_is_nobody_elses(void **state)
{
	struct smol_record a = { .lock_fd = -1 }, b = a;
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine();
	fake_write("state", "created\n", 0600);
	assert_int_equal(reap(NULL), 0); /* no directory yet */
	assert_int_equal(hold(&a, NULL), 0);
	assert_error(hold(&b, &err), -EBUSY, err);
	assert_int_equal(reap(NULL), 0);
	assert_int_equal(told_count, 0);
	assert_true(is_there("state"));
	smol_record_drop(&a);
	smol_record_drop(&a); /* twice is fine */
	assert_false(is_there("machines/" NAME));
	assert_int_equal(hold(&b, NULL), 0);
	smol_record_drop(&b);
}

/* A keeper that is killed with -9 in the middle. */
static void a_killed_keepers_machine_goes_with_the_next_command(void **state)
{
	int status = 0;
	pid_t keeper;

	(void)state;
	set_up_machine();
	start_machine(false);
	keeper = fork();
	assert_true(keeper >= 0);
	if (keeper == 0) {
		struct smol_record r = { .lock_fd = -1 };

		if (hold(&r, NULL) < 0)
			_exit(1);
		(void)raise(SIGKILL);
	}
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(reap(NULL), 1);
	assert_int_equal(told_count, 1);
	assert_string_equal(told_why, "");
	assert_machine_ended();
	assert_false(is_there("state"));
	assert_false(is_there("machines/" NAME));
	assert_int_equal(reap(NULL), 0);
}

/* Its monitor was killed; the keeper, which was not, is at it. */
static void a_keeper_that_removes_is_waited_for(void **state)
{
	char *record = fake_path("machines/" NAME), *run_dir = fake_path("run");
	struct smol_record r = { .lock_fd = -1 };
	uint64_t began;
	pid_t keeper;

	(void)state;
	set_up_machine();
	keeper = fork();
	assert_true(keeper >= 0);
	if (keeper == 0) {
		if (hold(&r, NULL) < 0)
			_exit(1);
		(void)usleep(400000);
		smol_record_drop(&r);
		_exit(0);
	}
	while (access(record, F_OK) < 0)
		(void)usleep(1000);
	assert_int_equal(reap(NULL), 0); /* the bottle lives: not waited for */
	assert_int_equal(begun_count, 0);
	assert_int_equal(access(record, F_OK), 0);
	assert_int_equal(rmdir(run_dir), 0);
	began = bb_clock_ms();
	assert_int_equal(reap(NULL), 0);
	assert_int_equal(begun_count, 1);
	assert_int_equal(told_count, 0); /* the keeper has done it */
	assert_true(bb_clock_ms() - began < 5000);
	assert_int_equal(access(record, F_OK), -1);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	free(record);
	free(run_dir);
}

static void a_machine_that_cannot_be_removed_is_tried_again(void **state)
{
	struct smol_record r = { .lock_fd = -1 };
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine();
	fake_write("state", "created\n", 0600);
	fake_write("keeps", "", 0600);
	assert_int_equal(hold(&r, NULL), 0);
	smol_record_abandon(&r);
	assert_error(hold(&r, &err), -EEXIST, err);
	assert_error(reap(&err), -EIO, err);
	assert_non_null(strstr(told_why, "cannot delete"));
	assert_true(is_there("machines/" NAME));
	{
		char *keeps = fake_path("keeps");

		assert_int_equal(unlink(keeps), 0);
		free(keeps);
	}
	assert_int_equal(reap(NULL), 1);
	assert_false(is_there("machines/" NAME));
}

static void a_smolvm_that_would_be_refused_still_removes(void **state)
{
	struct smol_record r = { .lock_fd = -1 };

	(void)state;
	set_up_machine();
	fake_write("state", "created\n", 0600);
	assert_int_equal(hold(&r, NULL), 0);
	smol_record_abandon(&r);
	fake_does("--version", "echo smolvm 1.2.0");
	assert_int_equal(reap(NULL), 1);
	assert_false(is_there("state"));
}

static void an_empty_record_had_no_machine(void **state)
{
	char *dir = fake_path("machines");
	char *log;

	(void)state;
	set_up_machine();
	assert_int_equal(bb_path_mkdirs(dir, 0700, NULL), 0);
	fake_write("machines/" NAME, "", 0600);
	fake_write("machines/not-ours", "x", 0600);
	assert_int_equal(reap(NULL), 1);
	assert_false(is_there("machines/" NAME));
	assert_true(is_there("machines/not-ours"));
	log = fake_read("log");
	assert_null(strstr(log, "machine"));
	free(log);
	free(dir);
}

static void a_smolvm_that_is_gone_is_told(void **state)
{
	struct smol_record r = { .lock_fd = -1 };
	struct bb_err err = { 0 };
	char *path = fake_path("smolvm");

	(void)state;
	set_up_machine();
	assert_int_equal(hold(&r, NULL), 0);
	smol_record_abandon(&r);
	assert_int_equal(unlink(path), 0);
	assert_error(reap(&err), -ENOENT, err);
	assert_true(is_there("machines/" NAME));
	free(path);
}

static char strays[256];

static void on_stray(void *arg, const char *name)
{
	(void)arg;
	(void)snprintf(strays + strlen(strays), sizeof(strays) - strlen(strays), "%s ", name);
}

/* What no record speaks of, and only what has a name of ours. */
static void machines_without_a_record_are_found_by_their_name(void **state)
{
	struct smol_record r = { .lock_fd = -1 };
	struct bb_err err = { 0 };
	char *dir = fake_path("machines");

	(void)state;
	set_up_machine();
	assert_int_equal(hold(&r, NULL), 0);
	fake_does("ls", "echo '[{\"name\":\"" NAME "\",\"state\":\"running\"},"
			"{\"name\":\"somebodys\",\"state\":\"running\"},"
			"{\"name\":\"bot-bottle-old_zz999\",\"state\":\"stopped\"}]'");
	strays[0] = '\0';
	assert_int_equal(smol_record_strays(dir, &fake_vm, on_stray, NULL, NULL), 0);
	assert_string_equal(strays, "bot-bottle-old_zz999 ");
	smol_record_drop(&r);
	strays[0] = '\0';
	assert_int_equal(smol_record_strays(dir, &fake_vm, on_stray, NULL, NULL), 0);
	assert_string_equal(strays, NAME " bot-bottle-old_zz999 ");
	fake_does("ls", "exit 1");
	assert_error(smol_record_strays(dir, &fake_vm, on_stray, NULL, &err), -EIO, err);
	free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(a_running_machine_is_stopped_then_deleted),
		FAKE_TEST(a_process_that_survives_stop_is_killed_before_delete),
		FAKE_TEST(a_pid_that_smolvm_does_not_confirm_is_left_alone),
		FAKE_TEST(a_machine_that_is_not_there_is_removed_already),
		FAKE_TEST(a_created_machine_has_no_process),
		FAKE_TEST(what_is_still_there_is_said),
		FAKE_TEST(an_interruption_does_not_stop_a_removal),
		FAKE_TEST(a_process_without_a_row_is_found_by_its_directory),
		FAKE_TEST(a_process_that_is_about_to_be_a_machine_is_ended),
		FAKE_TEST(a_directory_without_a_row_goes_when_it_is_the_machines),
		FAKE_TEST(its_directory_is_found_without_smolvm),
		FAKE_TEST(a_held_record_is_nobody_elses),
		FAKE_TEST(a_keeper_that_removes_is_waited_for),
		FAKE_TEST(a_killed_keepers_machine_goes_with_the_next_command),
		FAKE_TEST(a_machine_that_cannot_be_removed_is_tried_again),
		FAKE_TEST(a_smolvm_that_would_be_refused_still_removes),
		FAKE_TEST(an_empty_record_had_no_machine),
		FAKE_TEST(a_smolvm_that_is_gone_is_told),
		FAKE_TEST(machines_without_a_record_are_found_by_their_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
