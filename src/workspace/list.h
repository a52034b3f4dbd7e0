/*
 * What of a directory goes into a bottle. In a repository: what git tracks or would offer to add,
 * so that ignored files stay; elsewhere everything. Files that look like credentials stay too.
 * Either is taken when the operator names it (include). No symbolic link is followed; the directory
 * is the operator's, but may hold names that somebody else chose.
 */
#ifndef BB_WORKSPACE_LIST_H
#define BB_WORKSPACE_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "workspace/repo.h"

struct workspace_left {
	char *path;
	const char *why; /* static */
	bool is_tracked; /* a credential that the history holds as well */
};

struct workspace_list {
	char *dir;           /* absolute, resolved */
	struct repo *repo;   /* NULL: no repository, or not wanted */
	bool has_history;    /* dir is the repository's root, so .git goes along as a clean clone */
	struct bb_buf paths; /* NUL-terminated, relative: files and links */
	char **empty_dirs;   /* without a repository: what no file's path would make */
	size_t count;
	uint64_t bytes;
	struct workspace_left *left; /* credentials and repositories inside, not the ignored */
	size_t left_count;
	char **taken; /* credential-looking files that were named: the agent will see them */
	/* Lists while it is made. */
	int root_fd;
	char *const *include;
};

struct workspace_want {
	workspace_wait_fn *wait;
	const char *dir;
	char *const *include; /* NULL-terminated relative paths; may be NULL */
	bool no_git;
};

int workspace_list(const struct workspace_want *want, struct workspace_list **ret,
		   struct bb_err *err);
void workspace_list_free(struct workspace_list *l);
BB_DEFINE_AUTO(workspace_list, workspace_list_free)

#endif
