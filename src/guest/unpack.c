/*
 * Unpacking. Nothing is written outside the root, whatever the archive says and whatever is in the
 * way:
 *
 * - names are relative and without "..";
 * - every directory on the way is opened by itself with O_NOFOLLOW, so a symbolic link, from the
 * archive or there before, is never walked through (openat2 with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS would say the same, but missing parents are made one by one anyway, and
 * seccomp may refuse openat2);
 * - files are created with O_EXCL after what was there is unlinked, so nothing is written through;
 * - hard links lead to regular files below the root only; devices and pipes are refused by tar.c.
 *
 * Modes lose set-uid, set-gid and sticky bits. Directories get theirs at the end, deepest first,
 * because a read-only one could not be filled.
 */
#include "guest/unpack.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

#define UNPACK_DIR        (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define UNPACK_MODE       0777
#define UNPACK_DEPTH      512 /* of a tree that gives way */
#define UNPACK_LAYER_MODE 07777
#define UNPACK_CHUNK      65536
#define UNPACK_DIRS_MAX                                                          \
	65536 /* whose mode and time are set at the end; more keep what they got \
	       */

struct unpack_dir {
	char *path;
	uint32_t mode;
	int64_t mtime;
};

struct unpack {
	int root_fd;
	bool is_layer;
	struct tar_reader tar;
	struct unpack_dir *dirs;
	size_t dir_count, dir_room;
};

static int unpack_remove(int dir, const char *name, int depth);

static int unpack_error(struct bb_err *err, int code, const char *path)
{
	if (code == -EROFS)
		return bb_err_set(
			err, code,
			"'%s' is on a part of the file system that cannot be changed here; "
			"in a microvm it could",
			BB_ESCAPED(bb_view_str(path)));
	if (code == -ELOOP || code == -ENOTDIR)
		return bb_err_set(err, code, "'%s': a link or file is in the way",
				  BB_ESCAPED(bb_view_str(path)));
	return bb_err_set(err, code, "'%s': %s", BB_ESCAPED(bb_view_str(path)), bb_err_name(code));
}

/* The next part of a path that was checked; its length, 0 at the end. "." is passed over. */
static size_t unpack_part(const char **path)
{
	for (;;) {
		size_t n;

		*path += strspn(*path, "/");
		n = strcspn(*path, "/");
		if (n != 1 || **path != '.')
			return n;
		*path += n;
	}
}

/* Opens the directory that holds the last part and points *ret_name at that; missing ones are made
 * when may_make. *ret_name "" : the path is the root itself. */
static int unpack_parent(int root_fd, const char *path, bool may_make, const char **ret_name,
			 char *name_room)
{
	BB_AUTO_CLOSE int dir = openat(root_fd, ".", UNPACK_DIR);
	size_t n = unpack_part(&path);

	if (dir < 0)
		return -errno;
	for (;;) {
		const char *rest = path + n;
		size_t next = unpack_part(&rest);
		int fd;

		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name_room, path, n);
		name_room[n] = '\0';
		if (next == 0)
			break;
		fd = openat(dir, name_room, UNPACK_DIR);
		if (fd < 0 && errno == ENOENT && may_make) {
			if (mkdirat(dir, name_room, 0755) < 0 && errno != EEXIST)
				return -errno;
			fd = openat(dir, name_room, UNPACK_DIR);
		}
		if (fd < 0)
			return -errno;
		(void)close(dir); /* was only walked through */
		dir = fd;
		path = rest;
		n = next;
	}
	*ret_name = name_room;
	return bb_take_fd(&dir);
}

static void unpack_close_dir(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* was only read */
}

/* What is in a directory, level by level; its file system is not left. Takes fd. */
static int unpack_remove_content(int fd, int depth)
{
	__attribute__((cleanup(unpack_close_dir))) DIR *dir = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (dir == NULL) {
		r = -errno;
		(void)close(fd); /* was only opened */
		return r;
	}
	while (r == 0 && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = unpack_remove(dirfd(dir), e->d_name, depth);
	return r;
}

static int unpack_remove(int dir, const char *name, int depth)
{
	int fd, r;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = depth == 0 ? -1 : openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return depth == 0 ? -ELOOP : -errno;
	r = unpack_remove_content(fd, depth - 1);
	if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int unpack_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : unpack_remove_content(fd, UNPACK_DEPTH);
}

/* Whatever is there gives way, but not a directory; to a layer that, too. */
static int unpack_clear(const struct unpack *u, int dir, const char *name)
{
	if (u->is_layer)
		return unpack_remove(dir, name, UNPACK_DEPTH);
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return errno == EPERM ? -EISDIR : -errno;
	return 0;
}

/* Before the mode: giving a file away takes its set-id bits. */
static int unpack_give(const struct unpack *u, int dir, const char *name)
{
	const struct tar_entry *e = &u->tar.entry;

	if (!u->is_layer || geteuid() != 0)
		return 0;
	return fchownat(dir, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static uint32_t unpack_mode(const struct unpack *u)
{
	return u->tar.entry.mode & (u->is_layer ? UNPACK_LAYER_MODE : UNPACK_MODE);
}

static int unpack_data(struct unpack *u, int fd, struct bb_err *err)
{
	uint8_t chunk[UNPACK_CHUNK];
	int n;

	while ((n = tar_read(&u->tar, chunk, sizeof(chunk), err)) > 0) {
		int r = bb_fd_write_all(fd, chunk, (size_t)n);

		if (r < 0)
			return unpack_error(err, r, u->tar.entry.path);
	}
	return n;
}

static int unpack_file(struct unpack *u, int dir, const char *name, struct bb_err *err)
{
	const struct tar_entry *e = &u->tar.entry;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = e->mtime } };
	BB_AUTO_CLOSE int fd = -1;
	int r = unpack_clear(u, dir, name);

	if (r < 0)
		return unpack_error(err, r, e->path);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return unpack_error(err, -errno, e->path);
	r = unpack_data(u, fd, err);
	if (r < 0) {
		(void)unlinkat(dir, name, 0); /* half a file is worse than none */
		return r;
	}
	r = unpack_give(u, dir, name);
	if (r == 0 && (fchmod(fd, unpack_mode(u)) < 0 || futimens(fd, times) < 0))
		r = -errno;
	return r < 0 ? unpack_error(err, r, e->path) : 0;
}

static void unpack_remember(struct unpack *u)
{
	struct unpack_dir *d;

	if (u->dir_count == u->dir_room) {
		size_t room = u->dir_room == 0 ? 64 : u->dir_room * 2;

		if (room > UNPACK_DIRS_MAX)
			return;
		d = reallocarray(u->dirs, room, sizeof(*d));
		if (d == NULL)
			return;
		u->dirs = d;
		u->dir_room = room;
	}
	d = &u->dirs[u->dir_count];
	*d = (struct unpack_dir){ strdup(u->tar.entry.path), unpack_mode(u), u->tar.entry.mtime };
	if (d->path != NULL)
		u->dir_count++;
}

static int unpack_directory(struct unpack *u, int dir, const char *name, struct bb_err *err)
{
	const struct tar_entry *e = &u->tar.entry;
	struct stat st;
	int r = 0;

	if (name[0] == '\0') /* "./": the root exists, and its mode is not the archive's affair */
		return 0;
	if (u->is_layer && (e->is_opaque || (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
					     !S_ISDIR(st.st_mode))))
		r = unpack_clear(u, dir, name);
	if (r < 0)
		return unpack_error(err, r, e->path);
	if (mkdirat(dir, name, (e->mode & UNPACK_MODE) | 0700) < 0) {
		if (errno != EEXIST)
			return unpack_error(err, -errno, e->path);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return unpack_error(err, -errno, e->path);
		if (!S_ISDIR(st.st_mode))
			return unpack_error(err, -ENOTDIR, e->path);
	}
	r = unpack_give(u, dir, name);
	/* Where nothing can be changed, a directory that is there is what the layer says it is. */
	if (r < 0 && r != -EROFS)
		return unpack_error(err, r, e->path);
	unpack_remember(u);
	return 0;
}

static int unpack_symlink(struct unpack *u, int dir, const char *name, struct bb_err *err)
{
	const struct tar_entry *e = &u->tar.entry;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = e->mtime } };
	int r = unpack_clear(u, dir, name);

	if (r == 0 && symlinkat(e->link, dir, name) < 0)
		r = -errno;
	if (r == 0)
		r = unpack_give(u, dir, name);
	if (r == 0 && utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r < 0 ? unpack_error(err, r, e->path) : 0;
}

static int unpack_hardlink(struct unpack *u, int dir, const char *name, struct bb_err *err)
{
	const struct tar_entry *e = &u->tar.entry;
	char room[NAME_MAX + 1];
	const char *target = "";
	struct stat st;
	BB_AUTO_CLOSE int from = -1;
	int r;

	if (!tar_path_is_inside(e->link))
		return bb_err_set(err, -EPERM, "'%s' is a hard link out of the directory",
				  BB_ESCAPED(bb_view_str(e->path)));
	from = unpack_parent(u->root_fd, e->link, false, &target, room);
	if (from < 0)
		return unpack_error(err, from, e->link);
	if (fstatat(from, target, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return unpack_error(err, -errno, e->link);
	if (!S_ISREG(st.st_mode))
		return bb_err_set(err, -EPERM, "'%s' is a hard link to something not a file",
				  BB_ESCAPED(bb_view_str(e->path)));
	r = unpack_clear(u, dir, name);
	if (r == 0 && linkat(from, target, dir, name, 0) < 0)
		r = -errno;
	return r < 0 ? unpack_error(err, r, e->path) : 0;
}

static int unpack_entry(struct unpack *u, struct bb_err *err)
{
	const struct tar_entry *e = &u->tar.entry;
	char room[NAME_MAX + 1];
	const char *name = "";
	BB_AUTO_CLOSE int dir = -1;
	int r;

	if (!tar_path_is_inside(e->path))
		return bb_err_set(err, -EPERM, "'%s' leads out of the directory",
				  BB_ESCAPED(bb_view_str(e->path)));
	dir = unpack_parent(u->root_fd, e->path, true, &name, room);
	if (dir < 0)
		return unpack_error(err, dir, e->path);
	if (name[0] == '\0' && e->type != TAR_DIRECTORY)
		return unpack_error(err, -EISDIR, e->path);
	switch (e->type) {
	case TAR_FILE:
		return unpack_file(u, dir, name, err);
	case TAR_DIRECTORY:
		return unpack_directory(u, dir, name, err);
	case TAR_SYMLINK:
		return unpack_symlink(u, dir, name, err);
	case TAR_HARDLINK:
		return unpack_hardlink(u, dir, name, err);
	case TAR_REMOVED: /* the reader gives it for layers only */
		r = unpack_clear(u, dir, name);
		return r < 0 ? unpack_error(err, r, e->path) : 0;
	}
	return bb_err_set(err, -EINVAL, "archive: unknown entry");
}

/* Best effort: a directory may have been replaced meanwhile, and then it is not ours to touch. */
static void unpack_finish_dirs(struct unpack *u)
{
	for (size_t i = u->dir_count; i-- > 0;) {
		const struct unpack_dir *d = &u->dirs[i];
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
						   { .tv_sec = d->mtime } };
		char room[NAME_MAX + 1];
		const char *name = "";
		BB_AUTO_CLOSE int dir = unpack_parent(u->root_fd, d->path, false, &name, room);
		BB_AUTO_CLOSE int fd =
			dir < 0 ? -1
				: openat(dir, name,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			continue;
		(void)futimens(fd, times);
		(void)fchmod(fd, d->mode);
	}
}

static void unpack_done(struct unpack *u)
{
	for (size_t i = 0; i < u->dir_count; i++)
		free(u->dirs[i].path);
	free(u->dirs);
}

static int unpack_all(int root_fd, bool is_layer, tar_read_cb *read, void *arg, struct bb_err *err)
{
	static struct unpack u; /* large, and one runs in a process */
	int r;

	u = (struct unpack){ .root_fd = root_fd, .is_layer = is_layer };
	tar_reader_init(&u.tar, read, arg);
	u.tar.is_layer = is_layer;
	while ((r = tar_next(&u.tar, err)) > 0) {
		r = unpack_entry(&u, err);
		if (r < 0)
			break;
	}
	unpack_finish_dirs(&u);
	unpack_done(&u);
	return r;
}

int unpack(int root_fd, tar_read_cb *read, void *arg, struct bb_err *err)
{
	return unpack_all(root_fd, false, read, arg, err);
}

int unpack_layer(int root_fd, tar_read_cb *read, void *arg, struct bb_err *err)
{
	return unpack_all(root_fd, true, read, arg, err);
}
