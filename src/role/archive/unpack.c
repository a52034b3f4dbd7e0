/*
 * Tar from a guest -> directory. SECURITY: every name in here is hostile. What holds is said in
 * tree.h; the sandbox (Landlock to the directory) stands behind it, not instead of it.
 */
#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/relative.h"
#include "base/text.h"
#include "role/archive/tree.h"

struct unpacking {
	struct archive *in;
	int in_fd, root;
	const char *only, *as;
	bool for_review;
	struct bb_err *err;
	uint64_t bytes, entries, placed;
	size_t zeros; /* zero bytes at the end of what was read so far */
	uint8_t buffer[65536];
};

static int refuse(struct unpacking *u, const char *path, const char *why)
{
	return bb_err_set(u->err, BB_E_REFUSED, "the archive is refused at '%s': %s",
			  BB_ESCAPED(bb_view_str(path)), why);
}

/* libarchive's source, which also counts the zeros that an archive has to end with. */
static la_ssize_t read_input(struct archive *a, void *data, const void **ret)
{
	struct unpacking *u = data;
	ssize_t n = read(u->in_fd, u->buffer, sizeof(u->buffer));
	size_t tail = 0;

	if (n < 0) {
		archive_set_error(a, errno, "cannot read the stream");
		return -1;
	}
	while (tail < (size_t)n && u->buffer[(size_t)n - 1 - tail] == 0)
		tail++;
	u->zeros = tail == (size_t)n ? u->zeros + tail : tail;
	*ret = u->buffer;
	return n;
}

/* The directory of path below the root, made where missing. Never follows a link. Returns a new
 * descriptor; *ret_name is the last component. */
static int open_parent(struct unpacking *u, const char *path, const char **ret_name)
{
	BB_AUTO_CLOSE int dir = fcntl(u->root, F_DUPFD_CLOEXEC, 3);
	const char *slash;

	while (dir >= 0 && (slash = strchr(path, '/')) != NULL) {
		BB_AUTO_FREE char *name = strndup(path, (size_t)(slash - path));
		int next;

		if (name == NULL)
			return bb_err_set(u->err, -ENOMEM, "out of memory");
		if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
			return bb_err_errno(u->err, "cannot make the directory '%s'",
					    BB_ESCAPED(bb_view_str(name)));
		next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && (errno == ELOOP || errno == ENOTDIR))
			return refuse(u, path,
				      "a directory of its path is a link or a file in the "
				      "destination");
		if (next < 0)
			return bb_err_errno(u->err, "cannot open the directory '%s'",
					    BB_ESCAPED(bb_view_str(name)));
		(void)close(dir);
		dir = next;
		path = slash + 1;
	}
	if (dir < 0)
		return bb_err_errno(u->err, "cannot open the destination");
	*ret_name = path;
	return bb_take_fd(&dir);
}

/* What is at name makes room: a file or link goes, a directory is in the way. */
static int make_room(struct unpacking *u, int dir, const char *name, const char *path)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR || errno == EPERM)
		return refuse(u, path, "there is a directory of that name in the destination");
	return bb_err_errno(u->err, "cannot replace '%s'", BB_ESCAPED(bb_view_str(path)));
}

static int write_all(struct unpacking *u, int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return bb_err_errno(u->err, "cannot write");
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int copy_content(struct unpacking *u, int fd, const char *path)
{
	static uint8_t bytes[65536];
	la_ssize_t n;
	int r;

	while ((n = archive_read_data(u->in, bytes, sizeof(bytes))) > 0) {
		u->bytes += (uint64_t)n;
		if (u->bytes > LIMIT_ARCHIVE_BYTES)
			return refuse(u, path, "the files are larger than 64 GiB altogether");
		r = write_all(u, fd, bytes, (size_t)n);
		if (r < 0)
			return bb_err_wrap(u->err, "'%s'", BB_ESCAPED(bb_view_str(path)));
	}
	if (n < 0)
		return refuse(u, path, "its content is cut off or broken");
	return 0;
}

static int place_file(struct unpacking *u, struct archive_entry *e, int dir, const char *name,
		      const char *path)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   { .tv_sec = archive_entry_mtime(e) } };
	BB_AUTO_CLOSE int fd = -1;
	int r = make_room(u, dir, name, path);

	if (r < 0)
		return r;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return bb_err_errno(u->err, "cannot create '%s'", BB_ESCAPED(bb_view_str(path)));
	r = copy_content(u, fd, path);
	if (r < 0) {
		(void)unlinkat(dir, name, 0); /* half a file is worse than none */
		return r;
	}
	if (fchmod(fd, archive_entry_perm(e) & 0755) < 0)
		return bb_err_errno(u->err, "cannot set the mode of '%s'",
				    BB_ESCAPED(bb_view_str(path)));
	(void)futimens(fd, times); /* an odd time is no reason to lose the file */
	return 0;
}

/* The owner can always go in, so that what follows can be written and the operator can remove it.
 */
static int place_directory(struct unpacking *u, struct archive_entry *e, int dir, const char *name,
			   const char *path)
{
	BB_AUTO_CLOSE int fd = -1;

	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return bb_err_errno(u->err, "cannot make the directory '%s'",
				    BB_ESCAPED(bb_view_str(path)));
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return refuse(u, path, "there is a link or a file of that name in the destination");
	if (fchmod(fd, (archive_entry_perm(e) & 0755) | 0700) < 0)
		return bb_err_errno(u->err, "cannot set the mode of '%s'",
				    BB_ESCAPED(bb_view_str(path)));
	return 0;
}

static int place_symlink(struct unpacking *u, struct archive_entry *e, int dir, const char *name,
			 const char *path, const char *inner)
{
	const char *text = archive_entry_symlink(e);
	int r;

	if (text == NULL || (!u->for_review && !bb_relative_link_stays(inner, text))) {
		tree_note(path, "a link that could lead out of the tree");
		return 0;
	}
	r = make_room(u, dir, name, path);
	if (r == 0 && symlinkat(text, dir, name) < 0)
		r = bb_err_errno(u->err, "cannot make the link '%s'",
				 BB_ESCAPED(bb_view_str(path)));
	return r;
}

/* A hard link becomes a copy: linking would tie two paths of the destination together, and one of
 * them may be a file of the operator's. */
static int place_hardlink(struct unpacking *u, const char *target, int dir, const char *name,
			  const char *path)
{
	static uint8_t bytes[65536];
	BB_AUTO_CLOSE int from_dir = -1, from = -1, to = -1;
	const char *from_name = NULL;
	struct stat st;
	ssize_t n;
	int r;

	from_dir = open_parent(u, target, &from_name);
	if (from_dir < 0)
		return from_dir;
	assert(from_name != NULL);
	from = openat(from_dir, from_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode)) {
		tree_note(path, "a hard link to something that is not there");
		return 0;
	}
	r = strcmp(target, path) == 0 ? refuse(u, path, "a hard link to itself")
				      : make_room(u, dir, name, path);
	if (r < 0)
		return r;
	to = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return bb_err_errno(u->err, "cannot create '%s'", BB_ESCAPED(bb_view_str(path)));
	while (r == 0 && (n = read(from, bytes, sizeof(bytes))) > 0) {
		u->bytes += (uint64_t)n;
		r = u->bytes > LIMIT_ARCHIVE_BYTES
			    ? refuse(u, path, "the files are larger than 64 GiB altogether")
			    : write_all(u, to, bytes, (size_t)n);
	}
	if (r == 0)
		(void)fchmod(to, st.st_mode & 0755); /* it is ours; a failure leaves it private */
	else
		(void)unlinkat(dir, name, 0); /* as in place_file() */
	return r;
}

static int place_link(struct unpacking *u, const char *raw, int dir, const char *name,
		      const char *path)
{
	const char *why = NULL;
	BB_AUTO_FREE char *inner = tree_path(raw, &why);
	BB_AUTO_FREE char *target = NULL;
	bool is_outside = false;

	if (inner == NULL)
		return refuse(u, path, "a hard link that leads out of the tree");
	target = tree_place(inner, u->only, u->as, &is_outside);
	if (is_outside) {
		tree_note(path, "a hard link to what is not copied");
		return 0;
	}
	if (target == NULL)
		return bb_err_set(u->err, -ENOMEM, "out of memory");
	return place_hardlink(u, target, dir, name, path);
}

static int place(struct unpacking *u, struct archive_entry *e, const char *inner, const char *path)
{
	const char *hardlink = archive_entry_hardlink(e);
	BB_AUTO_CLOSE int dir = -1;
	const char *name = NULL;

	u->placed++;
	if (strcmp(path, ".") == 0) {
		if (archive_entry_filetype(e) == AE_IFDIR)
			return 0; /* the destination itself stays as it is */
		return refuse(u, path, "it is not a directory");
	}
	dir = open_parent(u, path, &name);
	if (dir < 0)
		return dir;
	assert(name != NULL);
	if (hardlink != NULL)
		return place_link(u, hardlink, dir, name, path);
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return place_file(u, e, dir, name, path);
	case AE_IFDIR:
		return place_directory(u, e, dir, name, path);
	case AE_IFLNK:
		return place_symlink(u, e, dir, name, path, inner);
	default:
		if (u->for_review)
			return refuse(u, path, "it is a device, a FIFO or a socket");
		tree_note(path, "a device, FIFO or socket");
		return 0;
	}
}

static int take_entry(struct unpacking *u, struct archive_entry *e)
{
	const char *raw = archive_entry_pathname(e);
	BB_AUTO_FREE char *inner = NULL, *path = NULL;
	const char *why = NULL;
	bool is_outside = false;

	if (++u->entries > LIMIT_ARCHIVE_ENTRIES)
		return refuse(u, "", "more than 4194304 entries");
	if (raw == NULL)
		return refuse(u, "", "an entry has no name");
	inner = tree_path(raw, &why);
	if (inner == NULL)
		return refuse(u, raw, why);
	path = tree_place(inner, u->only, u->as, &is_outside);
	if (is_outside)
		return 0;
	if (path == NULL)
		return bb_err_set(u->err, -ENOMEM, "out of memory");
	return place(u, e, inner, path);
}

/* Reads what follows the end mark, and checks that there was one. */
static int check_end(struct unpacking *u)
{
	const void *ignored;
	la_ssize_t n;

	while ((n = read_input(u->in, u, &ignored)) > 0)
		continue;
	if (n < 0 || u->zeros < 1024)
		return bb_err_set(u->err, BB_E_REFUSED,
				  "the archive is cut off, or something follows its end; what was "
				  "unpacked is not complete");
	return 0;
}

static int unpack_all(struct unpacking *u)
{
	struct archive_entry *e;
	int r = 0, got;

	if (archive_read_support_format_tar(u->in) != ARCHIVE_OK ||
	    archive_read_support_filter_none(u->in) != ARCHIVE_OK ||
	    archive_read_set_options(u->in, "!mac-ext") < ARCHIVE_WARN ||
	    archive_read_open(u->in, u, NULL, read_input, NULL) != ARCHIVE_OK)
		return bb_err_set(u->err, BB_E_REFUSED, "not an archive: %s",
				  archive_error_string(u->in));
	while (r == 0 && (got = archive_read_next_header(u->in, &e)) != ARCHIVE_EOF) {
		if (got < ARCHIVE_WARN)
			return bb_err_set(
				u->err, BB_E_REFUSED,
				"the archive is broken or cut off; what was unpacked is not "
				"complete");
		r = take_entry(u, e);
	}
	if (r == 0)
		r = check_end(u);
	if (r == 0 && u->placed == 0)
		r = bb_err_set(u->err, BB_E_USAGE, "there is no '%s' in it",
			       BB_ESCAPED(bb_view_str(u->only)));
	return r;
}

int tree_unpack(int in_fd, const char *only, const char *as, int dir_fd, bool for_review,
		struct bb_err *err)
{
	BB_AUTO_FREE struct unpacking *u = calloc(1, sizeof(*u));
	int r;

	if (u == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	u->in = archive_read_new();
	if (u->in == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	u->in_fd = in_fd;
	u->root = dir_fd;
	u->only = only;
	u->as = as;
	u->for_review = for_review;
	u->err = err;
	r = unpack_all(u);
	(void)archive_read_free(u->in);
	tree_note_end();
	return r;
}
