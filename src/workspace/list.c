/* See list.h. */
#include "workspace/list.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limit.h"
#include "base/relative.h"
#include "base/text.h"
#include "workspace/credential.h"

#define LEFT_MAX 4096

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

void workspace_list_free(struct workspace_list *l)
{
	if (l == NULL)
		return;
	free(l->dir);
	repo_free(l->repo);
	bb_buf_done(&l->paths);
	for (size_t i = 0; i < l->left_count; i++)
		free(l->left[i].path);
	free(l->left);
	bb_strv_free(l->taken);
	bb_strv_free(l->empty_dirs);
	if (l->root_fd >= 0)
		(void)close(l->root_fd);
	free(l);
}

static int open_inside(const struct workspace_list *l, const char *path, int flags)
{
	struct open_how how = { .flags = (__u64)(flags | O_CLOEXEC | O_NOFOLLOW),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, l->root_fd, path, &how, sizeof(how));
}

/* Named by the operator, or below something that was. */
static bool is_included(const struct workspace_list *l, const char *path)
{
	for (size_t i = 0; l->include != NULL && l->include[i] != NULL; i++) {
		size_t n = strlen(l->include[i]);

		if (strncmp(l->include[i], path, n) == 0 && (path[n] == '\0' || path[n] == '/'))
			return true;
	}
	return false;
}

static bool is_below_included(const struct workspace_list *l, const char *path)
{
	for (size_t i = 0; l->include != NULL && l->include[i] != NULL; i++)
		if (strcmp(l->include[i], path) == 0)
			return false;
	return is_included(l, path);
}

static int leave(struct workspace_list *l, const char *path, const char *why, bool is_tracked,
		 struct bb_err *err)
{
	struct workspace_left *grown;

	if (l->left_count == LEFT_MAX)
		return bb_err_set(err, BB_E_LIMIT,
				  "more than %d files look like credentials; is '%s' a project's "
				  "directory?",
				  LEFT_MAX, l->dir);
	grown = reallocarray(l->left, l->left_count + 1, sizeof(*grown));
	if (grown == NULL)
		return no_memory(err);
	l->left = grown;
	grown[l->left_count] = (struct workspace_left){ .path = strdup(path),
							.why = why,
							.is_tracked = is_tracked };
	return grown[l->left_count++].path == NULL ? no_memory(err) : 0;
}

/* Unreadable: it may be one. */
static bool is_credential(const struct workspace_list *l, const char *path,
			  const struct credential_rule *rule)
{
	BB_AUTO_FREE uint8_t *text = NULL;
	BB_AUTO_CLOSE int fd = -1;
	ssize_t n;

	if (!credential_needs_text(rule))
		return true;
	fd = open_inside(l, path, O_RDONLY | O_NONBLOCK);
	text = malloc(CREDENTIAL_LOOK_BYTES);
	n = fd < 0 || text == NULL ? -1 : pread(fd, text, CREDENTIAL_LOOK_BYTES, 0);
	return n < 0 || credential_holds(rule, bb_view_of(text, (size_t)n));
}

static int take(struct workspace_list *l, const char *path, uint64_t bytes, struct bb_err *err)
{
	int r = bb_buf_append(&l->paths, path, strlen(path) + 1);

	if (r == -EMSGSIZE)
		return bb_err_set(err, BB_E_LIMIT, "'%s' holds more names than can be listed",
				  l->dir);
	if (r < 0)
		return no_memory(err);
	l->count++;
	l->bytes += bytes;
	return 0;
}

/* One entry of a list. A directory in git's list is a repository of its own. */
static int consider(struct workspace_list *l, const char *path, bool is_tracked, struct bb_err *err)
{
	const struct credential_rule *rule = credential_find(path);
	BB_AUTO_CLOSE int fd = -1;
	struct stat st;

	if (strlen(path) >= LIMIT_ARCHIVE_PATH || !bb_relative_is_plain(path))
		return leave(l, path, "its path is too long or odd", false, err);
	fd = open_inside(l, path, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR
			       ? 0 /* deleted, or what git lists is behind a link now */
			       : bb_err_errno(err, "'%s'", path);
	if (S_ISDIR(st.st_mode))
		return is_included(l, path) ? 0
					    : leave(l, path, "a repository of its own", false, err);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return leave(l, path, "neither a file, a directory nor a link", false, err);
	if (rule == NULL || !S_ISREG(st.st_mode) || !is_credential(l, path, rule))
		return take(l, path, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0, err);
	if (!is_included(l, path))
		return leave(l, path, rule->what, is_tracked, err);
	if (bb_strv_push(&l->taken, strdup(path)) < 0)
		return no_memory(err);
	return take(l, path, (uint64_t)st.st_size, err);
}

/* --- without git ------------------------------------------------------------------------------ */

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

/* Everything at and below path ("" for all). A .git is never plain files. */
static int walk(struct workspace_list *l, const char *path, unsigned depth, struct bb_err *err)
{
	int fd = open_inside(l, path[0] == '\0' ? "." : path, O_RDONLY | O_DIRECTORY);
	__attribute__((cleanup(close_dir))) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t seen = 0;
	int r = 0;

	if (dir == NULL) {
		r = bb_err_errno(err, "cannot read '%s/%s'", l->dir, path);
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	if (depth > LIMIT_ARCHIVE_DEPTH)
		return bb_err_set(err, BB_E_LIMIT, "'%s' is nested deeper than %d directories",
				  path, LIMIT_ARCHIVE_DEPTH);
	while (r == 0 && (errno = 0, e = readdir(dir)) != NULL) {
		BB_AUTO_FREE char *below = NULL;
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		seen++;
		below = path[0] == '\0' ? strdup(e->d_name)
					: bb_text_printf("%s/%s", path, e->d_name);
		if (below == NULL)
			return no_memory(err);
		if (strcmp(e->d_name, ".git") == 0) {
			if (path[0] != '\0')
				r = leave(l, below, "a repository inside", false, err);
			continue;
		}
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		r = S_ISDIR(st.st_mode) ? walk(l, below, depth + 1, err)
					: consider(l, below, false, err);
	}
	if (r == 0 && errno != 0)
		return bb_err_errno(err, "cannot read '%s/%s'", l->dir, path);
	return r == 0 && seen == 0 && path[0] != '\0' ? bb_strv_push(&l->empty_dirs, strdup(path))
						      : r;
}

/* --- with git --------------------------------------------------------------------------------- */

static int ask_git(struct workspace_list *l, workspace_wait_fn *wait, bool is_tracked,
		   struct bb_err *err)
{
	BB_AUTO_FREE char *excludes =
		l->repo->excludes == NULL
			? NULL
			: bb_text_printf("core.excludesFile=%s", l->repo->excludes);
	const char *const tracked[] = { "ls-files", "-z", "--cached", "--", ".", NULL };
	const char *const others[] = {
		"-c",       excludes != NULL ? excludes : "core.excludesFile=/dev/null",
		"ls-files", "-z",
		"--others", "--exclude-standard",
		"--",       ".",
		NULL
	};
	BB_AUTO_BUF struct bb_buf out = { 0 };
	struct git_call call = { .wait = wait, .args = is_tracked ? tracked : others, .out = &out };
	char access[GIT_DIRS_MAX + 1];
	const char *path, *last = NULL;
	struct bb_view v;
	int r;

	bb_buf_init(&out, LIMIT_GIT_OUTPUT);
	repo_call(l->repo, l->dir, NULL, &call, access);
	r = git_run(&call, err);
	v = bb_buf_peek(&out);
	while (r >= 0 && git_next(&v, &path)) {
		size_t n = strlen(path);
		BB_AUTO_FREE char *plain = strndup(path, n > 0 && path[n - 1] == '/' ? n - 1 : n);

		if (plain == NULL)
			return no_memory(err);
		/* A path in conflict is listed once for each side; an included directory is walked.
		 */
		if ((last == NULL || strcmp(last, path) != 0) && !is_below_included(l, plain))
			r = consider(l, plain, is_tracked, err);
		last = path;
	}
	return r < 0 ? r : 0;
}

static bool is_listed(const struct workspace_list *l, const char *path)
{
	struct bb_view v = bb_buf_peek(&l->paths);
	const char *known;

	while (git_next(&v, &known))
		if (strcmp(known, path) == 0)
			return true;
	return false;
}

/* What was named but git does not offer: ignored files, and repositories inside. */
static int add_included(struct workspace_list *l, struct bb_err *err)
{
	for (size_t i = 0; l->include != NULL && l->include[i] != NULL; i++) {
		const char *path = l->include[i];
		BB_AUTO_CLOSE int fd = open_inside(l, path, O_PATH);
		struct stat st;
		int r = 0;

		if (fd < 0 || fstat(fd, &st) < 0)
			return bb_err_errno(err, "--include '%s'", BB_ESCAPED(bb_view_str(path)));
		if (l->repo == NULL)
			continue; /* it was walked; only that it is there had to be seen */
		if (S_ISDIR(st.st_mode))
			r = walk(l, path, 0, err);
		else if (!is_listed(l, path))
			r = consider(l, path, false, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_include(char *const *include, struct bb_err *err)
{
	for (size_t i = 0; include != NULL && include[i] != NULL; i++)
		if (!bb_relative_is_plain(include[i]))
			return bb_err_set(err, BB_E_USAGE,
					  "--include '%s': name a path below the copied directory, "
					  "without '..', '.' or a '/' in front or at its end",
					  BB_ESCAPED(bb_view_str(include[i])));
	return 0;
}

int workspace_list(const struct workspace_want *want, struct workspace_list **ret,
		   struct bb_err *err)
{
	BB_AUTO(workspace_list) struct workspace_list *l = calloc(1, sizeof(*l));
	int r = check_include(want->include, err);

	if (r < 0)
		return r;
	if (l == NULL)
		return no_memory(err);
	bb_buf_init(&l->paths, LIMIT_GIT_OUTPUT);
	l->include = want->include;
	l->dir = strdup(want->dir);
	l->root_fd = open(want->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->root_fd < 0)
		return bb_err_errno(err, "cannot read '%s'", want->dir);
	if (!want->no_git)
		r = repo_find(want->dir, &l->repo, err);
	if (r == 0 && l->repo != NULL && !git_is_there())
		r = bb_err_set(
			err, BB_E_MISSING,
			"'%s' is a repository and there is no git here to list it: install the "
			"package git, or say --no-git",
			l->repo->top);
	if (r == 0 && l->repo == NULL)
		r = walk(l, "", 0, err);
	if (r == 0 && l->repo != NULL) {
		l->has_history = strcmp(l->repo->top, l->dir) == 0;
		r = ask_git(l, want->wait, true, err);
		if (r == 0)
			r = ask_git(l, want->wait, false, err);
	}
	if (r == 0)
		r = add_included(l, err);
	l->include = NULL;
	if (r == 0)
		*ret = bb_take_ptr(&l);
	return r;
}
