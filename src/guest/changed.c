/* The look at a tree, by openat() level by level: names that the agent chose are never joined to
 * paths. */
#include "guest/changed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limit.h"

#define CHANGED_DEPTH 200 /* a descriptor a level; deeper counts as changed */

static bool changed_is_after(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec >= b->tv_nsec;
}

void changed_mark(struct timespec *ret)
{
	struct timespec first, step = { .tv_nsec = 200000 };

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &first);
	*ret = first;
	for (int i = 0; i < 100; i++) {
		(void)clock_gettime(CLOCK_REALTIME_COARSE, ret);
		if (ret->tv_sec != first.tv_sec || ret->tv_nsec != first.tv_nsec)
			return;
		(void)nanosleep(&step, NULL);
	}
}

struct changed_walk {
	const struct timespec *mark;
	size_t left;
};

static void changed_close(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* was only read */
}

/* Takes fd. */
static int changed_walk(struct changed_walk *w, int fd, int depth)
{
	__attribute__((cleanup(changed_close))) DIR *dir = fdopendir(fd);
	struct dirent *e;

	if (dir == NULL) {
		int r = -errno;

		(void)close(fd); /* was only read */
		return r;
	}
	while ((e = readdir(dir)) != NULL) {
		struct stat st;
		int child, r;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return 1; /* it went away while we looked */
		if (w->left-- == 0 || changed_is_after(&st.st_ctim, w->mark))
			return 1;
		if (!S_ISDIR(st.st_mode))
			continue;
		child = openat(dirfd(dir), e->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child < 0)
			return -errno;
		if (depth == 0) {
			(void)close(child); /* was only opened */
			return 1;
		}
		r = changed_walk(w, child, depth - 1);
		if (r != 0)
			return r;
	}
	return 0;
}

int changed_since(const char *path, const struct timespec *mark)
{
	struct changed_walk w = { .mark = mark, .left = LIMIT_TREE_ENTRIES };
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || changed_is_after(&st.st_ctim, mark)) {
		(void)close(fd); /* was only opened */
		return 1;
	}
	return changed_walk(&w, fd, CHANGED_DEPTH);
}
