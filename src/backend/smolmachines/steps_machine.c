/*
 * Steps 5 and 6: the machine. It is created without a network; the allow-list is forced between
 * create and start and compared before and after the start. Whatever differs, the machine goes.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "backend/smolmachines/confine.h"
#include "backend/smolmachines/steps.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

#define CREATE_MS 300000 /* unpacks the image */
#define START_MS  90000  /* smolvm's own limit is 30 s */

static int create(const struct smolvm *vm, const struct keeper_plan *plan,
		  const struct smol_resources *resources, struct bb_err *err)
{
	char init[] = SMOL_GUEST_INIT, option[] = "--socket", path[] = SMOL_GUEST_SOCKET;
	char *const workload[] = { init, option, path, NULL };
	const bool is_tsi = vm->mode == SMOLVM_TSI;
	const struct smolvm_machine_plan machine = {
		.name = resources->machine,
		.pack = is_tsi ? plan->pack : NULL,
		.image = is_tsi ? NULL : plan->archive,
		.socket_host = resources->socket_path,
		.socket_guest = SMOL_GUEST_SOCKET,
		.cpus = plan->resources.cpus,
		.memory_bytes = plan->resources.memory_bytes,
		.disk_bytes = plan->resources.disk_bytes,
		.workload = is_tsi ? NULL : workload, /* a pack brings its own */
	};
	struct smolvm_result result;
	int r = smolvm_run_checked(vm, smolvm_argv_create(&vm->quirks, &machine), CREATE_MS,
				   &result, err);

	smolvm_result_done(&result);
	return r;
}

/* Holds the machine's process: what is read is believed when it is still so with the pidfd open. */
static int hold_process(const struct smolvm *vm, const struct smol_resources *resources,
			struct smol_machine *m, struct bb_err *err)
{
	struct smolvm_status first = { 0 }, again = { 0 };
	int r = smolvm_status(vm, resources->machine, &first, err);

	if (r < 0)
		return r;
	m->pidfd = first.pid > 0 ? spawn_watch(first.pid) : -1;
	r = smolvm_status(vm, resources->machine, &again, err);
	if (r < 0)
		return r;
	if (m->pidfd < 0 || again.state != SMOLVM_RUNNING || again.pid != first.pid)
		return bb_err_set(err, BB_E_GUEST,
				  "machine '%s' was started and is not running; its state is '%s'",
				  resources->machine, smolvm_state_names[again.state]);
	m->pid = again.pid;
	return 0;
}

static int start(const struct smolvm *vm, const struct smol_resources *resources,
		 struct bb_err *err)
{
	struct smolvm_result result;
	int r = smolvm_run_checked(vm, smolvm_argv_start(resources->machine), START_MS, &result,
				   err);

	smolvm_result_done(&result);
	return r;
}

int smol_step_launch(const struct smolvm *vm, const struct keeper_plan *plan,
		     const struct smol_resources *resources, struct smol_machine *ret,
		     struct bb_err *err)
{
	const struct confine_wish wish = {
		.machine = resources->machine,
		.cidr = vm->mode == SMOLVM_TSI ? resources->alias.cidr : NULL,
		.socket_guest = vm->mode == SMOLVM_TSI ? NULL : SMOL_GUEST_SOCKET,
	};
	int r;

	ret->is_made = true; /* also when create fails: half made is made */
	r = create(vm, plan, resources, err);
	if (r == 0)
		r = confine_before(vm, &wish, err);
	if (r == 0)
		r = start(vm, resources, err);
	if (r == 0)
		r = confine_after(vm, &wish, err);
	if (r == 0)
		r = hold_process(vm, resources, ret, err);
	/* In socket mode bottle-init is the workload and says hello itself. */
	if (r == 0 && vm->mode == SMOLVM_TSI)
		r = wait_exec_ready(vm, resources->machine, SMOLVM_READY_MS, err);
	return r;
}

int smol_release_machine(const struct smolvm *vm, const struct smol_resources *resources,
			 struct smol_machine *m, struct bb_err *err)
{
	int r = 0;

	if (m->is_made)
		r = smolvm_remove(vm, resources->machine, err);
	bb_cleanup_fd(&m->pidfd);
	*m = (struct smol_machine)SMOL_MACHINE_NONE;
	return r;
}

int smol_step_init(const struct smolvm *vm, const struct smol_resources *resources,
		   const struct smol_urls *urls, int console_fd, struct smol_guest *ret,
		   struct bb_err *err)
{
	char init[] = SMOL_GUEST_INIT, option[] = "--connect";
	char *const command[] = { init, option, NULL };
	BB_AUTO_CLOSE int theirs = -1;
	int ends[2], r;

	if (vm->mode == SMOLVM_SOCKET)
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	theirs = ends[0];
	ret->stdin_fd = ends[1];
	r = smolvm_spawn(vm, smolvm_argv_exec(resources->machine, true, 0, command),
			 (const int[]){ theirs, console_fd, console_fd }, &ret->exec, err);
	if (r < 0)
		return r;
	/* The credential goes in by the pipe: arguments and variables can be read by others. */
	r = bb_fd_write_all(ret->stdin_fd, urls->dial_line, strlen(urls->dial_line));
	return r < 0 ? bb_err_set(err, r, "cannot tell bottle-init where to connect: %s",
				  bb_err_name(r))
		     : 0;
}

void smol_release_guest(struct smol_guest *g)
{
	bb_cleanup_fd(&g->stdin_fd);
	if (g->exec.pidfd >= 0) {
		spawn_kill(&g->exec, SIGKILL);
		(void)spawn_wait(&g->exec, 5000); /* it was killed */
	}
	*g = (struct smol_guest)SMOL_GUEST_NONE;
}
