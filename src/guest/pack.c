/* Packing: openat() level by level, one descriptor a level. */
#include "guest/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define PACK_DEPTH 256
#define PACK_CHUNK 65536

struct pack {
	const struct pack_plan *plan;
	tar_write_cb *write;
	void *arg;
	struct tar_entry e;
	size_t prefix;       /* bytes of e.path before what excludes speak of */
	size_t left_out;     /* that could not be read */
	struct bb_err first; /* why, the first */
};

/* Notes what was left out and goes on. */
static int pack_leave_out(struct pack *p, int code)
{
	if (code == -ENOENT)
		return 0;
	if (p->left_out++ == 0)
		(void)bb_err_set(&p->first, code, "'%s': %s", BB_ESCAPED(bb_view_str(p->e.path)),
				 bb_err_name(code));
	return 0;
}

static void pack_fill(struct pack *p, enum tar_type type, const struct stat *st)
{
	p->e.type = type;
	p->e.mode = st->st_mode & 07777;
	p->e.size = type == TAR_FILE ? (uint64_t)st->st_size : 0;
	p->e.mtime = st->st_mtim.tv_sec;
	p->e.uid = p->plan->is_layer ? st->st_uid : 0;
	p->e.gid = p->plan->is_layer ? st->st_gid : 0;
	p->e.is_opaque = false;
	if (type != TAR_SYMLINK)
		p->e.link[0] = '\0';
}

/* The header promised a size: shorter files are filled up, longer ones cut. */
static int pack_data(struct pack *p, int fd)
{
	static uint8_t chunk[PACK_CHUNK];
	uint64_t left = p->e.size;
	bool is_short = false;

	while (left > 0) {
		size_t want = left < sizeof(chunk) ? (size_t)left : sizeof(chunk);
		ssize_t n = is_short ? 0 : read(fd, chunk, want);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			is_short = true;
			memset(chunk, 0, want);
			n = (ssize_t)want;
		}
		r = p->write(p->arg, chunk, (size_t)n);
		if (r < 0)
			return r;
		left -= (uint64_t)n;
	}
	return tar_write_pad(p->write, p->arg, p->e.size);
}

static int pack_file(struct pack *p, int dir, const char *name)
{
	/* NONBLOCK: it may have become a pipe since it was looked at. */
	BB_AUTO_CLOSE int fd =
		openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0)
		return pack_leave_out(p, -errno);
	if (fstat(fd, &st) < 0)
		return pack_leave_out(p, -errno);
	if (!S_ISREG(st.st_mode))
		return 0;
	pack_fill(p, TAR_FILE, &st);
	r = tar_write_header(p->write, p->arg, &p->e);
	return r < 0 ? r : pack_data(p, fd);
}

static int pack_symlink(struct pack *p, int dir, const char *name, const struct stat *st)
{
	ssize_t n = readlinkat(dir, name, p->e.link, LIMIT_TAR_NAME);

	if (n < 0)
		return pack_leave_out(p, -errno);
	p->e.link[n] = '\0';
	pack_fill(p, TAR_SYMLINK, st);
	return tar_write_header(p->write, p->arg, &p->e);
}

static bool pack_is_wanted(const struct pack *p, const char *path)
{
	const char *const *o = p->plan->only;

	/* Entries below the wanted ones were wanted with them. */
	if (o == NULL || strchr(path, '/') != NULL)
		return true;
	while (*o != NULL && strcmp(*o, path) != 0)
		o++;
	return *o != NULL;
}

static bool pack_is_excluded(const struct pack *p)
{
	const char *path = p->e.path + p->prefix;

	if (!pack_is_wanted(p, path))
		return true;

	for (const char *const *e = p->plan->excludes; e != NULL && *e != NULL; e++)
		if (strcmp(*e, path) == 0)
			return true;
	return false;
}

static void pack_close(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* was only read */
}

static int pack_entry(struct pack *p, int dir, const char *name, int depth);

/* The entries of a directory whose own header is written. Takes fd. */
static int pack_children(struct pack *p, int fd, int depth)
{
	__attribute__((cleanup(pack_close))) DIR *dir = fdopendir(fd);
	size_t here = strlen(p->e.path);
	struct dirent *d;

	if (dir == NULL) {
		int r = pack_leave_out(p, -errno);

		(void)close(fd); /* was only read */
		return r;
	}
	while ((d = readdir(dir)) != NULL) {
		size_t n = strlen(d->d_name);
		int r;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (here + 1 + n > LIMIT_TAR_NAME) {
			(void)pack_leave_out(p, -ENAMETOOLONG);
			continue;
		}
		p->e.path[here] = '/';
		memcpy(p->e.path + here + 1, d->d_name, n + 1);
		r = pack_is_excluded(p) ? 0 : pack_entry(p, dirfd(dir), d->d_name, depth);
		p->e.path[here] = '\0';
		if (r < 0)
			return r;
	}
	return 0;
}

/* Did it replace a directory of the image, or join it? */
static bool pack_is_opaque(int fd)
{
	char value[2];

	return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) == 1 &&
	       value[0] == 'y';
}

static int pack_directory(struct pack *p, int dir, const char *name, const struct stat *st,
			  int depth)
{
	BB_AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int why = fd < 0 ? -errno : 0, r;

	pack_fill(p, TAR_DIRECTORY, st);
	if (fd >= 0 && p->plan->is_layer)
		p->e.is_opaque = pack_is_opaque(fd);
	r = tar_write_header(p->write, p->arg, &p->e);
	if (r < 0)
		return r;
	if (fd < 0)
		return pack_leave_out(p, why);
	if (depth == 0)
		return pack_leave_out(p, -ELOOP);
	return pack_children(p, bb_take_fd(&fd), depth - 1);
}

static bool pack_is_removed(const struct pack *p, const struct stat *st)
{
	return p->plan->is_layer && S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int pack_entry(struct pack *p, int dir, const char *name, int depth)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return pack_leave_out(p, -errno);
	if (S_ISREG(st.st_mode))
		return pack_file(p, dir, name);
	if (S_ISLNK(st.st_mode))
		return pack_symlink(p, dir, name, &st);
	if (S_ISDIR(st.st_mode))
		return pack_directory(p, dir, name, &st, depth);
	if (pack_is_removed(p, &st)) {
		pack_fill(p, TAR_REMOVED, &st);
		return tar_write_header(p->write, p->arg, &p->e);
	}
	return 0; /* sockets, pipes, devices mean nothing elsewhere */
}

/* Splits "/a/b/" into the directory "/a" and the name "b"; "/" into "/" and ".". */
static int pack_split(const char *path, char **ret_dir, char **ret_name)
{
	size_t n = strlen(path);
	const char *slash;

	while (n > 1 && path[n - 1] == '/')
		n--;
	slash = memrchr(path, '/', n);
	if (slash == NULL)
		return -EINVAL;
	if (n == 1) {
		*ret_dir = strdup("/");
		*ret_name = strdup(".");
	} else {
		*ret_dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
		*ret_name = strndup(slash + 1, n - (size_t)(slash - path) - 1);
	}
	return *ret_dir == NULL || *ret_name == NULL ? -ENOMEM : 0;
}

static int pack_root(struct pack *p, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = NULL;
	BB_AUTO_FREE char *name = NULL;
	BB_AUTO_CLOSE int fd = -1;
	struct stat st;
	int r = pack_split(p->plan->root_fd > 0 ? "/" : p->plan->path, &dir, &name);

	if (r < 0)
		return bb_err_set(err, r, "path '%s' is not absolute",
				  BB_ESCAPED(bb_view_str(p->plan->path)));
	fd = p->plan->root_fd > 0 ? fcntl(p->plan->root_fd, F_DUPFD_CLOEXEC, 0)
				  : open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return bb_err_errno(err, "'%s'", BB_ESCAPED(bb_view_str(p->plan->path)));
	if (p->plan->contents && !S_ISDIR(st.st_mode))
		return bb_err_set(err, -ENOTDIR, "'%s' is not a directory",
				  BB_ESCAPED(bb_view_str(p->plan->path)));
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		return bb_err_set(err, -EINVAL, "'%s' is not a file, link or directory",
				  BB_ESCAPED(bb_view_str(p->plan->path)));
	(void)snprintf(p->e.path, sizeof(p->e.path), "%s", p->plan->contents ? "." : name);
	p->prefix = strlen(p->e.path) + 1;
	r = pack_entry(p, fd, name, PACK_DEPTH);
	if (r == 0)
		r = tar_write_end(p->write, p->arg);
	return r < 0 ? bb_err_set(err, r, "archive: %s", bb_err_name(r)) : 0;
}

int pack(const struct pack_plan *plan, tar_write_cb *write, void *arg, struct bb_err *err)
{
	static struct pack p; /* large, and one runs in a process */
	int r;

	p = (struct pack){ .plan = plan, .write = write, .arg = arg };
	r = pack_root(&p, err);
	if (r < 0 || p.left_out == 0)
		return r;
	return bb_err_set(err, p.first.code, "%zu could not be read, the first %s", p.left_out,
			  p.first.msg);
}
