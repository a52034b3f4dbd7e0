/*
 * bot-bottle-git ACCESS ARGUMENTS...: runs the host's git, confined. ACCESS has one letter for each
 * descriptor from 3 on, 'r' or 'w': directories (or files) that git may read, or write as well. 3
 * is where it works. 0, 1 and 2 are git's. Started by bot-bottle; the arguments are the operator's
 * and ours, the bytes that git reads may be a guest's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/text.h"
#include "role/git/harden.h"
#include "sys/sandbox.h"
#include "sys/tools.h"

#define FIRST_FD 3

static int read_trees(const char *access, struct sandbox_tree *trees, size_t *ret_count,
		      struct bb_err *err)
{
	size_t n = strlen(access);

	if (n == 0 || n > SANDBOX_TREES_MAX || strspn(access, "rw") != n)
		return bb_err_set(err, BB_E_USAGE,
				  "bot-bottle-git is started by bot-bottle, not by hand");
	for (size_t i = 0; i < n; i++) {
		trees[i] = (struct sandbox_tree){ .fd = FIRST_FD + (int)i,
						  .may_write = access[i] == 'w' };
		if (fcntl(trees[i].fd, F_SETFD, FD_CLOEXEC) < 0)
			return bb_err_errno(err, "descriptor %d", trees[i].fd);
	}
	*ret_count = n;
	return 0;
}

/* A decompression bomb fills the limit of one file, not the disk or the memory. */
static int set_limits(struct bb_err *err)
{
	static const struct {
		__rlimit_resource_t which;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_FSIZE, LIMIT_ARCHIVE_BYTES },
		{ RLIMIT_DATA, LIMIT_GIT_MEMORY },
		{ RLIMIT_NOFILE, 1024 },
	};

	for (size_t i = 0; i < BB_ARRAY_LEN(limits); i++) {
		struct rlimit limit;

		if (getrlimit(limits[i].which, &limit) < 0)
			return bb_err_errno(err, "limits");
		if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max <= limits[i].value)
			continue;
		limit.rlim_cur = limit.rlim_max = limits[i].value;
		if (setrlimit(limits[i].which, &limit) < 0)
			return bb_err_errno(err, "limits");
	}
	return 0;
}

static int run(int argc, char **argv, struct bb_err *err)
{
	static const char *const paths[] = TOOLS_GIT;
	struct sandbox_tree trees[SANDBOX_TREES_MAX];
	BB_AUTO_STRV char **git = NULL, **env = NULL;
	size_t count = 0;
	int r = argc < 3 ? bb_err_set(err, BB_E_USAGE,
				      "bot-bottle-git is started by bot-bottle, not by hand")
			 : read_trees(argv[1], trees, &count, err);

	if (r == 0)
		r = sandbox_early(FIRST_FD + (int)count, err);
	if (r == 0 && fchdir(FIRST_FD) < 0)
		r = bb_err_errno(err, "cannot enter the directory");
	if (r == 0)
		r = set_limits(err);
	if (r < 0)
		return r;
	git = harden_argv(argv + 2);
	env = harden_env(environ);
	if (git == NULL || env == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	(void)umask(077);
	r = sandbox_lock_tool(trees, count, err);
	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(paths); i++)
		(void)execve(paths[i], git, env);
	return r < 0 ? r
		     : bb_err_set(err, BB_E_MISSING, "git is not there: install the package git");
}

int main(int argc, char **argv)
{
	struct bb_err err = { 0 };

	(void)run(argc, argv, &err);
	(void)fprintf(stderr, "%s\n", err.msg);
	return 125;
}
