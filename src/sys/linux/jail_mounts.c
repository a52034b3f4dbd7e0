/*
 * The root of a jail, built from the plan's list on a file system of its own; the host's tree is
 * detached at the end and nothing of it remains that the list does not name.
 *
 *   base tmpfs       /old     the host's root while building
 *                    /files   content of JAIL_FILEs, each bound over its place
 *                    /layers  the layers of an overlay, bound so that no path needs escaping
 *                    /skel    an overlay's topmost layer: the places things are mounted on
 *                    /newroot the jail's root: an overlay, or a tmpfs
 *
 * Every mount point is made by us (on the tmpfs, or in /skel where it stands in front of whatever
 * an image has there), so no symlink of an image is followed while mounting. The mounts are made in
 * the set-up namespace; the inner namespace gets them locked.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/linux/jail_impl.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* The base holds the JAIL_FILEs, which the agent may grow: this is their limit. */
#define BASE_OPTIONS "size=16m,nr_inodes=4k,mode=0755"
#define ROOT_OPTIONS "size=1m,nr_inodes=4k,mode=0755"

#define TMPFS_BYTES_PER_INODE 8192
#define TMPFS_INODES_MIN      4096

static int set_flags(const char *path, uint64_t flags, bool is_recursive, struct bb_err *err)
{
	struct mount_attr attr = { .attr_set = flags };

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, is_recursive ? AT_RECURSIVE : 0, &attr,
		    sizeof(attr)) < 0) {
		if (errno == ENOSYS)
			return bb_err_set(err, BB_E_MISSING,
					  "this kernel has no mount_setattr: Linux 5.12 is needed");
		return bb_err_errno(err, "mount flags of '%s'", path);
	}
	return 0;
}

/* Makes each parent of path, which starts with '/', mode 0755. Mostly they are there. */
static int make_parents(const char *path, struct bb_err *err)
{
	char part[JAIL_PATH_MAX];
	size_t n = strlen(path);
	const char *last = strrchr(path, '/');

	if (n >= sizeof(part))
		return bb_err_set(err, -ENAMETOOLONG, "jail path is too long");
	if (last != NULL && last > path) {
		memcpy(part, path, (size_t)(last - path));
		part[last - path] = '\0';
		if (access(part, F_OK) == 0)
			return 0;
	}
	for (size_t i = 1; i < n; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EROFS)
			return bb_err_errno(err, "directory '%s'", part);
	}
	return 0;
}

static int make_dir(const char *path, mode_t mode, struct bb_err *err)
{
	int r = make_parents(path, err);

	if (r < 0)
		return r;
	if (mkdir(path, mode) < 0) {
		if (errno == EEXIST || errno == EROFS)
			return 0;
		return bb_err_errno(err, "directory '%s'", path);
	}
	return 0;
}

static int make_empty_file(const char *path, struct bb_err *err)
{
	int r = make_parents(path, err);
	BB_AUTO_CLOSE int fd = -1;

	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 && errno != EEXIST && errno != EROFS)
		return bb_err_errno(err, "mount point '%s'", path);
	return 0;
}

/* The host's path as seen while building. */
static int old_path(char dst[JAIL_PATH_MAX], const char *source, struct bb_err *err)
{
	if (snprintf(dst, JAIL_PATH_MAX, "/old%s", source) >= JAIL_PATH_MAX)
		return bb_err_set(err, -ENAMETOOLONG, "path '%s' is too long", source);
	return 0;
}

static bool is_dir_source(const char *source)
{
	char path[JAIL_PATH_MAX];
	struct stat st;

	return old_path(path, source, NULL) == 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int jail_bind(const char *source, const char *at, uint64_t flags, bool is_recursive,
	      struct bb_err *err)
{
	if (mount(source, at, NULL, MS_BIND | (is_recursive ? MS_REC : 0), NULL) < 0)
		return bb_err_errno(err, "bind of '%s'", source);
	return set_flags(at, flags, is_recursive, err);
}

/* The place m is mounted on, or the directory or symlink itself, below root. */
static int make_place(const struct jail_work *w, size_t i, const char *root, struct bb_err *err)
{
	const struct jail_mount *m = &w->plan->mounts[i];
	char at[JAIL_PATH_MAX];
	int r;

	if (snprintf(at, sizeof(at), "%s%s", root, m->target) >= (int)sizeof(at))
		return bb_err_set(err, -ENAMETOOLONG, "jail path '%s' is too long", m->target);
	switch (m->kind) {
	case JAIL_BIND_RO:
		if (is_dir_source(w->sources[i]))
			return make_dir(at, 0755, err);
		return make_empty_file(at, err);
	case JAIL_BIND_DEV:
	case JAIL_FILE:
		return make_empty_file(at, err);
	case JAIL_DIR:
		return make_dir(at, m->mode != 0 ? m->mode : 0755, err);
	case JAIL_SYMLINK:
		r = make_parents(at, err);
		if (r < 0)
			return r;
		if (symlink(m->source, at) < 0 && errno != EEXIST && errno != EROFS)
			return bb_err_errno(err, "symlink '%s'", m->target);
		return 0;
	case JAIL_TMPFS:
	case JAIL_OVERLAY_RO:
	case JAIL_PROC:
	case JAIL_DEVPTS:
		return make_dir(at, 0755, err);
	}
	return bb_err_set(err, -EINVAL, "jail mount of kind %d", (int)m->kind);
}

static int mount_tmpfs(const struct jail_work *w, const struct jail_mount *m, const char *at,
		       struct bb_err *err)
{
	char options[128];
	uint64_t inodes = m->size / TMPFS_BYTES_PER_INODE;

	if (m->size == 0)
		return bb_err_set(err, -EINVAL, "tmpfs '%s' has no size", m->target);
	(void)snprintf(options, sizeof(options), "size=%llu,nr_inodes=%llu,mode=%o,uid=%u,gid=%u",
		       (unsigned long long)m->size,
		       (unsigned long long)(inodes > TMPFS_INODES_MIN ? inodes : TMPFS_INODES_MIN),
		       m->mode != 0 ? m->mode : 0755, w->ids.agent_uid, w->ids.agent_gid);
	if (mount("tmpfs", at, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return bb_err_errno(err, "tmpfs on '%s'", m->target);
	return 0;
}

static int mount_file(const struct jail_work *w, size_t i, const char *at, struct bb_err *err)
{
	const struct jail_mount *m = &w->plan->mounts[i];
	BB_AUTO_CLOSE int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/files/%zu", i);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return bb_err_errno(err, "file '%s'", m->target);
	if (m->content_size > 0 &&
	    write(fd, m->content, m->content_size) != (ssize_t)m->content_size)
		return bb_err_errno(err, "file '%s'", m->target);
	if (fchown(fd, w->ids.agent_uid, w->ids.agent_gid) < 0 ||
	    fchmod(fd, m->mode != 0 ? m->mode : 0644) < 0)
		return bb_err_errno(err, "file '%s'", m->target);
	return jail_bind(path, at, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, false, err);
}

static int mount_one(const struct jail_work *w, size_t i, struct bb_err *err)
{
	const struct jail_mount *m = &w->plan->mounts[i];
	char at[JAIL_PATH_MAX], source[JAIL_PATH_MAX];
	int r = make_place(w, i, "/newroot", err);

	if (r < 0)
		return r;
	(void)snprintf(at, sizeof(at), "/newroot%s", m->target); /* length checked just now */
	switch (m->kind) {
	case JAIL_BIND_RO:
		r = old_path(source, w->sources[i], err);
		if (r < 0)
			return r;
		return jail_bind(source, at,
				 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, true,
				 err);
	case JAIL_BIND_DEV: /* a device on a read-only mount can be used, its inode not changed */
		r = old_path(source, w->sources[i], err);
		if (r < 0)
			return r;
		return jail_bind(source, at,
				 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false,
				 err);
	case JAIL_TMPFS:
		return mount_tmpfs(w, m, at, err);
	case JAIL_FILE:
		return mount_file(w, i, at, err);
	case JAIL_PROC:
		return jail_mount_proc(w, at, err);
	case JAIL_DEVPTS:
		if (mount("devpts", at, "devpts", MS_NOSUID | MS_NOEXEC,
			  "newinstance,ptmxmode=0666,mode=0620") < 0)
			return bb_err_errno(err, "devpts");
		return 0;
	case JAIL_OVERLAY_RO:
		return bb_err_set(err, -EINVAL, "an overlay can be the root only");
	case JAIL_DIR:
	case JAIL_SYMLINK:
		return 0;
	}
	return 0;
}

/* Is mount i in the plan but left out, because its optional source is missing? */
static bool is_skipped(const struct jail_work *w, size_t i)
{
	const struct jail_mount *m = &w->plan->mounts[i];

	return (m->kind == JAIL_BIND_RO || m->kind == JAIL_BIND_DEV) && w->sources[i] == NULL;
}

/* The index of the plan's root, or mount_count. */
static size_t find_root(const struct jail_plan *plan)
{
	size_t i = 0;

	while (i < plan->mount_count && strcmp(plan->mounts[i].target, "/") != 0)
		i++;
	return i;
}

/* Binds each layer of "a:b:c" and appends ":/layers/N". */
static int bind_layers(char *list, char options[JAIL_PATH_MAX], struct bb_err *err)
{
	char *rest = NULL;
	size_t n = strlen(options);
	int i = 0;

	for (char *layer = strtok_r(list, ":", &rest); layer != NULL;
	     layer = strtok_r(NULL, ":", &rest), i++) {
		char path[JAIL_PATH_MAX], at[32];
		int r = old_path(path, layer, err);

		if (r < 0)
			return r;
		(void)snprintf(at, sizeof(at), "/layers/%d", i);
		if (mkdir(at, 0755) < 0)
			return bb_err_errno(err, "layer");
		r = jail_bind(path, at, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
			      false, err);
		if (r < 0)
			return r;
		n += (size_t)snprintf(options + n, JAIL_PATH_MAX - n, ":%s", at);
		if (n >= JAIL_PATH_MAX)
			return bb_err_set(err, -E2BIG, "too many layers");
	}
	return 0;
}

static int mount_root(const struct jail_work *w, struct bb_err *err)
{
	size_t root = find_root(w->plan);
	char options[JAIL_PATH_MAX] = "lowerdir=/skel";
	BB_AUTO_FREE char *list = NULL;
	int r;

	if (root == w->plan->mount_count) {
		if (mount("tmpfs", "/newroot", "tmpfs", MS_NOSUID | MS_NODEV, ROOT_OPTIONS) < 0)
			return bb_err_errno(err, "root tmpfs");
		return 0;
	}
	if (w->plan->mounts[root].kind != JAIL_OVERLAY_RO)
		return bb_err_set(err, -EINVAL, "a root that is no overlay");
	for (size_t i = 0; i < w->plan->mount_count; i++) {
		if (i == root || is_skipped(w, i))
			continue;
		r = make_place(w, i, "/skel", err);
		if (r < 0)
			return r;
	}
	list = strdup(w->sources[root]);
	if (list == NULL)
		return bb_err_set(err, -ENOMEM, "no memory");
	r = bind_layers(list, options, err);
	if (r < 0)
		return r;
	if (mount("overlay", "/newroot", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, options) < 0)
		return bb_err_errno(err, "overlay of the image's layers");
	return 0;
}

/* The base tmpfs becomes "/", the host's root "/old". */
static int enter_base(struct bb_err *err)
{
	static const char *const dirs[] = { "old", "files", "layers", "skel", "newroot" };

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return bb_err_errno(err, "private mounts");
	/* Any directory that every host has will do: it is covered in this namespace only. */
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, BASE_OPTIONS) < 0)
		return bb_err_errno(err, "base tmpfs");
	if (chdir("/tmp") < 0)
		return bb_err_errno(err, "base tmpfs");
	for (size_t i = 0; i < BB_ARRAY_LEN(dirs); i++) {
		if (mkdir(dirs[i], 0755) < 0)
			return bb_err_errno(err, "base directory '%s'", dirs[i]);
	}
	if (syscall(SYS_pivot_root, ".", "old") < 0)
		return bb_err_errno(err, "pivot_root");
	if (chdir("/") < 0)
		return bb_err_errno(err, "base root");
	return 0;
}

/* The jail's root becomes "/"; the base, and with it the host's tree below it, is gone. One detach
 * for both: each waits until all processors have noticed. */
static int leave_base(struct bb_err *err)
{
	if (chdir("/newroot") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return bb_err_errno(err, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return bb_err_errno(err, "detaching the base and the host's root");
	return 0;
}

int jail_mounts_build(const struct jail_work *w, struct bb_err *err)
{
	int r = enter_base(err);

	if (r < 0)
		return r;
	r = mount_root(w, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < w->plan->mount_count; i++) {
		if (strcmp(w->plan->mounts[i].target, "/") == 0 || is_skipped(w, i))
			continue;
		r = mount_one(w, i, err);
		if (r < 0)
			return r;
	}
	r = set_flags("/newroot", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, false,
		      err);
	if (r < 0)
		return r;
	return leave_base(err);
}
