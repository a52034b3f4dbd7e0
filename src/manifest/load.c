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

char **manifest_list(const char *root, const char *kind, struct bb_err *err)
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
	if (dir == NULL && errno != ENOENT) {
		(void)bb_err_errno(err, "cannot read '%s'", path);
		return NULL;
	}
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		size_t n = strlen(entry->d_name);

		if (n < 4 || strcmp(entry->d_name + n - 3, ".md") != 0)
			continue;
		entry->d_name[n - 3] = '\0';
		if (!manifest_is_name(entry->d_name))
			continue;
		if (bb_strv_push(&names, strdup(entry->d_name)) < 0) {
			(void)bb_err_set(err, -ENOMEM, "out of memory");
			return NULL;
		}
	}
	qsort(names, bb_strv_len(names), sizeof(*names), compare_names);
	return bb_take_ptr(&names);
}

/* "bottles" -> "bottle": what one of them is called. */
static int word_length(const char *kind)
{
	return (int)strlen(kind) - 1;
}

static int refuse_missing(const char *root, const char *kind, const char *name, struct bb_err *err)
{
	BB_AUTO_STRV char **names = manifest_list(root, kind, NULL);
	const char *near;

	near = names == NULL ? NULL
			     : bb_table_suggest((const char *const *)names, bb_strv_len(names),
						bb_view_str(name));
	if (near != NULL)
		return bb_err_set(err, BB_E_USAGE, "there is no %.*s '%s'; did you mean '%s'?",
				  word_length(kind), kind, name, near);
	return bb_err_set(err, BB_E_USAGE, "there is no %.*s '%s'; write %s/%s/%s.md first",
			  word_length(kind), kind, name, root, kind, name);
}

static int check_file(int fd, const char *path, struct bb_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	if (!S_ISREG(st.st_mode))
		return bb_err_set(err, BB_E_USAGE, "'%s' is not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return bb_err_set(err, BB_E_USAGE, "'%s' belongs to another user", path);
	if ((st.st_mode & S_IWOTH) != 0)
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' can be written by everybody; run: chmod o-w '%s'", path,
				  path);
	return 0;
}

static int read_manifest(const char *root, const char *kind, const char *name, struct bb_buf *text,
			 struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s/%s.md", root, kind, name);
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return refuse_missing(root, kind, name, err);
	if (fd < 0 && errno == ELOOP)
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' is a symbolic link; a manifest is a file of its own", path);
	if (fd < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	r = check_file(fd, path, err);
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

int manifest_read_file(const char *root, const char *kind, const char *name, struct bb_buf *text,
		       struct bb_err *err)
{
	if (!manifest_is_name(name))
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' is not a valid name in %s; names are like 'my-agent2'",
				  BB_ESCAPED(bb_view_str(name)), kind);
	bb_buf_init(text, LIMIT_MANIFEST_FILE);
	return read_manifest(root, kind, name, text, err);
}

int manifest_load_agent(const char *root, const char *name, struct manifest_agent **ret,
			struct bb_err *err)
{
	BB_AUTO_FREE char *file = bb_text_printf("agents/%s.md", name);
	BB_AUTO_BUF struct bb_buf text = { 0 };
	int r;

	if (file == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = manifest_read_file(root, "agents", name, &text, err);
	return r < 0 ? r : manifest_parse_agent(bb_buf_peek(&text), name, file, ret, err);
}
