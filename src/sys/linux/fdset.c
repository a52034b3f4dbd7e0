/* The descriptor table before an exec; see fdset.h. Runs between fork and exec: async-signal-safe
 * calls only. */
#include "sys/linux/fdset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* The kernel's own record; glibc's readdir() would allocate. */
struct dirent_record {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

static int close_one(int fd, bool only_mark)
{
	if (!only_mark)
		return close(fd);
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* A decimal name of /proc/self/fd, or -1 for "." and "..". */
static int name_to_fd(const char *name)
{
	int fd = 0;

	if (name[0] < '0' || name[0] > '9')
		return -1;
	for (; *name != '\0'; name++)
		fd = fd * 10 + (*name - '0');
	return fd;
}

static int walk_proc(int first, bool only_mark)
{
	char block[4096] __attribute__((aligned(8)));
	int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n;

	if (dir < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, dir, block, sizeof(block))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent_record *d = (const void *)(block + at);
			int fd = name_to_fd(d->name);

			if (fd >= first && fd != dir)
				(void)close_one(fd, only_mark);
			at += d->size;
		}
	}
	(void)close(dir);
	return n < 0 ? -EIO : 0;
}

/* The last resort where neither close_range nor /proc is there: every number up to the limit. */
static int walk_table(int first, bool only_mark)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	for (rlim_t fd = (rlim_t)first; fd < limit.rlim_max && fd < 1048576; fd++)
		(void)close_one((int)fd, only_mark);
	return 0;
}

static int sweep(int first, bool only_mark)
{
	if (syscall(SYS_close_range, (unsigned)first, ~0U, only_mark ? CLOSE_RANGE_CLOEXEC : 0) ==
	    0)
		return 0;
	/* ENOSYS before 5.9, EINVAL for the flag before 5.11, EPERM under an old seccomp profile.
	 */
	if (walk_proc(first, only_mark) == 0)
		return 0;
	return walk_table(first, only_mark);
}

int fdset_close_from(int first)
{
	return sweep(first, false);
}

static int highest_target(const struct spawn_fd *fds, size_t count)
{
	int top = 2;

	for (size_t i = 0; i < count; i++) {
		if (fds[i].to < 0)
			return -EINVAL;
		for (size_t k = 0; k < i; k++) {
			if (fds[k].to == fds[i].to)
				return -EINVAL;
		}
		if (fds[i].to > top)
			top = fds[i].to;
	}
	return top;
}

int fdset_place(const struct spawn_fd *fds, size_t count, int null_fd, int **keep,
		size_t keep_count)
{
	int moved[FDSET_MAX];
	bool named[3] = { false, false, false };
	int top;

	if (count > FDSET_MAX)
		return -EINVAL;
	top = highest_target(fds, count);
	if (top < 0)
		return top;

	/* Everything out of the way first, so that no dup2 hits a source that is still needed. */
	for (size_t i = 0; i < count; i++) {
		moved[i] = fcntl(fds[i].from, F_DUPFD_CLOEXEC, top + 1);
		if (moved[i] < 0)
			return -errno;
		if (fds[i].to <= 2)
			named[fds[i].to] = true;
	}
	for (size_t i = 0; i < keep_count; i++) {
		int fd = fcntl(*keep[i], F_DUPFD_CLOEXEC, top + 1);

		if (fd < 0)
			return -errno;
		*keep[i] = fd;
	}
	null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, top + 1);
	if (null_fd < 0)
		return -errno;
	if (sweep(3, true) < 0)
		return -EIO;
	for (int fd = 0; fd < 3; fd++) {
		if (!named[fd] && dup2(null_fd, fd) < 0)
			return -errno;
	}
	for (size_t i = 0; i < count; i++) {
		if (dup2(moved[i], fds[i].to) < 0)
			return -errno;
	}
	return 0;
}
