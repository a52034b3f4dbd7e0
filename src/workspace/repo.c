/* See repo.h. */
#include "workspace/repo.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/path.h"
#include "base/text.h"

#define POINTER_MAX 8192 /* a .git file, commondir, alternates */

void repo_free(struct repo *r)
{
	if (r == NULL)
		return;
	free(r->top);
	free(r->git_dir);
	free(r->common_dir);
	for (size_t i = 0; i < REPO_ALTERNATES_MAX; i++)
		free(r->alternates[i]);
	for (size_t i = 0; i < BB_ARRAY_LEN(r->env); i++)
		free(r->env[i]);
	free(r->excludes);
	free(r);
}

/* "path" below base unless it is absolute, resolved. NULL: it is not there. */
static char *resolve(const char *base, const char *path)
{
	BB_AUTO_FREE char *joined =
		path[0] == '/' ? strdup(path) : bb_text_printf("%s/%s", base, path);

	return joined == NULL ? NULL : realpath(joined, NULL);
}

/* A small file's text without the white space at its end; NULL: none. */
static char *read_text(const char *dir, const char *name)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, name);
	BB_AUTO_BUF struct bb_buf b = { 0 };
	char *text;

	bb_buf_init(&b, POINTER_MAX);
	if (path == NULL || bb_path_read(path, 0, &b, NULL) < 0)
		return NULL;
	text = bb_buf_dup_str(&b);
	for (size_t n = text == NULL ? 0 : strlen(text); n > 0 && strchr("\n\r \t", text[n - 1]);)
		text[--n] = '\0';
	return text;
}

/* *ret: what dir's .git leads to; NULL when dir has none. */
static int find_git_dir(const char *dir, char **ret, struct bb_err *err)
{
	BB_AUTO_FREE char *entry = bb_text_printf("%s/.git", dir);
	BB_AUTO_FREE char *text = NULL;
	struct stat st;

	*ret = NULL;
	if (entry == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (lstat(entry, &st) < 0)
		return 0;
	if (!S_ISREG(st.st_mode)) {
		BB_AUTO_FREE char *head = bb_text_printf("%s/HEAD", entry);

		if (head != NULL && lstat(head, &st) == 0)
			*ret = realpath(entry, NULL);
		return 0;
	}
	text = read_text(dir, ".git");
	if (text != NULL && strncmp(text, "gitdir: ", 8) == 0)
		*ret = resolve(dir, text + 8);
	if (*ret == NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' does not lead to a repository; repair it (git worktree "
				  "repair), or say --no-git",
				  entry);
	return 0;
}

static int read_alternates(struct repo *r, struct bb_err *err)
{
	BB_AUTO_FREE char *objects = bb_text_printf("%s/objects", r->common_dir);
	BB_AUTO_FREE char *text = objects == NULL ? NULL : read_text(objects, "info/alternates");
	char *rest = NULL;
	size_t count = 0;

	for (char *line = text == NULL ? NULL : strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *path = line[0] == '#' ? NULL : resolve(objects, line);

		if (path == NULL)
			continue;
		if (count == REPO_ALTERNATES_MAX) {
			free(path);
			return bb_err_set(err, BB_E_LIMIT,
					  "'%s' borrows objects from more than %d other "
					  "repositories",
					  r->top, REPO_ALTERNATES_MAX);
		}
		r->alternates[count++] = path;
	}
	return 0;
}

/* As git: the owner of the repository's directory, with root the one who called sudo as well. */
static int check_owner(const struct repo *r, struct bb_err *err)
{
	const char *sudo = geteuid() == 0 ? getenv("SUDO_UID") : NULL;
	uint64_t other = 0;
	struct stat st;

	if (stat(r->git_dir, &st) < 0)
		return bb_err_errno(err, "'%s'", r->git_dir);
	if (st.st_uid == geteuid() ||
	    (sudo != NULL && bb_num_parse_u64(bb_view_str(sudo), UINT32_MAX, &other) == 0 &&
	     st.st_uid == other))
		return 0;
	return bb_err_set(
		err, BB_E_USAGE,
		"the repository '%s' belongs to another user, so no git is run in it; work "
		"as its owner, or say --no-git to copy the files without it",
		r->git_dir);
}

/* What the operator told git to ignore everywhere. A core.excludesFile in another place than the
 * default is not looked for: ~/.gitconfig is read by nobody here. */
static char *find_excludes(void)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	BB_AUTO_FREE char *path = NULL;

	if (config != NULL && config[0] == '/')
		path = bb_text_printf("%s/git/ignore", config);
	else if (home != NULL && home[0] == '/')
		path = bb_text_printf("%s/.config/git/ignore", home);
	return path == NULL ? NULL : realpath(path, NULL);
}

static int fill(struct repo *r, struct bb_err *err)
{
	BB_AUTO_FREE char *common = read_text(r->git_dir, "commondir");

	r->common_dir = common == NULL ? strdup(r->git_dir) : resolve(r->git_dir, common);
	r->env[0] = bb_text_printf("GIT_DIR=%s", r->git_dir);
	r->env[1] = bb_text_printf("GIT_WORK_TREE=%s", r->top);
	if (r->common_dir == NULL || r->env[0] == NULL || r->env[1] == NULL)
		return bb_err_set(err, -ENOMEM, "the repository of '%s' cannot be read", r->top);
	r->excludes = find_excludes();
	if (check_owner(r, err) < 0)
		return err->code;
	return read_alternates(r, err);
}

int repo_find(const char *dir, struct repo **ret, struct bb_err *err)
{
	BB_AUTO(repo) struct repo *r = calloc(1, sizeof(*r));
	BB_AUTO_FREE char *at = strdup(dir);
	int failed = 0;

	*ret = NULL;
	if (r == NULL || at == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (;;) {
		char *slash;

		failed = find_git_dir(at, &r->git_dir, err);
		if (failed < 0 || r->git_dir != NULL)
			break;
		slash = strrchr(at, '/');
		if (slash == NULL || slash == at)
			return 0;
		*slash = '\0';
	}
	if (failed < 0)
		return failed;
	r->top = bb_take_ptr(&at);
	failed = fill(r, err);
	if (failed == 0)
		*ret = bb_take_ptr(&r);
	return failed;
}

void repo_call(const struct repo *r, const char *dir, const char *extra, struct git_call *ret,
	       char *access)
{
	const char *all[] = { dir, r->top, r->git_dir, r->common_dir, r->excludes };
	size_t n = 0;

	/* The same tree named twice does no harm, but places are few. */
	for (size_t i = 0; i < BB_ARRAY_LEN(all); i++) {
		bool is_known = all[i] == NULL;

		for (size_t k = 0; !is_known && k < n; k++)
			is_known = strcmp(ret->dirs[k], all[i]) == 0;
		if (!is_known)
			ret->dirs[n++] = all[i];
	}
	for (size_t i = 0; i < REPO_ALTERNATES_MAX && r->alternates[i] != NULL; i++)
		ret->dirs[n++] = r->alternates[i];
	memset(access, 'r', n);
	if (extra != NULL) {
		ret->dirs[n] = extra;
		access[n++] = 'w';
	}
	access[n] = '\0';
	ret->access = access;
	ret->env = r->env;
}
