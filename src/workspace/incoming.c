/* See incoming.h. */
#include "workspace/incoming.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limit.h"
#include "base/path.h"
#include "base/text.h"

#define REFS_CAP (8u << 20)

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

static bool is_hex(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") >= n;
}

/* --- the guest's HEAD, read as text ------------------------------------------------------------
 */

static int open_git_dir(const char *tree, struct bb_err *err)
{
	BB_AUTO_CLOSE int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = root < 0 ? -1
			  : openat(root, ".git", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP
		       ? bb_err_errno(err, "the guest's .git")
		       : fd;
}

/* A small regular file below a directory, component by component without a link. NULL: none. */
static char *read_below(int dir, const char *path)
{
	BB_AUTO_CLOSE int at = fcntl(dir, F_DUPFD_CLOEXEC, 3), fd = -1;
	BB_AUTO_BUF struct bb_buf b = { 0 };
	const char *slash;
	struct stat st;

	while (at >= 0 && (slash = strchr(path, '/')) != NULL) {
		BB_AUTO_FREE char *name = strndup(path, (size_t)(slash - path));
		int next = name == NULL ? -1
					: openat(at, name,
						 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		(void)close(at);
		at = next;
		path = slash + 1;
	}
	fd = at < 0 ? -1 : openat(at, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bb_buf_init(&b, REFS_CAP);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || bb_fd_read_to_end(fd, &b) < 0)
		return NULL;
	return bb_buf_dup_str(&b);
}

static bool take_id(const char *text, char ret[LEDGER_ID_MAX])
{
	size_t n = strspn(text, "0123456789abcdef");

	if ((n != 40 && n != 64) || (text[n] != '\n' && text[n] != ' ' && text[n] != '\0'))
		return false;
	memcpy(ret, text, n);
	ret[n] = '\0';
	return true;
}

static bool find_packed(const char *packed, const char *name, char ret[LEDGER_ID_MAX])
{
	size_t n = strlen(name);

	for (const char *line = packed; line != NULL; line = strchr(line, '\n')) {
		const char *space;

		line += *line == '\n';
		space = strchr(line, ' ');
		if (space == NULL)
			return false;
		if (strncmp(space + 1, name, n) == 0 &&
		    (space[n + 1] == '\n' || space[n + 1] == '\0'))
			return take_id(line, ret);
	}
	return false;
}

/* HEAD's commit: an id in it, or the id of the branch that it names. */
static bool read_head(int git_dir, char ret[LEDGER_ID_MAX])
{
	BB_AUTO_FREE char *head = read_below(git_dir, "HEAD");
	BB_AUTO_FREE char *ref = NULL, *packed = NULL;
	char *name;

	if (head == NULL)
		return false;
	if (strncmp(head, "ref: ", 5) != 0)
		return take_id(head, ret);
	name = head + 5;
	name[strcspn(name, "\n")] = '\0';
	if (strncmp(name, "refs/heads/", 11) != 0 || strstr(name, "..") != NULL)
		return false;
	ref = read_below(git_dir, name);
	if (ref != NULL)
		return take_id(ref, ret);
	packed = read_below(git_dir, "packed-refs");
	return packed != NULL && find_packed(packed, name, ret);
}

/* --- quarantine --------------------------------------------------------------------------------
 */

struct quarantine {
	const struct ledger *ledger;
	struct ledger own;    /* a ledger in form only: GIT_DIR of the quarantine */
	int git_dir, objects; /* the guest's .git; our objects directory */
};

static void quarantine_done(struct quarantine *q)
{
	free(q->own.dir);
	free(q->own.env[0]);
	bb_cleanup_fd(&q->git_dir);
	bb_cleanup_fd(&q->objects);
}

static int quarantine_make(struct quarantine *q, const char *staging, struct bb_err *err)
{
	const char *const format[] = { "rev-parse", "--show-object-format", NULL };
	BB_AUTO_FREE char *objects = NULL, *option = NULL, *alternates = NULL, *text = NULL;
	char name[LEDGER_ID_MAX];
	int r = ledger_ask_id(q->ledger, &(struct ledger_git){ 0 }, format, name, err);

	if (r < 0)
		return r;
	q->own.wait = q->ledger->wait;
	q->own.dir = bb_text_printf("%s/quarantine.git", staging);
	q->own.env[0] = bb_text_printf("GIT_DIR=%s/quarantine.git", staging);
	objects = bb_text_printf("%s/quarantine.git/objects", staging);
	option = bb_text_printf("--object-format=%s", name);
	alternates = bb_text_printf("%s/quarantine.git/objects/info/alternates", staging);
	text = bb_text_printf("%s/objects\n", q->ledger->dir);
	if (q->own.dir == NULL || q->own.env[0] == NULL || objects == NULL || option == NULL ||
	    alternates == NULL || text == NULL)
		return no_memory(err);
	r = bb_path_mkdirs(q->own.dir, 0700, err);
	if (r == 0)
		r = ledger_git(&q->own, &(struct ledger_git){ 0 },
			       (const char *const[]){ "init", "--quiet", "--bare",
						      "--template=", option, NULL },
			       err);
	/* What the ledger has the guest need not have sent. */
	if (r == 0)
		r = bb_path_write_atomic(alternates, text, strlen(text), 0600, err);
	q->objects = r < 0 ? -1 : open(objects, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r < 0 ? r : q->objects < 0 ? bb_err_errno(err, "'%s'", objects) : 0;
}

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

static DIR *open_list(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL && fd >= 0)
		(void)close(fd);
	return dir;
}

static bool is_file(DIR *dir, const char *name)
{
	struct stat st;

	return fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* Loose objects move: nothing else of the guest's .git does. */
static int take_loose(struct quarantine *q, int objects, struct bb_err *err)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 256; i++) {
		char name[3] = { digits[i >> 4], digits[i & 15], '\0' };
		__attribute__((cleanup(close_dir))) DIR *dir = open_list(objects, name);
		BB_AUTO_CLOSE int to = -1;
		struct dirent *e;

		if (dir == NULL)
			continue;
		if (mkdirat(q->objects, name, 0700) < 0 && errno != EEXIST)
			return bb_err_errno(err, "cannot take the guest's objects");
		to = openat(q->objects, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		while (to >= 0 && (e = readdir(dir)) != NULL) {
			size_t n = strlen(e->d_name);

			if ((n == 38 || n == 62) && is_hex(e->d_name, n) &&
			    is_file(dir, e->d_name) &&
			    renameat(dirfd(dir), e->d_name, to, e->d_name) < 0)
				return bb_err_errno(err, "cannot take the guest's objects");
		}
	}
	return 0;
}

/* Packs are read anew: their own index is not believed. */
static int take_packs(struct quarantine *q, int objects, struct bb_err *err)
{
	__attribute__((cleanup(close_dir))) DIR *dir = open_list(objects, "pack");
	const char *dirs[] = { q->ledger->dir };
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		struct ledger_git how = { .dirs = { dirs[0] }, .access = "r" };
		size_t n = strlen(e->d_name);
		BB_AUTO_CLOSE int fd = -1;
		struct stat st;

		if (n < 6 || strcmp(e->d_name + n - 5, ".pack") != 0 || !is_file(dir, e->d_name))
			continue;
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			return bb_err_errno(err, "cannot take the guest's objects");
		how.in_fd = fd;
		if (ledger_git(&q->own, &how,
			       (const char *const[]){ "index-pack", "--stdin", "--fix-thin", NULL },
			       err) < 0)
			return bb_err_wrap(err, "the guest's objects are refused");
	}
	return 0;
}

/* One file with the pack of what id has beyond the ledger's start. */
static int make_pack(const struct ledger *from, const char *other, const char *staging,
		     const char *id, const char *start, int *ret_fd, struct bb_err *err)
{
	BB_AUTO_FREE char *revs =
		bb_text_printf(start[0] != '\0' ? "%s\n^%s\n" : "%s\n", id, start);
	BB_AUTO_CLOSE int fd = open(staging, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct ledger_git how = { .dirs = { other }, .access = other != NULL ? "r" : NULL };
	int r;

	if (revs == NULL)
		return no_memory(err);
	if (fd < 0)
		return bb_err_errno(err, "cannot write below '%s'", staging);
	how.input = bb_view_str(revs);
	how.out_fd = fd;
	r = ledger_git(from, &how,
		       (const char *const[]){ "pack-objects", "--revs", "--stdout", "--quiet",
					      "--delta-base-offset", NULL },
		       err);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return bb_err_errno(err, "cannot read back a pack");
	*ret_fd = bb_take_fd(&fd);
	return 0;
}

static int ask_start(const struct ledger *l, char ret[LEDGER_ID_MAX], struct bb_err *err)
{
	return ledger_ask_id(
		l, &(struct ledger_git){ .may_fail = true },
		(const char *const[]){ "rev-parse", "-q", "--verify", LEDGER_START, NULL }, ret,
		err);
}

/* From the quarantine into the ledger. */
static int admit(struct quarantine *q, const char *staging, const char *id, struct bb_err *err)
{
	char start[LEDGER_ID_MAX], type[LEDGER_ID_MAX];
	BB_AUTO_CLOSE int pack = -1;
	const struct ledger_git look = { .dirs = { q->ledger->dir }, .access = "r" };
	int r = ask_start(q->ledger, start, err);

	if (r == 0)
		r = ledger_ask_id(&q->own, &look,
				  (const char *const[]){ "cat-file", "-t", id, NULL }, type, err);
	if (r == 0 && strcmp(type, "commit") != 0)
		return bb_err_set(err, BB_E_REFUSED, "the guest's HEAD is a %s, not a commit",
				  type);
	if (r == 0)
		r = make_pack(&q->own, q->ledger->dir, staging, id, start, &pack, err);
	if (r == 0)
		r = ledger_git(q->ledger, &(struct ledger_git){ .in_fd = pack },
			       (const char *const[]){ "index-pack", "--strict", "--fix-thin",
						      "--stdin", NULL },
			       err);
	return r < 0 ? bb_err_wrap(err, "the guest's commits are refused") : 0;
}

int incoming_commits(const struct ledger *l, const char *staging, const char *tree,
		     char ret[LEDGER_ID_MAX], struct bb_err *err)
{
	__attribute__((cleanup(quarantine_done))) struct quarantine q = { .ledger = l,
									  .git_dir = -1,
									  .objects = -1 };
	char id[LEDGER_ID_MAX], start[LEDGER_ID_MAX];
	BB_AUTO_CLOSE int objects = -1;
	int r = ask_start(l, start, err);

	ret[0] = '\0';
	if (r < 0)
		return r;
	q.git_dir = open_git_dir(tree, err);
	if (q.git_dir < -1)
		return q.git_dir;
	if (q.git_dir < 0 || !read_head(q.git_dir, id) || strcmp(id, start) == 0)
		return 0;
	r = quarantine_make(&q, staging, err);
	objects = openat(q.git_dir, "objects", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0 && objects >= 0)
		r = take_loose(&q, objects, err);
	if (r == 0 && objects >= 0)
		r = take_packs(&q, objects, err);
	if (r == 0)
		r = admit(&q, staging, id, err);
	if (r == 0)
		memcpy(ret, id, sizeof(id));
	return r;
}

int incoming_raw(const struct ledger *l, const char *id, struct bb_buf *ret, struct bb_err *err)
{
	char start[LEDGER_ID_MAX];
	BB_AUTO_FREE char *without = NULL;
	const struct ledger_git how = { .out = ret };
	int r = ask_start(l, start, err);

	without = bb_text_printf("^%s", start);
	if (r < 0 || without == NULL)
		return r < 0 ? r : no_memory(err);
	return ledger_git(l, &how,
			  (const char *const[]){ "log", "--format=", "--raw", "-z", "-r", "-m",
						 "--root", "--no-renames", "--no-abbrev",
						 "--no-ext-diff", "--no-textconv", id,
						 start[0] != '\0' ? without : NULL, NULL },
			  err);
}

/* --- into the operator's repository ------------------------------------------------------------
 */

int incoming_check_branch(const struct ledger *l, const struct repo *repo, const char *branch,
			  struct bb_err *err)
{
	BB_AUTO_FREE char *ref = bb_text_printf("refs/heads/%s", branch);
	char access[GIT_DIRS_MAX + 1];
	struct git_call call = { .wait = l->wait, .may_fail = true };
	BB_AUTO_BUF struct bb_buf out = { 0 };
	int r;

	if (ref == NULL)
		return no_memory(err);
	bb_buf_init(&out, 4096);
	if (ledger_git(l, &(struct ledger_git){ .out = &out },
		       (const char *const[]){ "check-ref-format", "--branch", branch, NULL },
		       err) < 0)
		return bb_err_set(err, BB_E_USAGE, "'%s' is not a name for a branch",
				  BB_ESCAPED(bb_view_str(branch)));
	repo_call(repo, repo->top, NULL, &call, access);
	call.args = (const char *const[]){ "show-ref", "--verify", "--quiet", ref, NULL };
	r = git_run(&call, err);
	if (r == 0)
		return bb_err_set(err, BB_E_USAGE, "there is a branch '%s' already; name another",
				  BB_ESCAPED(bb_view_str(branch)));
	return r < 0 ? r : 0;
}

/* A git in the operator's repository that may write below one directory of it. */
static int run_in_repo(const struct ledger *l, const struct repo *repo, const char *writable,
		       int in_fd, const char *const *args, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", repo->common_dir, writable);
	char access[GIT_DIRS_MAX + 1];
	struct git_call call = { .wait = l->wait, .args = args, .in_fd = in_fd };

	if (path == NULL)
		return no_memory(err);
	repo_call(repo, repo->top, path, &call, access);
	return git_run(&call, err);
}

int incoming_branch(const struct ledger *l, const struct repo *repo, const char *staging,
		    const char *id, const char *branch, struct bb_err *err)
{
	BB_AUTO_FREE char *ref = bb_text_printf("refs/heads/%s", branch);
	char start[LEDGER_ID_MAX] = "", none[LEDGER_ID_MAX] = "";
	BB_AUTO_CLOSE int pack = -1;
	int r = ref == NULL ? no_memory(err) : ask_start(l, start, err);

	if (r == 0)
		r = make_pack(l, NULL, staging, id, start, &pack, err);
	if (r == 0)
		r = run_in_repo(l, repo, "objects", pack,
				(const char *const[]){ "index-pack", "--strict", "--stdin", NULL },
				err);
	if (r < 0)
		return r;
	memset(none, '0', strlen(id)); /* it must not be there */
	return run_in_repo(l, repo, "refs", 0,
			   (const char *const[]){ "-c", "core.logAllRefUpdates=false", "update-ref",
						  "--no-deref", ref, id, none, NULL },
			   err);
}
