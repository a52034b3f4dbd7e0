/*
 * Backend "namespace": bottle-init as pid 1 of a jail (sys/jail.h) on the host's own kernel. Native
 * speed, and the weakest wall we offer: it is never chosen silently, and its warning stands in
 * every status line. The stream is descriptor 3, the console is 1 and 2.
 */
#include "backend/namespace/namespace.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend_impl.h"
#include "backend/jailed_guest.h"
#include "backend/report.h"
#include "base/cleanup.h"
#include "base/path.h"

#define INIT_NAME  "bottle-init"
#define NOTE       "shared kernel" /* the accelerator, and the warning */
#define HELLO_MS   10000           /* an init that is executed already; a busy host needs some */
#define OPEN_FILES 16384           /* node and bun watch many files */

/* A limit of the file size beside that of the file system: one file never exceeds the disk. */
void namespace_jail_plan(const struct backend_plan *plan, const struct layout *layout,
			 const struct spawn_fd fds[NAMESPACE_FDS], struct jail_plan *ret)
{
	static char *const argv[] = { (char *)(uintptr_t)INIT_NAME,
				      (char *)(uintptr_t) "--namespace", NULL };

	*ret = (struct jail_plan){
		.name = plan->identity,
		.mounts = layout->mounts,
		.mount_count = layout->count,
		.path = LAYOUT_INIT_PATH,
		.argv = argv,
		.fds = fds,
		.fd_count = NAMESPACE_FDS,
		.uid = LAYOUT_UID,
		.gid = LAYOUT_UID,
		.wants_uid_range = true,
		.needs_loopback = true,
		.filter = JAIL_FILTER_GUEST,
		.limits = { .memory = plan->resources.memory_bytes,
			    .pids = plan->resources.pids,
			    .file_size = plan->resources.disk_bytes,
			    .open_files = OPEN_FILES },
		.hostname = plan->identity,
	};
}

static int start(const struct backend_plan *plan, int stream_fd, struct backend_guest **ret,
		 struct bb_err *err)
{
	const struct spawn_fd fds[NAMESPACE_FDS] = {
		{ .from = plan->console_fd, .to = STDOUT_FILENO },
		{ .from = plan->console_fd, .to = STDERR_FILENO },
		{ .from = stream_fd, .to = 3 },
	};
	__attribute__((cleanup(layout_done))) struct layout layout = { 0 };
	BB_AUTO_FREE char *init_path = bb_path_sibling(INIT_NAME, err);
	BB_AUTO_FREE struct jailed_guest *g = calloc(1, sizeof(*g));
	struct jail_plan jail;
	int r;

	if (init_path == NULL)
		return BB_E_MISSING;
	if (g == NULL)
		return bb_err_set(err, -ENOMEM, "no memory");
	r = layout_build(&layout, plan->image, &plan->resources, init_path, err);
	if (r < 0)
		return r;
	namespace_jail_plan(plan, &layout, fds, &jail);
	r = jail_begin(&jail, &g->jail, err);
	if (r < 0)
		return r;
	g->base.backend = &backend_namespace;
	g->hello_ms = HELLO_MS;
	(void)snprintf(g->note, sizeof(g->note), NOTE);
	(void)close(stream_fd); /* the child has its own */
	*ret = &bb_take_ptr(&g)->base;
	return 0;
}

static void check_init(void *arg, struct backend_check *c)
{
	struct bb_err err = { 0 };
	BB_AUTO_FREE char *path = bb_path_sibling(INIT_NAME, &err);

	(void)arg;
	report_found(c, path == NULL ? BACKEND_CHECK_FAIL : BACKEND_CHECK_OK, "%s",
		     path == NULL ? err.msg : path);
}

static void check_jail(void *arg, struct backend_check *c)
{
	struct bb_err err = { 0 };

	(void)arg;
	if (jail_probe(&err) < 0)
		report_found(c, BACKEND_CHECK_FAIL, "%s", err.msg);
	else
		report_found(c, BACKEND_CHECK_OK, "a jail with all namespaces was made");
}

static void check_limits(void *arg, struct backend_check *c)
{
	(void)arg;
	if (jail_has_cgroup()) {
		report_found(c, BACKEND_CHECK_OK, "memory and processes by cgroup");
		return;
	}
	report_found(c, BACKEND_CHECK_WARN,
		     "no cgroup is delegated: memory is limited for each process, not for the "
		     "whole bottle");
	report_mend(c, "start inside a delegated group: systemd-run --user --scope -p "
		       "Delegate=yes bot-bottle ...");
}

static const struct report_row checks[] = {
	{ "bottle-init", check_init },
	{ "namespaces", check_jail },
	{ "limits", check_limits },
};

/* A jail is made whether or not the look is deep: it costs a few milliseconds. */
static int preflight(bool deep, struct backend_report *ret, struct bb_err *err)
{
	int r = report_run(checks, BB_ARRAY_LEN(checks), NULL, ret, err);

	(void)deep;
	(void)snprintf(ret->accelerator, sizeof(ret->accelerator), NOTE);
	return r;
}

const struct backend backend_namespace = {
	.name = "namespace",
	.warning = NOTE,
	.preflight = preflight,
	.start = start,
	.started = jailed_guest_started,
	.pidfd = jailed_guest_pidfd,
	.note = jailed_guest_note,
	.hello_ms = jailed_guest_hello_ms,
	.destroy = jailed_guest_destroy,
};
