/* Landlock by raw system calls: libc has no wrappers and the installed header may be older than the
 * kernel. */
#ifndef BB_SYS_LINUX_LANDLOCK_H
#define BB_SYS_LINUX_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

enum landlock_access {
	LANDLOCK_READ_FILE,  /* one file, or the files below a directory */
	LANDLOCK_READ_TREE,  /* files and directories of a tree */
	LANDLOCK_RUN_TREE,   /* the same, and its programs may be executed */
	LANDLOCK_WRITE_FILE, /* one file, read and written: /dev/null */
	LANDLOCK_READ_WRITE, /* all of a tree but device nodes, sockets and execution */
};

struct landlock_path {
	int fd; /* O_PATH or better; borrowed */
	enum landlock_access access;
};

/* The kernel's Landlock version, 0 when it has none or it is switched off. */
int landlock_version(void);
/*
 * From here on this process reaches no file but `paths`; where the kernel knows how (6.7, 6.12) no
 * TCP port unless may_net, no abstract Unix socket and no signal outside of itself. Needs
 * no_new_privs. 0 or -errno; -ENOSYS or -EOPNOTSUPP: not there.
 */
int landlock_restrict(const struct landlock_path *paths, size_t count, bool may_net);

#endif
