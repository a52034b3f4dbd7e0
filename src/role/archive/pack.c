/* Host tree -> tar. The tree is the operator's, but may change while it is read. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limit.h"
#include "base/text.h"
#include "role/archive/tree.h"

struct packing {
	struct archive *out;
	struct archive_entry *entry;
	struct bb_err *err;
	unsigned depth;
	bool is_flat; /* a directory is its own entry only */
};

static int pack_entry(struct packing *p, int dir_fd, const char *name, const char *as);

static int fail_write(struct packing *p)
{
	return bb_err_set(p->err, -EIO, "cannot write the archive: %s",
			  archive_error_string(p->out));
}

static void fill(struct packing *p, const char *as, const struct stat *st)
{
	archive_entry_clear(p->entry);
	archive_entry_set_pathname(p->entry, as);
	archive_entry_set_mode(p->entry, (st->st_mode & S_IFMT) | (st->st_mode & 0777));
	archive_entry_set_size(p->entry, S_ISREG(st->st_mode) ? st->st_size : 0);
	archive_entry_set_mtime(p->entry, st->st_mtim.tv_sec, 0);
	archive_entry_set_uid(p->entry, 1000);
	archive_entry_set_gid(p->entry, 1000);
}

static int put_header(struct packing *p)
{
	return archive_write_header(p->out, p->entry) < ARCHIVE_WARN ? fail_write(p) : 0;
}

/* A file that shrinks meanwhile is filled up with zeros by libarchive; what it grew is not read. */
static int pack_file(struct packing *p, int fd, const char *as, const struct stat *st)
{
	static uint8_t bytes[65536];
	uint64_t left = (uint64_t)st->st_size;
	int r;

	fill(p, as, st);
	r = put_header(p);
	while (r == 0 && left > 0) {
		ssize_t n = read(fd, bytes, left < sizeof(bytes) ? (size_t)left : sizeof(bytes));

		if (n < 0)
			return bb_err_errno(p->err, "cannot read '%s'", as);
		if (n == 0)
			break;
		if (archive_write_data(p->out, bytes, (size_t)n) < 0)
			return fail_write(p);
		left -= (uint64_t)n;
	}
	return r;
}

static int pack_link(struct packing *p, int dir_fd, const char *name, const char *as,
		     const struct stat *st)
{
	char text[4096];
	ssize_t n = readlinkat(dir_fd, name, text, sizeof(text) - 1);

	if (n < 0)
		return bb_err_errno(p->err, "cannot read the link '%s'", as);
	text[n] = '\0';
	fill(p, as, st);
	archive_entry_set_symlink(p->entry, text);
	return put_header(p);
}

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

/* The content of an open directory, each under as. fd is taken. */
static int pack_content(struct packing *p, int fd, const char *as)
{
	__attribute__((cleanup(close_dir))) DIR *dir = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (dir == NULL) {
		r = bb_err_errno(p->err, "cannot read '%s'", as);
		(void)close(fd);
		return r;
	}
	if (p->depth++ > LIMIT_ARCHIVE_DEPTH)
		return bb_err_set(p->err, BB_E_LIMIT, "'%s' is nested deeper than %d directories",
				  as, LIMIT_ARCHIVE_DEPTH);
	while (r == 0 && (errno = 0, e = readdir(dir)) != NULL) {
		BB_AUTO_FREE char *below = NULL;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		below = strcmp(as, ".") == 0 ? strdup(e->d_name)
					     : bb_text_printf("%s/%s", as, e->d_name);
		if (below == NULL)
			return bb_err_set(p->err, -ENOMEM, "out of memory");
		r = pack_entry(p, dirfd(dir), e->d_name, below);
	}
	p->depth--;
	return r == 0 && errno != 0 ? bb_err_errno(p->err, "cannot read '%s'", as) : r;
}

static int pack_entry(struct packing *p, int dir_fd, const char *name, const char *as)
{
	BB_AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : bb_err_errno(p->err, "cannot read '%s'", as);
	if (S_ISLNK(st.st_mode))
		return pack_link(p, dir_fd, name, as, &st);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		tree_note(as, "it is neither a file, a directory nor a link");
		return 0;
	}
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : bb_err_errno(p->err, "cannot read '%s'", as);
	if (fstat(fd, &st) < 0)
		return bb_err_errno(p->err, "cannot read '%s'", as);
	if (S_ISREG(st.st_mode))
		return pack_file(p, fd, as, &st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (strcmp(as, ".") != 0) {
		fill(p, as, &st);
		r = put_header(p);
		if (r < 0 || p->is_flat)
			return r;
	}
	return pack_content(p, bb_take_fd(&fd), as);
}

/* One path of a list. No link is followed on the way: what is behind one is passed over. */
static int pack_listed(struct packing *p, int root, const char *path, const char *as)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	const char *slash = strrchr(path, '/');
	BB_AUTO_FREE char *parent =
		slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path));
	BB_AUTO_FREE char *full =
		strcmp(as, ".") == 0 ? strdup(path) : bb_text_printf("%s/%s", as, path);
	BB_AUTO_CLOSE int dir = -1;

	if (parent == NULL || full == NULL)
		return bb_err_set(p->err, -ENOMEM, "out of memory");
	dir = (int)syscall(SYS_openat2, root, parent, &how, sizeof(how));
	if (dir < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR
			       ? 0
			       : bb_err_errno(p->err, "cannot read '%s'", path);
	return pack_entry(p, dir, slash == NULL ? path : slash + 1, full);
}

struct list {
	int fd, root;
	const char *as;
};

static int pack_list(struct packing *p, const struct list *l)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };
	const uint8_t *end;
	int r = 0;
	ssize_t n;

	bb_buf_init(&b, 65536);
	while (r == 0) {
		struct bb_view v = bb_buf_peek(&b);

		end = v.n == 0 ? NULL : memchr(v.p, '\0', v.n);
		if (end != NULL) {
			r = pack_listed(p, l->root, (const char *)v.p, l->as);
			bb_buf_consume(&b, (size_t)(end - v.p) + 1);
			continue;
		}
		n = bb_fd_read_some(l->fd, &b, 32768);
		if (n == 0 && v.n == 0)
			return 0;
		if (n <= 0)
			return bb_err_set(p->err, -EIO, "the list of files is broken");
	}
	return r;
}

/* list NULL: name and what is below it. */
static int pack(struct packing *p, const struct list *list, int dir_fd, const char *name,
		const char *as, int out_fd)
{
	struct bb_err *err = p->err;
	int r;

	p->out = archive_write_new();
	p->entry = archive_entry_new();
	if (p->out == NULL || p->entry == NULL) {
		r = bb_err_set(err, -ENOMEM, "out of memory");
	} else if (archive_write_set_format_pax_restricted(p->out) != ARCHIVE_OK ||
		   archive_write_add_filter_none(p->out) != ARCHIVE_OK ||
		   archive_write_set_bytes_per_block(p->out, 32768) != ARCHIVE_OK ||
		   archive_write_set_bytes_in_last_block(p->out, 1) != ARCHIVE_OK ||
		   archive_write_open_fd(p->out, out_fd) != ARCHIVE_OK) {
		r = fail_write(p);
	} else {
		r = list != NULL ? pack_list(p, list) : pack_entry(p, dir_fd, name, as);
		if (r == 0 && archive_write_close(p->out) != ARCHIVE_OK)
			r = fail_write(p);
	}
	/* After a failure nothing more may reach the stream: no trailer that makes it look whole.
	 */
	if (r < 0 && p->out != NULL)
		(void)archive_write_fail(p->out);
	archive_entry_free(p->entry);
	(void)archive_write_free(p->out);
	tree_note_end();
	return r;
}

int tree_pack(int dir_fd, const char *name, const char *as, int out_fd, struct bb_err *err)
{
	struct packing p = { .err = err };

	return pack(&p, NULL, dir_fd, name, as, out_fd);
}

int tree_pack_list(int dir_fd, int list_fd, const char *as, int out_fd, struct bb_err *err)
{
	struct packing p = { .err = err, .is_flat = true };
	struct list list = { .fd = list_fd, .root = dir_fd, .as = as };

	return pack(&p, &list, dir_fd, NULL, as, out_fd);
}
