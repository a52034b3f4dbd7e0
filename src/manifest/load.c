/*
 * Manifest files: names, the directory they must be in, and who may have written them. A file that
 * others can write, or a link that leads elsewhere, could be changed by somebody who is not the
 * operator.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limit.h"
#include "base/table.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

/* Names without ".md" that are, or are not, names of manifests. */
static char **list(const char *root, const char *kind, bool wants_good, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", root, kind);
	BB_AUTO_STRV char **names = calloc(1, sizeof(*names));
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	struct dirent *entry;

	if (path == NULL || names == NULL) {
		(void)bb_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	dir = opendir(path);
	if (dir == NULL && errno != ENOENT && errno != ENOTDIR) {
		(void)bb_err_errno(err, "cannot read '%s'", path);
		return NULL;
	}
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		size_t n = strlen(entry->d_name);
		BB_AUTO_FREE char *name = NULL;

		if (n < 4 || strcmp(entry->d_name + n - 3, ".md") != 0)
			continue;
		name = strndup(entry->d_name, n - 3);
		if (name != NULL && manifest_is_name(name) != wants_good)
			continue;
		if (name == NULL || bb_strv_push(&names, wants_good ? bb_take_ptr(&name)
								    : strdup(entry->d_name)) < 0) {
			(void)bb_err_set(err, -ENOMEM, "out of memory");
			return NULL;
		}
	}
	qsort(names, bb_strv_len(names), sizeof(*names), compare_names);
	return bb_take_ptr(&names);
}

char **manifest_list(const char *root, const char *kind, struct bb_err *err)
{
	return list(root, kind, true, err);
}

char **manifest_list_misnamed(const char *root, const char *kind, struct bb_err *err)
{
	return list(root, kind, false, err);
}

char **manifest_list_agents(const struct manifest_places *places, struct bb_err *err)
{
	BB_AUTO_STRV char **all = manifest_list(places->home, "agents", err);
	BB_AUTO_STRV char **here = NULL;
	size_t kept = 0;

	if (all == NULL || places->cwd == NULL)
		return bb_take_ptr(&all);
	here = manifest_list(places->cwd, "agents", err);
	if (here == NULL)
		return NULL;
	for (size_t i = 0; here[i] != NULL; i++)
		if (bb_strv_push(&all, strdup(here[i])) < 0) {
			(void)bb_err_set(err, -ENOMEM, "out of memory");
			return NULL;
		}
	qsort(all, bb_strv_len(all), sizeof(*all), compare_names);
	for (size_t i = 0; all[i] != NULL; i++)
		if (kept > 0 && strcmp(all[kept - 1], all[i]) == 0)
			free(all[i]);
		else
			all[kept++] = all[i];
	all[kept] = NULL;
	return bb_take_ptr(&all);
}

static const char *near_name(char *const *names, const char *name)
{
	return names == NULL ? NULL
			     : bb_table_suggest((const char *const *)names, bb_strv_len(names),
						bb_view_str(name));
}

static int refuse_missing_bottle(const char *root, const char *name, struct bb_err *err)
{
	BB_AUTO_STRV char **names = manifest_list(root, "bottles", NULL);
	const char *near = near_name(names, name);

	if (near != NULL)
		return bb_err_set(err, BB_E_USAGE, "there is no bottle '%s'; did you mean '%s'?",
				  name, near);
	return bb_err_set(err, BB_E_USAGE, "there is no bottle '%s'; write %s/bottles/%s.md first",
			  name, root, name);
}

/* Could somebody else have written it, or put another one in its place? A group of the operator's
 * own, as each user has by default, is not somebody else. */
static int check_owner(const struct stat *st, const char *path, struct bb_err *err)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return bb_err_set(err, BB_E_USAGE, "'%s' belongs to another user", path);
	if ((st->st_mode & S_IWOTH) != 0)
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' can be written by everybody; run: chmod o-w '%s'", path,
				  path);
	if ((st->st_mode & S_IWGRP) != 0 && st->st_gid != getegid())
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' can be written by a group; run: chmod g-w '%s'", path,
				  path);
	return 0;
}

/* The directory, of which only the last component must not be a link when it is not the operator's
 * own choice: a repository could point its agents/ anywhere. */
static int open_dir(const char *path, bool may_be_link, int *ret, struct bb_err *err)
{
	struct stat st;

	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (may_be_link ? 0 : O_NOFOLLOW));
	if (*ret < 0 && errno == ENOENT)
		return -ENOENT;
	if (*ret < 0 && (errno == ELOOP || errno == ENOTDIR))
		return bb_err_set(err, BB_E_USAGE, "'%s' is a symbolic link or no directory", path);
	if (*ret < 0 || fstat(*ret, &st) < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	return check_owner(&st, path, err);
}

static int open_file(int dir, const char *file, const char *path, int *ret, struct bb_err *err)
{
	struct stat st;

	*ret = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (*ret < 0 && errno == ENOENT)
		return -ENOENT;
	if (*ret < 0 && errno == ELOOP)
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' is a symbolic link; a manifest is a file of its own", path);
	if (*ret < 0 || fstat(*ret, &st) < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	if (!S_ISREG(st.st_mode))
		return bb_err_set(err, BB_E_USAGE, "'%s' is not a regular file", path);
	return check_owner(&st, path, err);
}

/* -ENOENT without a sentence: there is none. */
static int read_manifest(const char *dir_path, bool may_be_link, const char *name,
			 struct bb_buf *text, struct bb_err *err)
{
	BB_AUTO_FREE char *file = bb_text_printf("%s.md", name);
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s.md", dir_path, name);
	BB_AUTO_CLOSE int dir = -1;
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (file == NULL || path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	bb_buf_init(text, LIMIT_MANIFEST_FILE);
	r = open_dir(dir_path, may_be_link, &dir, err);
	if (r == 0)
		r = open_file(dir, file, path, &fd, err);
	if (r < 0)
		return r;
	r = bb_fd_read_to_end(fd, text);
	if (r == -EMSGSIZE)
		return bb_err_set(err, BB_E_USAGE, "'%s' is larger than %d KiB", path,
				  LIMIT_MANIFEST_FILE / 1024);
	if (r < 0)
		return bb_err_set(err, r, "cannot read '%s': %s", path, bb_err_name(r));
	return 0;
}

static int check_name(const char *kind, const char *name, struct bb_err *err)
{
	if (manifest_is_name(name))
		return 0;
	return bb_err_set(err, BB_E_USAGE,
			  "'%s' is not a valid name in %s; names are like 'my-agent2'",
			  BB_ESCAPED(bb_view_str(name)), kind);
}

int manifest_read_bottle(const char *root, const char *name, struct bb_buf *text,
			 struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/bottles", root);
	int r = check_name("bottles", name, err);

	if (r < 0)
		return r;
	if (dir == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = read_manifest(dir, true, name, text, err);
	return r == -ENOENT ? refuse_missing_bottle(root, name, err) : r;
}

/* agents */

static int refuse_missing_agent(const struct manifest_places *places, const char *name,
				struct bb_err *err)
{
	BB_AUTO_STRV char **names = manifest_list_agents(places, NULL);
	const char *near = near_name(names, name);

	if (near != NULL)
		return bb_err_set(err, BB_E_USAGE, "there is no agent '%s'; did you mean '%s'?",
				  name, near);
	return bb_err_set(err, BB_E_USAGE, "there is no agent '%s'; write %s/agents/%s.md first",
			  name, places->home, name);
}

/* One of the two files, or both: then nobody can tell which one is meant. */
static int choose_agent(const struct manifest_places *places, const char *name,
			bool *ret_is_from_cwd, struct bb_err *err)
{
	BB_AUTO_FREE char *home = bb_text_printf("%s/agents/%s.md", places->home, name);
	BB_AUTO_FREE char *cwd =
		bb_text_printf("%s/agents/%s.md", places->cwd != NULL ? places->cwd : "", name);
	struct stat st;
	bool is_home, is_cwd;

	if (home == NULL || cwd == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	is_home = lstat(home, &st) == 0;
	is_cwd = places->cwd != NULL && lstat(cwd, &st) == 0;
	if (is_home && is_cwd)
		return bb_err_set(err, BB_E_USAGE,
				  "there are two agents '%s': '%s' and '%s'; rename one of them",
				  name, home, cwd);
	*ret_is_from_cwd = is_cwd;
	return 0;
}

int manifest_load_agent(const struct manifest_places *places, const char *name,
			struct manifest_agent **ret, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf text = { 0 };
	BB_AUTO_FREE char *file = NULL;
	BB_AUTO_FREE char *dir = NULL;
	bool is_from_cwd = false;
	int r = check_name("agents", name, err);

	if (r == 0)
		r = choose_agent(places, name, &is_from_cwd, err);
	if (r < 0)
		return r;
	file = bb_text_printf("%sagents/%s.md", is_from_cwd ? "./.bot-bottle/" : "", name);
	dir = bb_text_printf("%s/agents", is_from_cwd ? places->cwd : places->home);
	if (file == NULL || dir == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = read_manifest(dir, !is_from_cwd, name, &text, err);
	if (r == -ENOENT)
		return refuse_missing_agent(places, name, err);
	if (r == 0)
		r = manifest_parse_agent(bb_buf_peek(&text), name, file, ret, err);
	if (r == 0)
		(*ret)->is_from_cwd = is_from_cwd;
	return r;
}
