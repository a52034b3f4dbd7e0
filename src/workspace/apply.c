/*
 * See apply.h. In APPLY_DIR: "N.new" the new content of change N, "N.old" what it replaces,
 * "journal" the list of changes ("N had|new PATH\0"), there from before the first exchange until
 * after the last. What recovery has to do follows from which of the files are there:
 *
 *   N.old is there                    -> it goes back to PATH
 *   no N.old, no N.new, "new"         -> PATH was put there by us: it goes
 *   anything else                     -> N was not begun
 *
 * A deletion has no N.new and is "had": without N.old it was not begun.
 */
#include "workspace/apply.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/relative.h"
#include "base/text.h"

#define JOURNAL_CAP (64u << 20)
#define MODE_LINK   0120000u
#define MODE_EXEC   0100755u
#define NAME_SIZE   32
/* So many files are synced one by one; more by syncing all of the file system, which waits for
 * everybody's writes. */
#define SYNC_EACH_MAX 100

struct apply {
	const struct review *review;
	workspace_wait_fn *wait;
	struct bb_err *err;
	int root, tree, stage;
	mode_t mask;
	bool is_many; /* synced by one call at the end, not one by one */
};

static void apply_done(struct apply *a)
{
	bb_cleanup_fd(&a->root);
	bb_cleanup_fd(&a->tree);
	bb_cleanup_fd(&a->stage);
}

static int open_beneath(int root, const char *path, int flags)
{
	struct open_how how = { .flags = (__u64)(flags | O_CLOEXEC),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* The directory of path below root; made where missing when `make`. -1 with errno. */
static int open_parent(int root, const char *path, bool make)
{
	BB_AUTO_FREE char *parent = strdup(path);
	char *name = parent == NULL ? NULL : strrchr(parent, '/');

	if (parent == NULL)
		return -1; /* errno is ENOMEM */
	if (name == NULL)
		return fcntl(root, F_DUPFD_CLOEXEC, 3);
	*name = '\0';
	for (char *slash = strchr(parent, '/'); make; slash = strchr(slash + 1, '/')) {
		BB_AUTO_CLOSE int at = -1;

		if (slash != NULL)
			*slash = '\0';
		name = strrchr(parent, '/');
		if (name != NULL)
			*name = '\0';
		at = name == NULL ? fcntl(root, F_DUPFD_CLOEXEC, 3)
				  : open_beneath(root, parent, O_PATH | O_DIRECTORY);
		if (name != NULL)
			*name = '/';
		if (at < 0 ||
		    (mkdirat(at, name == NULL ? parent : name + 1, 0777) < 0 && errno != EEXIST))
			return -1;
		if (slash == NULL)
			break;
		*slash = '/';
	}
	return open_beneath(root, parent, O_RDONLY | O_DIRECTORY);
}

static void stage_name(char name[NAME_SIZE], size_t i, const char *what)
{
	(void)snprintf(name, NAME_SIZE, "%zu.%s", i, what);
}

static bool is_directory(int at, const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int fail(struct apply *a, const struct review_change *c)
{
	return bb_err_errno(a->err, "'%s'", BB_ESCAPED(bb_view_str(c->path)));
}

/* --- first: new content, beside ----------------------------------------------------------------
 */

/* An existing file keeps who may read and write it; a new one gets what the umask leaves. */
static mode_t mode_for(struct apply *a, const struct review_change *c)
{
	BB_AUTO_CLOSE int fd = open_beneath(a->root, c->path, O_PATH | O_NOFOLLOW);
	mode_t mode = 0666 & ~a->mask;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		mode = st.st_mode & 0666;
	return c->new_mode == MODE_EXEC ? mode | ((mode & 0444) >> 2) : mode;
}

static int copy_file(struct apply *a, const struct review_change *c, const char *name)
{
	BB_AUTO_CLOSE int from = open_beneath(a->tree, c->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	BB_AUTO_CLOSE int to = -1;
	static uint8_t bytes[65536];
	struct stat st;
	ssize_t n;

	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return fail(a, c);
	to = openat(a->stage, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return fail(a, c);
	while ((n = read(from, bytes, sizeof(bytes))) > 0) {
		int r = bb_fd_write_all(to, bytes, (size_t)n);

		if (r == 0)
			r = a->wait(-1, 0, 0, a->err);
		else
			r = bb_err_set(a->err, r, "'%s': %s", BB_ESCAPED(bb_view_str(c->path)),
				       bb_err_name(r));
		if (r < 0)
			return r;
	}
	if (n < 0 || fchmod(to, mode_for(a, c)) < 0 || (!a->is_many && fdatasync(to) < 0))
		return fail(a, c);
	return 0;
}

static int copy_link(struct apply *a, const struct review_change *c, const char *name)
{
	BB_AUTO_CLOSE int dir = open_parent(a->tree, c->path, false);
	char text[PATH_MAX];
	ssize_t n = dir < 0 ? -1 : readlinkat(dir, last_name(c->path), text, sizeof(text) - 1);

	if (n < 0)
		return fail(a, c);
	text[n] = '\0';
	if (!bb_relative_link_stays(c->path, text))
		return bb_err_set(a->err, BB_E_REFUSED,
				  "'%s' is refused: it is a link out of the tree",
				  BB_ESCAPED(bb_view_str(c->path)));
	return symlinkat(text, a->stage, name) < 0 ? fail(a, c) : 0;
}

static int write_beside(struct apply *a)
{
	BB_AUTO_BUF struct bb_buf journal = { 0 };
	BB_AUTO_CLOSE int fd = -1;
	int r = 0;

	bb_buf_init(&journal, JOURNAL_CAP);
	for (size_t i = 0; r == 0 && i < a->review->count; i++) {
		const struct review_change *c = &a->review->changes[i];
		BB_AUTO_CLOSE int old = -1;
		char name[NAME_SIZE];
		struct stat st;

		if (!c->is_taken)
			continue;
		stage_name(name, i, "new");
		if (c->new_mode == MODE_LINK)
			r = copy_link(a, c, name);
		else if (c->new_mode != 0)
			r = copy_file(a, c, name);
		old = open_beneath(a->root, c->path, O_PATH | O_NOFOLLOW);
		/* A directory is empty by then, or an error. */
		if (r == 0)
			r = bb_buf_printf(&journal, "%zu %s ", i,
					  old >= 0 && fstat(old, &st) == 0 && !S_ISDIR(st.st_mode)
						  ? "had"
						  : "new");
		if (r == 0)
			r = bb_buf_append(&journal, c->path, strlen(c->path) + 1);
	}
	if (r < 0)
		return r;
	fd = openat(a->stage, "journal.part", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : bb_fd_write_all(fd, bb_buf_peek(&journal).p, bb_buf_size(&journal));
	if (r < 0 || (a->is_many ? syncfs(fd) : fdatasync(fd)) < 0 ||
	    renameat(a->stage, "journal.part", a->stage, "journal") < 0 || fsync(a->stage) < 0)
		return bb_err_set(a->err, r < 0 ? r : -errno, "cannot write below '%s': %s",
				  APPLY_DIR, bb_err_name(r < 0 ? r : -errno));
	return 0;
}

/* --- then: names -------------------------------------------------------------------------------
 */

/* Deletions first, deepest first: a file may become a directory, and the other way round. */
static int put(struct apply *a, size_t i)
{
	const struct review_change *c = &a->review->changes[i];
	BB_AUTO_CLOSE int dir = open_parent(a->root, c->path, c->new_mode != 0);
	char old[NAME_SIZE], new[NAME_SIZE];

	if (dir < 0)
		return c->new_mode == 0 && errno == ENOENT ? 0 : fail(a, c);
	if (is_directory(dir, last_name(c->path))) {
		errno = EISDIR;
		return fail(a, c);
	}
	stage_name(old, i, "old");
	stage_name(new, i, "new");
	if (renameat(dir, last_name(c->path), a->stage, old) < 0 && errno != ENOENT)
		return fail(a, c);
	if (c->new_mode == 0)
		return 0;
	if (renameat2(a->stage, new, dir, last_name(c->path), RENAME_NOREPLACE) < 0)
		return fail(a, c);
	return 0;
}

/* Directories that a deletion left empty, upwards. */
static void remove_empty(struct apply *a, const char *path)
{
	BB_AUTO_FREE char *at = strdup(path);
	char *slash;

	while (at != NULL && (slash = strrchr(at, '/')) != NULL) {
		BB_AUTO_CLOSE int dir = -1;

		*slash = '\0';
		dir = open_parent(a->root, at, false);
		if (dir < 0 || unlinkat(dir, last_name(at), AT_REMOVEDIR) < 0)
			return;
	}
}

static int exchange(struct apply *a)
{
	int r = 0;

	for (size_t i = a->review->count; r == 0 && i > 0; i--) {
		const struct review_change *c = &a->review->changes[i - 1];

		if (!c->is_taken || c->new_mode != 0)
			continue;
		r = put(a, i - 1);
		if (r == 0)
			remove_empty(a, c->path);
	}
	for (size_t i = 0; r == 0 && i < a->review->count; i++)
		if (a->review->changes[i].is_taken && a->review->changes[i].new_mode != 0)
			r = put(a, i);
	return r;
}

/* --- undoing -----------------------------------------------------------------------------------
 */

static bool is_staged(int stage, size_t i, const char *what)
{
	char name[NAME_SIZE];
	struct stat st;

	stage_name(name, i, what);
	return fstatat(stage, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* "N had PATH" or "N new PATH". */
static bool read_line(const char *line, size_t *ret_index, bool *ret_had, const char **ret_path)
{
	char *end;

	*ret_index = strtoul(line, &end, 10);
	*ret_had = strncmp(end, " had ", 5) == 0;
	if (!*ret_had && strncmp(end, " new ", 5) != 0)
		return false;
	*ret_path = end + 5;
	return bb_relative_is_plain(*ret_path);
}

static int undo_one(int root, int stage, size_t i, bool had, const char *path)
{
	bool was_moved = is_staged(stage, i, "old");
	BB_AUTO_CLOSE int dir = -1;
	char old[NAME_SIZE];

	if (!was_moved && (had || is_staged(stage, i, "new")))
		return 0;
	stage_name(old, i, "old");
	dir = open_parent(root, path, was_moved);
	if (was_moved)
		return dir < 0 ? -1 : renameat(stage, old, dir, last_name(path));
	return dir < 0 || unlinkat(dir, last_name(path), 0) == 0 || errno == ENOENT ? 0 : -1;
}

/* Files that came go first, then files that went come back: a directory may stand in for a file. */
static int undo(int root, int stage, bool *ret_had_journal, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = openat(stage, "journal", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	BB_AUTO_BUF struct bb_buf text = { 0 };
	const char *line, *path;
	size_t i;
	bool had;

	*ret_had_journal = fd >= 0;
	bb_buf_init(&text, JOURNAL_CAP);
	if (fd >= 0 && bb_fd_read_to_end(fd, &text) < 0)
		return bb_err_errno(err, "cannot read the journal");
	for (int pass = 0; pass < 2; pass++) {
		struct bb_view v = bb_buf_peek(&text);

		while (git_next(&v, &line)) {
			if (!read_line(line, &i, &had, &path))
				return bb_err_set(err, BB_E_PART, "the journal is not understood");
			if (had == (pass == 1) && undo_one(root, stage, i, had, path) < 0)
				return bb_err_errno(err, "'%s'", BB_ESCAPED(bb_view_str(path)));
		}
	}
	return 0;
}

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

/* The journal first: without it the rest means nothing. */
static void clear_stage(int root, int stage)
{
	__attribute__((cleanup(close_dir))) DIR *dir =
		fdopendir(openat(stage, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	(void)unlinkat(stage, "journal", 0);
	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(stage, e->d_name, 0);
	(void)unlinkat(root, APPLY_DIR, AT_REMOVEDIR);
}

static int open_root(const char *dir, struct bb_err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? bb_err_errno(err, "cannot open '%s'", dir) : fd;
}

int apply_recover(const char *dir, struct bb_err *err)
{
	BB_AUTO_CLOSE int root = open_root(dir, err), stage = -1;
	bool had_journal = false;
	struct stat st;
	int r;

	if (root < 0)
		return root;
	stage = openat(root, APPLY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (stage < 0 && errno == ENOENT)
		return 0;
	if (stage < 0 || fstat(stage, &st) < 0 || st.st_uid != geteuid() ||
	    (st.st_mode & 0077) != 0)
		return bb_err_set(
			err, BB_E_USAGE,
			"'%s/" APPLY_DIR "' is in the way and is not bot-bottle's; remove it", dir);
	r = undo(root, stage, &had_journal, err);
	if (r < 0)
		return bb_err_wrap(
			err, "an earlier pull into '%s' was interrupted and cannot be undone", dir);
	clear_stage(root, stage);
	return had_journal ? 1 : 0;
}

static int open_all(struct apply *a, const char *dir, const char *tree)
{
	a->root = open_root(dir, a->err);
	a->tree = a->root < 0 ? -1 : open_root(tree, a->err);
	if (a->root < 0 || a->tree < 0)
		return a->err->code;
	if (mkdirat(a->root, APPLY_DIR, 0700) < 0)
		return bb_err_errno(a->err, "cannot write in '%s'", dir);
	a->stage = openat(a->root, APPLY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return a->stage < 0 ? bb_err_errno(a->err, "cannot write in '%s'", dir) : 0;
}

int apply_changes(const char *dir, const char *tree, const struct review *r,
		  workspace_wait_fn *wait, size_t *ret_count, struct bb_err *err)
{
	__attribute__((cleanup(apply_done))) struct apply a = {
		.review = r, .wait = wait, .err = err, .root = -1, .tree = -1, .stage = -1
	};
	bool had_journal;
	int failed;

	a.mask = umask(077);
	(void)umask(a.mask);
	a.is_many = r->count > SYNC_EACH_MAX;
	failed = open_all(&a, dir, tree);
	if (failed == 0)
		failed = write_beside(&a);
	/* From here on no signal is looked at: names change in an instant, or all back. */
	if (failed == 0) {
		failed = exchange(&a);
		if (failed < 0) {
			struct bb_err second = { 0 };

			if (undo(a.root, a.stage, &had_journal, &second) < 0)
				return bb_err_wrap(
					err,
					"half of the changes are in '%s', and undoing them failed "
					"(%s); the next pull tries again",
					dir, second.msg);
		}
	}
	if (a.stage >= 0)
		clear_stage(a.root, a.stage);
	if (failed < 0)
		return bb_err_wrap(err, "nothing was changed");
	*ret_count = 0;
	for (size_t i = 0; i < r->count; i++)
		*ret_count += r->changes[i].is_taken;
	return 0;
}
