/* Our own files; see path.h. */
#include "base/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

int bb_path_mkdirs(const char *path, mode_t mode, struct bb_err *err)
{
	BB_AUTO_FREE char *copy = strdup(path);

	if (copy == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (char *slash = copy + 1; slash != NULL && *copy != '\0';) {
		slash = strchr(slash, '/');
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return bb_err_errno(err, "cannot make directory '%s'", copy);
		if (slash == NULL)
			break;
		*slash++ = '/';
	}
	return 0;
}

int bb_path_read(const char *path, int nofollow, struct bb_buf *b, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (nofollow ? O_NOFOLLOW : 0));
	if (fd < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	if (fstat(fd, &st) < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	if (!S_ISREG(st.st_mode))
		return bb_err_set(err, -EINVAL, "'%s' is not a regular file", path);
	/* All of it in one piece where it fits; what does not is told below. */
	if (st.st_size > 0 && (uintmax_t)st.st_size < bb_buf_room(b))
		(void)bb_buf_reserve(b, (size_t)st.st_size + 1);
	r = bb_fd_read_to_end(fd, b);
	if (r == -EMSGSIZE)
		return bb_err_set(err, r, "'%s' is larger than %zu bytes", path, b->cap);
	if (r < 0)
		return bb_err_set(err, r, "cannot read '%s': %s", path, bb_err_name(r));
	return 0;
}

/* A file beside path, whole and on the disk; *ret_temp is its name. */
static int write_beside(const char *path, const void *p, size_t n, mode_t mode, char **ret_temp,
			struct bb_err *err)
{
	BB_AUTO_FREE char *temp = bb_text_printf("%s.new.%ld", path, (long)getpid());
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (temp == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return bb_err_errno(err, "cannot write '%s'", temp);
	r = bb_fd_write_all(fd, p, n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(temp); /* the write's error is the news */
		return bb_err_set(err, r, "cannot write '%s': %s", path, bb_err_name(r));
	}
	*ret_temp = bb_take_ptr(&temp);
	return 0;
}

int bb_path_write_atomic(const char *path, const void *p, size_t n, mode_t mode, struct bb_err *err)
{
	BB_AUTO_FREE char *temp = NULL;
	int r = write_beside(path, p, n, mode, &temp, err);

	if (r == 0 && rename(temp, path) < 0) {
		r = bb_err_errno(err, "cannot write '%s'", path);
		(void)unlink(temp); /* the rename's error is the news */
	}
	return r;
}

int bb_path_write_new(const char *path, const void *p, size_t n, mode_t mode, struct bb_err *err)
{
	BB_AUTO_FREE char *temp = NULL;
	int r = write_beside(path, p, n, mode, &temp, err);

	if (r < 0)
		return r;
	/* link() is the one way to a whole file that is refused where a name is taken. */
	if (link(temp, path) < 0)
		r = errno == EEXIST ? bb_err_set(err, -EEXIST, "'%s' exists already", path)
				    : bb_err_errno(err, "cannot write '%s'", path);
	(void)unlink(temp); /* the link's error is the news */
	return r;
}

static int remove_at(int dirfd, const char *name, dev_t dev, int depth)
{
	BB_AUTO_CLOSE int fd = -1;
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int r = 0;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != dev || depth > 512)
		return -EXDEV;
	dir = fdopendir(fd);
	if (dir == NULL)
		return -errno;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = remove_at(fd, entry->d_name, dev, depth + 1);
	}
	(void)bb_take_fd(&fd);
	(void)closedir(dir);
	if (r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int bb_path_remove_tree(const char *path, struct bb_err *err)
{
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : bb_err_errno(err, "cannot remove '%s'", path);
	r = remove_at(AT_FDCWD, path, st.st_dev, 0);
	if (r < 0)
		return bb_err_set(err, r, "cannot remove '%s': %s", path, bb_err_name(r));
	return 0;
}

char *bb_path_self_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return NULL;
	*slash = '\0';
	return strdup(path);
}

char *bb_path_sibling(const char *program, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_path_self_dir();
	BB_AUTO_FREE char *path = NULL;
	const char *last = dir == NULL ? NULL : strrchr(dir, '/');

	if (last == NULL) {
		(void)bb_err_set(err, -ENOENT, "cannot find out where bot-bottle is installed");
		return NULL;
	}
	if (strcmp(last, "/bin") == 0)
		path = bb_text_printf("%.*s/libexec/bot-bottle/%s", (int)(last - dir), dir,
				      program);
	else
		path = bb_text_printf("%s/%s", dir, program);
	if (path == NULL || access(path, X_OK) < 0) {
		(void)bb_err_set(err, BB_E_MISSING, "'%s' is not there; install bot-bottle again",
				 path == NULL ? program : path);
		return NULL;
	}
	return bb_take_ptr(&path);
}

char *bb_path_data(const char *name, struct bb_err *err)
{
	static const char *const places[] = { "/bin", "/libexec/bot-bottle" };
	BB_AUTO_FREE char *dir = bb_path_self_dir();
	BB_AUTO_FREE char *path = NULL;
	size_t n = dir == NULL ? 0 : strlen(dir);
	const char *last = dir == NULL ? NULL : strrchr(dir, '/');

	if (last == NULL) {
		(void)bb_err_set(err, -ENOENT, "cannot find out where bot-bottle is installed");
		return NULL;
	}
	for (size_t i = 0; path == NULL && i < BB_ARRAY_LEN(places); i++) {
		size_t m = strlen(places[i]);

		if (n > m && strcmp(dir + n - m, places[i]) == 0)
			path = bb_text_printf("%.*s/share/bot-bottle/%s", (int)(n - m), dir, name);
	}
	if (path == NULL)
		path = bb_text_printf("%.*s/data/%s", (int)(last - dir), dir, name);
	if (path == NULL || access(path, R_OK) < 0) {
		(void)bb_err_set(err, BB_E_MISSING, "'%s' is not there; install bot-bottle again",
				 path == NULL ? name : path);
		return NULL;
	}
	return bb_take_ptr(&path);
}
