/* Where the operator's own repository is: plain files read by hand, no git. */
#ifndef BB_WORKSPACE_REPO_H
#define BB_WORKSPACE_REPO_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "workspace/git.h"

#define REPO_ALTERNATES_MAX 2

struct repo {
	char *top;        /* the working tree's root */
	char *git_dir;    /* .git, or what a .git file names (worktree, submodule) */
	char *common_dir; /* where objects and branches are; git_dir when it is no linked worktree
			   */
	char *alternates[REPO_ALTERNATES_MAX + 1]; /* other object directories, NULL-terminated */
	char *env[4];                              /* GIT_DIR and GIT_WORK_TREE */
	char *excludes; /* the operator's own file of ignored names; NULL: none */
};

/* The repository that dir (absolute, resolved) is in, *ret NULL when it is in none. One that
 * belongs to somebody else is an error, as for git itself: its configuration is not the operator's.
 */
int repo_find(const char *dir, struct repo **ret, struct bb_err *err);
void repo_free(struct repo *r);
BB_DEFINE_AUTO(repo, repo_free)

/* A git in dir (inside the repository) that may read all of the repository. extra: one more
 * directory that it may write, or NULL. access has room for GIT_DIRS_MAX + 1. */
void repo_call(const struct repo *r, const char *dir, const char *extra, struct git_call *ret,
	       char *access);

#endif
