/*
 * Every attack of attacks.c against a namespace bottle. Each runs
 *   plain       as the caller, or
 *   isolated    as root of fresh namespaces: there it succeeds, so it is an attack;
 *   filtered    as the same root behind the guest's seccomp filter alone: the filter refuses it;
 *   unfiltered  in the jail without the filter: ids, mounts, namespaces and keys refuse it;
 *   jailed      in the whole jail.
 * An attack that this kernel or this user cannot be let succeed with is told apart and counted as
 * skipped in its control only; the refusals are demanded anyway.
 */
#include "arena.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"
#include "base/cleanup.h"
#include "sys/linux/filters.h"

enum place {
	PLAIN,
	ISOLATED,
	FILTERED,
	UNFILTERED,
	JAILED,
	JAILED_RANGE,
};
#define NUM_PLACES 6

static struct bb_buf outputs[NUM_PLACES];
static int control_failures;

/* ---- the host that is attacked ---- */

struct host {
	int abstract, tcp, leak, shm;
	char dir[64];
	char words[16][128];
	char *env[17];
	size_t count;
};

static void put(struct host *h, const char *name, const char *value)
{
	(void)snprintf(h->words[h->count], sizeof(h->words[0]), "%s=%s", name, value);
	h->env[h->count] = h->words[h->count];
	h->count++;
}

static void put_number(struct host *h, const char *name, long value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%ld", value);
	put(h, name, text);
}

static void open_sockets(struct host *h)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(in);
	int name =
		snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s-%d", MARKER_NAME, getpid());

	h->abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(h->abstract, (struct sockaddr *)&un,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)name)),
		0);
	assert_int_equal(listen(h->abstract, 64), 0);
	h->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(h->tcp, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(h->tcp, 64), 0);
	assert_int_equal(getsockname(h->tcp, (struct sockaddr *)&in, &n), 0);
	put_number(h, "ESCAPE_PORT", ntohs(in.sin_port));
}

static void put_namespaces(struct host *h)
{
	static const char *const names[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" };

	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++) {
		char path[64], text[64] = { 0 };

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		assert_true(readlink(path, text, sizeof(text) - 1) > 0);
		put(h, names[i], text);
	}
}

static void host_open(struct host *h)
{
	*h = (struct host){ .dir = "/tmp/escape-XXXXXX" };
	assert_int_equal(prctl(PR_SET_NAME, MARKER_NAME), 0);
	(void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, MARKER_NAME);
	assert_non_null(mkdtemp(h->dir));
	put(h, "ESCAPE_DIR", h->dir);
	put_number(h, "ESCAPE_PID", getpid());
	open_sockets(h);
	h->shm = shmget(0x5e5c0000 + getpid(), 4096, IPC_CREAT | IPC_EXCL | 0666);
	assert_true(h->shm >= 0);
	put_number(h, "ESCAPE_SHM", 0x5e5c0000 + getpid());
	h->leak = fcntl(h->tcp, F_DUPFD, 77); /* not close-on-exec: on purpose */
	assert_true(h->leak >= 77);
	put_number(h, "ESCAPE_FD", h->leak);
	put_namespaces(h);
}

static void host_close(struct host *h)
{
	(void)close(h->abstract);
	(void)close(h->tcp);
	(void)close(h->leak);
	(void)shmctl(h->shm, IPC_RMID, NULL);
	(void)rmdir(h->dir);
}

/* ---- the places ---- */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		(void)close(fd);
	return n < 0 ? -1 : 0;
}

/* Root of fresh namespaces; as the host's root its own user namespace is kept. */
static int isolate(void)
{
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	char map[64], gmap[64];

	(void)snprintf(map, sizeof(map), "0 %u 1", geteuid());
	(void)snprintf(gmap, sizeof(gmap), "0 %u 1", getegid());
	if (geteuid() != 0)
		flags |= CLONE_NEWUSER;
	if (unshare(flags) < 0)
		return -1;
	if ((flags & CLONE_NEWUSER) != 0 && (write_text("/proc/self/setgroups", "deny") < 0 ||
					     write_text("/proc/self/uid_map", map) < 0 ||
					     write_text("/proc/self/gid_map", gmap) < 0))
		return -1;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static void run_beside(enum place place, char *const *env, struct bb_buf *out)
{
	char *const argv[] = { (char *)(uintptr_t) "probe", (char *)(uintptr_t) "attack",
			       (char *)(uintptr_t)(place == PLAIN ? "plain" : "isolated"), NULL };
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(ends[1], 1);
		if (place != PLAIN && isolate() < 0)
			_exit(126);
		if (place == FILTERED &&
		    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		     filter_load(&filters_jail_refusals[JAIL_FILTER_GUEST]) < 0 ||
		     filter_load(&filters_jail_calls[JAIL_FILTER_GUEST]) < 0))
			_exit(125);
		(void)execve(arena_probe(), argv, env);
		_exit(127);
	}
	(void)close(ends[1]);
	arena_collect(ends[0], out);
	(void)close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int run_everywhere(void **state)
{
	struct arena_run jailed = { .filter = JAIL_FILTER_GUEST };
	struct arena_run unfiltered = { .filter = JAIL_FILTER_NONE };
	struct arena_run range = { .filter = JAIL_FILTER_GUEST, .wants_uid_range = true };
	struct host h;

	(void)state;
	host_open(&h);
	jailed.envp = unfiltered.envp = range.envp = h.env;
	for (size_t i = 0; i < NUM_PLACES; i++)
		bb_buf_init(&outputs[i], ARENA_OUTPUT_MAX);
	run_beside(PLAIN, h.env, &outputs[PLAIN]);
	run_beside(ISOLATED, h.env, &outputs[ISOLATED]);
	run_beside(FILTERED, h.env, &outputs[FILTERED]);
	assert_int_equal(arena_finish(&unfiltered, &outputs[UNFILTERED]), 0);
	assert_int_equal(arena_finish(&jailed, &outputs[JAILED]), 0);
	assert_int_equal(arena_finish(&range, &outputs[JAILED_RANGE]), 0);
	host_close(&h);
	return 0;
}

static int drop_outputs(void **state)
{
	(void)state;
	print_message("# %d attacks could not be shown to succeed without the defence\n",
		      control_failures);
	for (size_t i = 0; i < NUM_PLACES; i++)
		bb_buf_done(&outputs[i]);
	return 0;
}

/* ---- the tests ---- */

static long result(enum place place, const char *kind, const char *name)
{
	char word[128];

	(void)snprintf(word, sizeof(word), "%s %s", kind, name);
	return arena_number(&outputs[place], word);
}

static void check_control(const struct attack *a)
{
	long r = result(a->control == CONTROL_ISOLATED ? ISOLATED : PLAIN, "attack", a->name);

	assert_true(r >= 0); /* it ran */
	if (r == 0)
		return;
	/* As the caller's own self it must work, and so must what root of namespaces may do, unless
	 * the kernel is built without it. */
	control_failures++;
	print_message("# control: '%s' does not succeed here: %s\n", a->name,
		      r >= 1000 ? "killed" : strerror((int)r));
	if (a->control == CONTROL_PLAIN && strcmp(a->name, "session_keyring") != 0 &&
	    geteuid() == 0)
		fail_msg("'%s' fails without any defence: it proves nothing", a->name);
}

static void attack_is_refused(void **state)
{
	const struct attack *a = *state;

	if (a->control != CONTROL_NONE)
		check_control(a);
	assert_true(result(JAILED, "attack", a->name) > 0);
	assert_true(result(JAILED_RANGE, "attack", a->name) > 0);
	if (a->defence == BY_FILTER && strcmp(a->name, "session_keyring") != 0)
		assert_true(result(FILTERED, "attack", a->name) > 0);
	if (a->defence == BY_JAIL)
		assert_true(result(UNFILTERED, "attack", a->name) > 0);
}

/* The filter hides keys; without it the keyring is another one all the same. */
static void session_keyring_is_new_without_the_filter(void **state)
{
	(void)state;
	if (result(PLAIN, "attack", "session_keyring") != 0)
		arena_skip("the kernel has no keys");
	assert_int_equal(result(UNFILTERED, "attack", "session_keyring"), ENOKEY);
}

static void foreign_entries_kill(void **state)
{
	(void)state;
	assert_int_equal(result(JAILED, "attack", "i386_call"), 1000 + SIGSYS);
	assert_int_equal(result(JAILED, "attack", "x32_call"), 1000 + SIGSYS);
}

static void deed_works(void **state)
{
	const struct deed *d = *state;

	assert_int_equal(result(JAILED, "deed", d->name), 0);
	assert_int_equal(result(JAILED_RANGE, "deed", d->name), 0);
}

int main(void)
{
	static struct CMUnitTest tests[256];
	size_t n = 0;

	for (size_t i = 0; i < attack_count; i++)
		tests[n++] = (struct CMUnitTest){ .name = attacks[i].name,
						  .test_func = attack_is_refused,
						  .initial_state = (void *)(uintptr_t)&attacks[i] };
	for (size_t i = 0; i < deed_count; i++)
		tests[n++] = (struct CMUnitTest){ .name = deeds[i].name,
						  .test_func = deed_works,
						  .initial_state = (void *)(uintptr_t)&deeds[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(session_keyring_is_new_without_the_filter);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(foreign_entries_kill);
	return _cmocka_run_group_tests("escape-bottle", tests, n, run_everywhere, drop_outputs);
}
