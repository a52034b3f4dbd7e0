/*
 * Confining a role; see sandbox.h. The stages, and what each may still do:
 *   early   descriptors, limits, capabilities that exec would hand on, death of the parent. Files
 *           may still be opened and the sandbox itself set up.
 *   lock    capabilities, then files (Landlock), then calls (seccomp), in that order because each
 *           needs what the next takes away. Afterwards nothing can be widened again.
 */
#include "sys/sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "sys/linux/caps.h"
#include "sys/linux/fdset.h"
#include "sys/linux/filters.h"
#include "sys/linux/landlock.h"

#define PROFILE_PATHS_MAX 8

struct profile {
	const char *name;
	const char *read_files[PROFILE_PATHS_MAX]; /* readable afterwards; those that exist */
	bool may_net;
	bool has_dir;        /* dir_fd is its tree */
	bool needs_landlock; /* without it the profile is refused */
	bool has_files;      /* the monitor: it keeps its files, no Landlock */
};

/*
 * A profile that can open nothing needs no Landlock: its seccomp list has no open. The dialler
 * reads two files, read-only by seccomp; a kernel without Landlock would let it read others, so
 * there it opens none and c-ares works with what it has read before.
 */
static const struct profile profiles[] = {
	[SANDBOX_CHANNEL] = { .name = "channel" },
	[SANDBOX_EGRESS] = { .name = "egress" },
	[SANDBOX_DIALLER] = { .name = "dialler",
			      .may_net = true,
			      .needs_landlock = true,
			      .read_files = { "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf",
					      "/etc/nsswitch.conf", "/etc/svc.conf" } },
	[SANDBOX_RECORDER] = { .name = "recorder" },
	[SANDBOX_MONITOR] = { .name = "monitor", .has_files = true },
	[SANDBOX_ARCHIVE] = { .name = "archive", .has_dir = true, .needs_landlock = true },
	[SANDBOX_CHANNEL_ACCEPT] = { .name = "channel" },
	[SANDBOX_EGRESS_ACCEPT] = { .name = "egress" },
};
_Static_assert(BB_ARRAY_LEN(profiles) == SANDBOX_NUM_PROFILES, "one line for each profile");

int sandbox_early(int keep_fds, struct bb_err *err)
{
	const struct rlimit no_core = { 0, 0 };
	pid_t parent = getppid();
	int r;

	/* The parent asked for this at fork already (spawn.h); a second time covers a start by
	 * hand. A parent that died in between left us to another process: the number changed. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return bb_err_errno(err, "sandbox: parent-death signal");
	if (getppid() != parent)
		return bb_err_set(err, BB_E_PART, "sandbox: the parent is gone");
	r = fdset_close_from(keep_fds);
	if (r < 0)
		return bb_err_set(err, r, "sandbox: cannot close inherited descriptors");
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return bb_err_errno(err, "sandbox: core limit");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return bb_err_errno(err, "sandbox: dumpable");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return bb_err_errno(err, "sandbox: no_new_privs");
	r = caps_clear_inheritable();
	if (r < 0)
		return bb_err_set(err, r, "sandbox: inheritable capabilities: %s", bb_err_name(r));
	return 0;
}

/* Opens what the profile may read; a file that is not there is not needed. */
static size_t open_paths(const struct profile *p, int dir_fd, struct landlock_path *paths)
{
	size_t n = 0;

	for (size_t i = 0; i < PROFILE_PATHS_MAX && p->read_files[i] != NULL; i++) {
		int fd = open(p->read_files[i], O_PATH | O_CLOEXEC);

		if (fd >= 0)
			paths[n++] = (struct landlock_path){ fd, LANDLOCK_READ_FILE };
	}
	if (p->has_dir)
		paths[n++] = (struct landlock_path){ dir_fd, LANDLOCK_READ_WRITE };
	return n;
}

static int lock_files(const struct profile *p, int dir_fd, bool *ret_has_landlock,
		      struct bb_err *err)
{
	struct landlock_path paths[PROFILE_PATHS_MAX + 1];
	size_t n;
	int r;

	if (p->has_files) {
		*ret_has_landlock = false;
		return 0;
	}
	n = open_paths(p, dir_fd, paths);
	r = landlock_restrict(paths, n, p->may_net);
	for (size_t i = 0; i < n; i++) {
		if (paths[i].fd != dir_fd)
			(void)close(paths[i].fd);
	}
	*ret_has_landlock = r == 0;
	if (r == 0)
		return 0;
	if (r != -ENOSYS && r != -EOPNOTSUPP)
		return bb_err_set(err, r, "sandbox: Landlock for '%s': %s", p->name,
				  bb_err_name(r));
	if (p->has_dir)
		return bb_err_set(err, BB_E_MISSING,
				  "sandbox: '%s' needs Landlock, which this kernel lacks or has "
				  "switched off; use Linux 5.13 or later with 'landlock' in lsm=",
				  p->name);
	return 0;
}

static int lock_calls(enum sandbox_profile profile, bool has_landlock, struct bb_err *err)
{
	int r = 0;

	/* Without Landlock a profile that needs it loses the calls that open (see above). */
	if (profiles[profile].needs_landlock && !has_landlock)
		r = filter_load(&filters_no_open);
	if (r == 0)
		r = filter_load(&filters_sandbox[profile]);
	return r < 0 ? bb_err_set(err, r, "sandbox: seccomp: %s", bb_err_name(r)) : 0;
}

static int lock_privileges(struct bb_err *err)
{
	int r;

	/* The monitor comes here without: what it started until now may have needed more. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return bb_err_errno(err, "sandbox: no_new_privs");
	/* Only somebody with CAP_SETPCAP has a bounding set that could ever matter. */
	r = caps_drop_bounding();
	if (r < 0 && r != -EPERM)
		return bb_err_set(err, r, "sandbox: capability bounds: %s", bb_err_name(r));
	r = caps_drop_all();
	return r < 0 ? bb_err_set(err, r, "sandbox: capabilities: %s", bb_err_name(r)) : 0;
}

int sandbox_lock(enum sandbox_profile profile, int dir_fd, struct bb_err *err)
{
	bool has_landlock = false;
	int r;

	if ((unsigned)profile >= SANDBOX_NUM_PROFILES)
		return bb_err_set(err, -EINVAL, "sandbox: unknown profile %d", (int)profile);
	if (profiles[profile].has_dir && dir_fd < 0)
		return bb_err_set(err, -EBADF, "sandbox: '%s' needs its directory",
				  profiles[profile].name);

	r = lock_privileges(err);
	if (r < 0)
		return r;
	r = lock_files(&profiles[profile], dir_fd, &has_landlock, err);
	if (r < 0)
		return r;
	return lock_calls(profile, has_landlock, err);
}

/* The host's own, for every tool; what is not there is not needed. */
static const struct {
	const char *path;
	enum landlock_access access;
} tool_paths[] = {
	{ "/usr", LANDLOCK_RUN_TREE },
	{ "/bin", LANDLOCK_RUN_TREE },
	{ "/lib", LANDLOCK_RUN_TREE },
	{ "/lib64", LANDLOCK_RUN_TREE },
	{ "/etc/ld.so.cache", LANDLOCK_READ_FILE },
	{ "/dev/urandom", LANDLOCK_READ_FILE },
	{ "/dev/null", LANDLOCK_WRITE_FILE },
};

static int lock_tool_files(const struct sandbox_tree *trees, size_t count, struct bb_err *err)
{
	struct landlock_path paths[BB_ARRAY_LEN(tool_paths) + SANDBOX_TREES_MAX];
	size_t own = 0, n;
	int r;

	for (size_t i = 0; i < BB_ARRAY_LEN(tool_paths); i++) {
		int fd = open(tool_paths[i].path, O_PATH | O_CLOEXEC);

		if (fd >= 0)
			paths[own++] = (struct landlock_path){ fd, tool_paths[i].access };
	}
	n = own;
	for (size_t i = 0; i < count; i++)
		paths[n++] = (struct landlock_path){ trees[i].fd, trees[i].may_write
									  ? LANDLOCK_READ_WRITE
									  : LANDLOCK_READ_TREE };
	r = landlock_restrict(paths, n, false);
	for (size_t i = 0; i < own; i++)
		(void)close(paths[i].fd);
	if (r == -ENOSYS || r == -EOPNOTSUPP)
		return bb_err_set(
			err, BB_E_MISSING,
			"sandbox: a confined git needs Landlock, which this kernel lacks or "
			"has switched off; use Linux 5.13 or later with 'landlock' in lsm=");
	return r < 0 ? bb_err_set(err, r, "sandbox: Landlock: %s", bb_err_name(r)) : 0;
}

int sandbox_lock_tool(const struct sandbox_tree *trees, size_t count, struct bb_err *err)
{
	int r;

	if (count > SANDBOX_TREES_MAX)
		return bb_err_set(err, -EINVAL, "sandbox: %zu trees are too many", count);
	r = lock_privileges(err);
	if (r == 0)
		r = lock_tool_files(trees, count, err);
	if (r < 0)
		return r;
	r = filter_load(&filters_jail_refusals[JAIL_FILTER_TOOL]);
	if (r == 0)
		r = filter_load(&filters_jail_calls[JAIL_FILTER_TOOL]);
	return r < 0 ? bb_err_set(err, r, "sandbox: seccomp: %s", bb_err_name(r)) : 0;
}
