/* Landlock; see landlock.h. */
#include "sys/linux/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The kernel's user interface, named here because <linux/landlock.h> of Debian 12 stops at
 * version 2. */
#define FS_EXECUTE     (1ULL << 0)
#define FS_WRITE_FILE  (1ULL << 1)
#define FS_READ_FILE   (1ULL << 2)
#define FS_READ_DIR    (1ULL << 3)
#define FS_REMOVE_DIR  (1ULL << 4)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_CHAR   (1ULL << 6)
#define FS_MAKE_DIR    (1ULL << 7)
#define FS_MAKE_REG    (1ULL << 8)
#define FS_MAKE_SOCK   (1ULL << 9)
#define FS_MAKE_FIFO   (1ULL << 10)
#define FS_MAKE_BLOCK  (1ULL << 11)
#define FS_MAKE_SYM    (1ULL << 12)
#define FS_REFER       (1ULL << 13) /* version 2 */
#define FS_TRUNCATE    (1ULL << 14) /* version 3 */
#define FS_IOCTL_DEV   (1ULL << 15) /* version 5 */
#define FS_FILE_RIGHTS (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define NET_BIND_TCP    (1ULL << 0) /* version 4 */
#define NET_CONNECT_TCP (1ULL << 1)

#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* version 6 */
#define SCOPE_SIGNAL        (1ULL << 1)

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH      1

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct path_beneath_attr {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* All file rights by version: what the kernel does not know must not be named. */
static uint64_t all_fs(int version)
{
	uint64_t fs = (1ULL << 13) - 1;

	if (version >= 2)
		fs |= FS_REFER;
	if (version >= 3)
		fs |= FS_TRUNCATE;
	if (version >= 5)
		fs |= FS_IOCTL_DEV;
	return fs;
}

static size_t attr_size(int version)
{
	if (version >= 6)
		return sizeof(struct ruleset_attr);
	return version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

int landlock_version(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return v < 0 ? 0 : (int)v;
}

static uint64_t rights_of(enum landlock_access access, uint64_t fs)
{
	switch (access) {
	case LANDLOCK_READ_FILE:
		return FS_READ_FILE;
	case LANDLOCK_READ_TREE:
		return FS_READ_FILE | FS_READ_DIR;
	case LANDLOCK_RUN_TREE:
		return FS_READ_FILE | FS_READ_DIR | FS_EXECUTE;
	case LANDLOCK_WRITE_FILE:
		return fs & (FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE);
	case LANDLOCK_READ_WRITE:
		return fs &
		       ~(FS_EXECUTE | FS_MAKE_CHAR | FS_MAKE_BLOCK | FS_MAKE_SOCK | FS_IOCTL_DEV);
	}
	return 0;
}

static int add_path(int ruleset, const struct landlock_path *path, uint64_t fs)
{
	struct path_beneath_attr rule = { .allowed = rights_of(path->access, fs),
					  .parent_fd = path->fd };
	struct stat st;

	if (fstat(path->fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= FS_FILE_RIGHTS;
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return 0;
}

int landlock_restrict(const struct landlock_path *paths, size_t count, bool may_net)
{
	int version = landlock_version();
	struct ruleset_attr attr = { 0 };
	BB_AUTO_CLOSE int ruleset = -1;

	if (version == 0)
		return -ENOSYS;
	attr.fs = all_fs(version);
	if (version >= 4 && !may_net)
		attr.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (version >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;

	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, attr_size(version), 0);
	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		int r = add_path(ruleset, &paths[i], attr.fs);

		if (r < 0)
			return r;
	}
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}
