/*
 * The ledger: a repository of bot-bottle's own in a bottle's state directory. It holds a clean
 * clone of the operator's repository (branches, tags, remote branches; no hooks, no configuration,
 * no reflog, no stash), which is what the guest gets as .git, and one commit of the very files that
 * were copied in. What a guest gives back is compared with that commit, so nothing that the guest
 * says about the past counts.
 *
 * Its configuration and attributes are ours: no filter, no end-of-line conversion, bytes stay
 * bytes.
 */
#ifndef BB_WORKSPACE_LEDGER_H
#define BB_WORKSPACE_LEDGER_H

#include "base/cleanup.h"
#include "workspace/list.h"

#define LEDGER_NAME "ledger.git"
#define LEDGER_BASE "refs/bot-bottle/base" /* what was copied in */
#define LEDGER_START \
	"refs/bot-bottle/start" /* the operator's HEAD then; none: unborn, no history */

#define LEDGER_ID_MAX 65 /* an object's name and its NUL */

struct ledger {
	char *dir;
	char *env[2]; /* GIT_DIR */
	workspace_wait_fn *wait;
};

/* A ledger that is there, or is to be made, in the state directory. */
int ledger_open(const char *state_dir, workspace_wait_fn *wait, struct ledger **ret,
		struct bb_err *err);
void ledger_free(struct ledger *l);
BB_DEFINE_AUTO(ledger, ledger_free)
bool ledger_exists(const char *state_dir);

/* Makes it, with the history when the list has one. */
int ledger_make(struct ledger *l, const struct workspace_list *list, struct bb_err *err);
/* The files of a guest's .git, as a list for the archive process: NUL-terminated, below l->dir. */
int ledger_guest_files(const struct ledger *l, struct bb_buf *ret, struct bb_err *err);
/* The text of a guest's .git/config: ours, with the remotes' addresses without credentials. notes
 * gets a sentence for each credential that was taken out. */
int ledger_guest_config(const struct ledger *l, const struct workspace_list *list, char **ret,
			char ***notes, struct bb_err *err);
/* Records the copied files as LEDGER_BASE. After the guest has got its .git. */
int ledger_record(struct ledger *l, const struct workspace_list *list, struct bb_err *err);

/* The directory that was copied, on the heap; NULL: it is not noted. */
char *ledger_origin(const struct ledger *l);

/* One git in the ledger; dirs: others that it may use (paths), access: 'r' or 'w' for each. */
struct ledger_git {
	const char *dirs[4];
	const char *access;
	char *const *env; /* beside GIT_DIR; at most 6 */
	struct bb_view input;
	int in_fd, out_fd; /* 0: none */
	struct bb_buf *out;
	bool may_fail;
};
int ledger_git(const struct ledger *l, const struct ledger_git *how, const char *const *args,
	       struct bb_err *err);
/* The same for one line of output, an object's name; "" with may_fail when there is none. */
int ledger_ask_id(const struct ledger *l, const struct ledger_git *how, const char *const *args,
		  char ret[LEDGER_ID_MAX], struct bb_err *err);

/*
 * The state of a directory as a tree of the ledger, beginning from `from` (a tree or commit): of
 * `paths` (NUL-terminated) each is taken as it is there now: a file or link, or gone. scratch: a
 * directory of ours for the index. No link is followed, no filter runs.
 */
int ledger_snapshot(const struct ledger *l, const char *dir, const char *scratch, const char *from,
		    struct bb_view paths, char ret[LEDGER_ID_MAX], struct bb_err *err);
/* A tree made of `from` with changes in the form of `git update-index -z --index-info`. */
int ledger_edit(const struct ledger *l, const char *scratch, const char *from, struct bb_view edits,
		char ret[LEDGER_ID_MAX], struct bb_err *err);
/* Every path of a guest's working tree that counts: tracked in `from`, or new and not ignored by
 * the tree's own .gitignore. Repositories inside are left out, notes gets their names. */
int ledger_paths(const struct ledger *l, const char *dir, const char *scratch, const char *from,
		 struct bb_buf *ret, char ***notes, struct bb_err *err);
/* Differences of two trees as `--raw -z`; see review.h. */
int ledger_raw(const struct ledger *l, const char *from, const char *to, struct bb_buf *ret,
	       struct bb_err *err);
/* A commit of a tree. parent may be "". */
int ledger_commit(const struct ledger *l, const char *tree, const char *parent, const char *message,
		  char ret[LEDGER_ID_MAX], struct bb_err *err);

#endif
