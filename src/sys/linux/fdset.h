/*
 * The descriptor table of a process that is about to execute something else: exactly the named
 * ones, nothing inherited. For the child side of a fork: no allocation, no lock is taken.
 */
#ifndef BB_SYS_LINUX_FDSET_H
#define BB_SYS_LINUX_FDSET_H

#include <stddef.h>

#include "sys/spawn.h"

#define FDSET_MAX 64 /* descriptors a plan may place; the largest plan today has 12 */

/* Closes every descriptor from `first` on: close_range() where the kernel has it (5.9), else a walk
 * over /proc/self/fd, else over the whole table. 0 or -errno. */
int fdset_close_from(int first);

/*
 * Puts each fds[i].from at fds[i].to with close-on-exec off; 0, 1 and 2 that nobody names become
 * null_fd; everything else is close-on-exec afterwards. *keep (several, may be NULL when count is
 * 0) are moved out of the way of the targets and stay open until exec; their numbers are updated.
 * 0 or -errno (-EINVAL: too many, or two with one target).
 */
int fdset_place(const struct spawn_fd *fds, size_t count, int null_fd, int **keep,
		size_t keep_count);

#endif
