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
#include "base/cleanup.h"
#include "base/path.h"

#define INIT_NAME  "bottle-init"
#define HELLO_MS   10000 /* an init that is executed already; a busy host needs some */
#define OPEN_FILES 16384 /* node and bun watch many files */

struct namespace_guest {
	struct backend_guest guest; /* first: see backend_impl.h */
	struct jail *jail;
};

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

int namespace_start(const struct backend_plan *plan, const char *init_path, int stream_fd,
		    struct backend_guest **ret, struct bb_err *err)
{
	const struct spawn_fd fds[NAMESPACE_FDS] = {
		{ .from = plan->console_fd, .to = STDOUT_FILENO },
		{ .from = plan->console_fd, .to = STDERR_FILENO },
		{ .from = stream_fd, .to = 3 },
	};
	__attribute__((cleanup(layout_done))) struct layout layout = { 0 };
	BB_AUTO_FREE struct namespace_guest *g = calloc(1, sizeof(*g));
	struct jail_plan jail;
	int r;

	if (g == NULL)
		return bb_err_set(err, -ENOMEM, "no memory");
	r = layout_build(&layout, plan->image, &plan->resources, init_path, err);
	if (r < 0)
		return r;
	namespace_jail_plan(plan, &layout, fds, &jail);
	r = jail_start(&jail, &g->jail, err);
	if (r < 0)
		return r;
	g->guest.backend = &backend_namespace;
	(void)close(stream_fd); /* the child has its own */
	*ret = &bb_take_ptr(&g)->guest;
	return 0;
}

static int find_init(char path[4096], struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_path_self_dir();

	if (dir == NULL)
		return bb_err_errno(err, "cannot find the directory of this program");
	(void)snprintf(path, 4096, "%s/" INIT_NAME, dir);
	if (access(path, X_OK) == 0)
		return 0;
	/* The command line stands in bin/, the rest of us in libexec/. */
	(void)snprintf(path, 4096, "%s/../libexec/bot-bottle/" INIT_NAME, dir);
	if (access(path, X_OK) == 0)
		return 0;
	return bb_err_set(err, BB_E_MISSING,
			  "'" INIT_NAME "' is not beside this program in '%s'; "
			  "install bot-bottle again",
			  dir);
}

static int start(const struct backend_plan *plan, int stream_fd, struct backend_guest **ret,
		 struct bb_err *err)
{
	char init_path[4096];
	int r = find_init(init_path, err);

	return r < 0 ? r : namespace_start(plan, init_path, stream_fd, ret, err);
}

static struct backend_check *add_check(struct backend_report *report, const char *name)
{
	struct backend_check *c = &report->checks[report->count++];

	c->name = name;
	return c;
}

static int preflight(bool deep, struct backend_report *ret, struct bb_err *err)
{
	char init_path[4096];
	struct bb_err why = { 0 };
	struct backend_check *c;
	int r;

	(void)deep; /* a jail is made either way: it costs a few milliseconds */
	(void)snprintf(ret->accelerator, sizeof(ret->accelerator), "shared kernel");

	c = add_check(ret, "bottle-init");
	r = find_init(init_path, &why);
	c->state = r < 0 ? BACKEND_CHECK_FAIL : BACKEND_CHECK_OK;
	(void)snprintf(c->text, sizeof(c->text), "%.500s", r < 0 ? why.msg : init_path);
	if (r < 0)
		return bb_err_set(err, BB_E_MISSING, "%s", why.msg);

	c = add_check(ret, "namespaces");
	r = jail_probe(&why);
	c->state = r < 0 ? BACKEND_CHECK_FAIL : BACKEND_CHECK_OK;
	(void)snprintf(c->text, sizeof(c->text), "%.500s",
		       r < 0 ? why.msg : "a jail with all namespaces was made");
	if (r < 0)
		return bb_err_set(err, BB_E_MISSING, "%s", why.msg);

	c = add_check(ret, "limits");
	c->state = jail_has_cgroup() ? BACKEND_CHECK_OK : BACKEND_CHECK_WARN;
	(void)snprintf(
		c->text, sizeof(c->text), "%.500s",
		c->state == BACKEND_CHECK_OK
			? "memory and processes by cgroup"
			: "no cgroup is delegated: memory is limited for each process, not for "
			  "the whole bottle");
	if (c->state != BACKEND_CHECK_OK)
		(void)snprintf(c->mend, sizeof(c->mend),
			       "start inside a delegated group: systemd-run --user --scope -p "
			       "Delegate=yes bot-bottle ...");
	return 0;
}

static int pidfd(const struct backend_guest *g)
{
	return jail_pidfd(((const struct namespace_guest *)g)->jail);
}

static const char *note(const struct backend_guest *g)
{
	(void)g;
	return "shared kernel";
}

static uint64_t hello_ms(const struct backend_guest *g)
{
	(void)g;
	return HELLO_MS;
}

static void destroy(struct backend_guest *g)
{
	struct namespace_guest *n = (struct namespace_guest *)g;

	if (n == NULL)
		return;
	jail_free(n->jail);
	free(n);
}

const struct backend backend_namespace = {
	.name = "namespace",
	.warning = "shared kernel",
	.preflight = preflight,
	.start = start,
	.pidfd = pidfd,
	.note = note,
	.hello_ms = hello_ms,
	.destroy = destroy,
};
