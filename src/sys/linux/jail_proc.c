/*
 * A jail's /proc: a fresh one, with what tells about the whole host, or acts on it, covered.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/linux/jail_impl.h"

/* Of /proc, what tells about or acts on the whole host. Missing ones are skipped. */
struct proc_cover {
	const char *path;
	bool is_hidden; /* nothing to be seen; else read-only */
};
static const struct proc_cover proc_covers[] = {
	{ "sys", false },         { "irq", false },          { "bus", false },
	{ "fs", false },          { "acpi", true },          { "scsi", true },
	{ "driver", true },       { "kcore", true },         { "keys", true },
	{ "key-users", true },    { "kmsg", true },          { "sysrq-trigger", true },
	{ "timer_list", true },   { "latency_stats", true }, { "kallsyms", true },
	{ "interrupts", true },   { "sched_debug", true },   { "config.gz", true },
	{ "mtrr", true },         { "slabinfo", true },      { "vmallocinfo", true },
	{ "pagetypeinfo", true }, { "buddyinfo", true },     { "iomem", true },
	{ "ioports", true },      { "modules", true },       { "swaps", true },
	{ "partitions", true },   { "diskstats", true },
};

/* An agent's own servers may use ports below 1024: all addresses here are its own. */
static void open_low_ports(const char *proc)
{
	char path[JAIL_PATH_MAX];
	BB_AUTO_CLOSE int fd = -1;

	if (snprintf(path, sizeof(path), "%s/sys/net/ipv4/ip_unprivileged_port_start", proc) >=
	    (int)sizeof(path))
		return;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "0", 1); /* the transparent listeners say so when it is missing */
}

static int cover_proc(const char *proc, const struct proc_cover *cover, struct bb_err *err)
{
	char path[JAIL_PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", proc, cover->path) >= (int)sizeof(path))
		return bb_err_set(err, -ENAMETOOLONG, "jail path '%s' is too long", proc);
	if (lstat(path, &st) < 0)
		return 0;
	if (!cover->is_hidden)
		return jail_bind(path, path, MOUNT_ATTR_RDONLY, true, err);
	if (S_ISREG(st.st_mode))
		return jail_bind("/old/dev/null", path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC,
				 false, err);
	if (mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=2,mode=0555") < 0)
		return bb_err_errno(err, "cover of '/proc/%s'", cover->path);
	return 0;
}

/* The kernel gives a fresh proc only to whom an uncovered one is already visible; the host's is,
 * until it is detached. */
int jail_mount_proc(const struct jail_work *w, const char *at, struct bb_err *err)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount("proc", at, "proc", flags, "hidepid=2") < 0 &&
	    mount("proc", at, "proc", flags, NULL) < 0) {
		if (errno == EPERM)
			return bb_err_set(err, -EPERM,
					  "a fresh /proc is refused: part of this system's own "
					  "/proc is covered, as in a container; give the container "
					  "an uncovered /proc or run bot-bottle outside of it");
		return bb_err_errno(err, "proc");
	}
	if (w->plan->needs_loopback)
		open_low_ports(at);
	for (size_t i = 0; i < BB_ARRAY_LEN(proc_covers); i++) {
		int r = cover_proc(at, &proc_covers[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}
