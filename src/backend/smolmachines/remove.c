/*
 * The end of a machine. Deleting a running one leaves its process behind (0.8.0), so the order is:
 * stop, see that the process is gone, delete, see that it is not listed. Not heeding an
 * interruption: half removed is what the next command would have to finish.
 *
 * A command of smolvm's that was killed half way may have left more than its rows tell: a process
 * of which no row speaks yet, a directory without a row. Both are looked for at the end.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "backend/smolmachines/smolvm.h"
#include "backend/smolmachines/vmdir.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define STOP_MS       15000 /* its process is killed then */
#define DELETE_MS     30000
#define GRACE_MS      5000 /* after stop: the process ends by itself */
#define KILLED_MS     5000
#define LISTED_MS     5000
#define FIRST_WAIT_MS 20
#define LAST_WAIT_MS  500

/*
 * A pidfd of the machine's process, -1: it has none. The number was read from somewhere: only when
 * smolvm, which checks it against the process's start, still names it after it was opened is it
 * believed.
 */
static int hold_process(const struct smolvm *vm, const struct smolvm_status *status)
{
	struct smolvm_status again = { 0 };
	BB_AUTO_CLOSE int fd = status->pid > 0 ? spawn_watch(status->pid) : -1;

	if (fd < 0 || smolvm_status(vm, status->name, &again, NULL) < 0 ||
	    again.pid != status->pid ||
	    (again.state != SMOLVM_RUNNING && again.state != SMOLVM_UNREACHABLE))
		return -1;
	return bb_take_fd(&fd);
}

static bool ends_within(int pidfd, int ms)
{
	uint64_t deadline_ms = bb_clock_ms() + (uint64_t)ms;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	for (;;) {
		int left = bb_clock_left_ms(deadline_ms);
		int r = poll(&p, 1, left);

		if (r > 0)
			return true;
		if (r == 0 || (r < 0 && errno != EINTR))
			return false;
	}
}

static int stop(const struct smolvm *vm, const char *name, int pidfd, struct bb_err *err)
{
	const struct spawn_child machine = { .pid = -1, .pidfd = pidfd };
	struct smolvm_result result;
	struct bb_err why = { 0 };

	/* Fails on a machine that does not run, from 0.8.1 on: what counts is the process. */
	(void)smolvm_run(vm, smolvm_argv_stop(name), NULL, STOP_MS, &result, &why);
	smolvm_result_done(&result);
	if (pidfd < 0 || ends_within(pidfd, GRACE_MS))
		return 0;
	spawn_kill(&machine, SIGKILL);
	if (ends_within(pidfd, KILLED_MS))
		return 0;
	return bb_err_set(
		err, BB_E_DEADLINE,
		"the process of machine '%s' neither ended when it was stopped nor when it "
		"was killed",
		name);
}

/* 1: listed, 0: not, or negative. */
static int is_listed(const struct smolvm *vm, const char *name, struct bb_err *err)
{
	BB_AUTO_FREE struct smolvm_status *all = NULL;
	size_t n = 0;
	int r = smolvm_ls(vm, &all, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (strcmp(all[i].name, name) == 0)
			return 1;
	return r;
}

static int see_gone(const struct smolvm *vm, const char *name, struct bb_err *err)
{
	uint64_t deadline_ms = bb_clock_ms() + LISTED_MS;
	int wait_ms = FIRST_WAIT_MS;

	for (;;) {
		int r = is_listed(vm, name, err);

		if (r <= 0)
			return r;
		if (bb_clock_left_ms(deadline_ms) == 0)
			return bb_err_set(err, BB_E_DEADLINE,
					  "machine '%s' was deleted and is still listed", name);
		(void)poll(NULL, 0, wait_ms);
		wait_ms = wait_ms * 2 < LAST_WAIT_MS ? wait_ms * 2 : LAST_WAIT_MS;
	}
}

static int delete_machine(const struct smolvm *vm, const char *name, struct bb_err *err)
{
	struct smolvm_result result;
	BB_AUTO_FREE char *words = NULL;
	int r = smolvm_run(vm, smolvm_argv_delete(&vm->quirks, name), NULL, DELETE_MS, &result,
			   err);

	words = smolvm_words(&result);
	if (r == 0 && result.code != 0 && (words == NULL || strstr(words, "not found") == NULL))
		r = bb_err_set(err, -EIO, "'smolvm delete' failed with code %d: %s", result.code,
			       words == NULL ? "?" : words);
	smolvm_result_done(&result);
	return r < 0 ? r : see_gone(vm, name, err);
}

/* Where its files are: what smolvm says, else where its versions put them. */
static char *find_dir(const struct smolvm *vm, const char *name)
{
	const struct statepath_env paths = smolvm_paths(vm);
	char *dir = NULL;

	if (smolvm_data_dir(vm, name, &dir, NULL) == 0)
		return dir;
	return statepath_machine(&paths, name, NULL);
}

/* What smolvm knows of it. *ret_dir: what is not there any more when this succeeds; NULL: not to be
 * told. */
static int remove_known(const struct smolvm *vm, const char *name, char **ret_dir, bool *ret_known,
			struct bb_err *err)
{
	struct smolvm_status status = { 0 };
	BB_AUTO_CLOSE int pidfd = -1;
	int r = smolvm_status(vm, name, &status, err);

	if (r < 0 && r != -ENOENT)
		return r;
	*ret_known = r == 0;
	*ret_dir = find_dir(vm, name);
	if (r == -ENOENT)
		return *ret_dir == NULL ? 0 : vmdir_end_processes(*ret_dir, err);
	pidfd = hold_process(vm, &status);
	r = stop(vm, name, pidfd, err);
	if (r == 0 && *ret_dir != NULL)
		r = vmdir_end_processes(*ret_dir, err); /* before its disks go */
	return r < 0 ? r : delete_machine(vm, name, err);
}

/* A process that was about to be one when it was looked for before is one by now. */
static int remove_rest(const char *name, const char *dir, bool was_known, struct bb_err *err)
{
	int r = vmdir_end_processes(dir, err);

	if (r >= 0)
		r = vmdir_discard(dir, name, err);
	if (r == 0 && was_known && access(dir, F_OK) == 0)
		r = bb_err_set(err, -ENOTEMPTY, "its directory '%s' is still there", dir);
	return r;
}

int smolvm_remove(const struct smolvm *vm, const char *name, struct bb_err *err)
{
	struct smolvm whole = *vm;
	BB_AUTO_FREE char *dir = NULL;
	bool was_known = false;
	int r;

	whole.interrupt_fd = -1;
	whole.deadline_ms = bb_clock_ms() + SMOLVM_REMOVE_MS;
	r = remove_known(&whole, name, &dir, &was_known, err);
	if (r >= 0 && dir != NULL)
		r = remove_rest(name, dir, was_known, err);
	return r < 0 ? bb_err_wrap(err, "machine '%s' was not removed", name) : 0;
}
