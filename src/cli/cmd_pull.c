/* `bot-bottle pull`: what the agent changed, reviewed, into the operator's directory, a branch or a
 * patch. Order: fetch, refuse what has to be refused, ask, and only then write. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limit.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/pull.h"
#include "cli/signals.h"
#include "workspace/apply.h"
#include "workspace/incoming.h"

static const struct cli_option options[] = {
	{ "into", 0, CLI_VALUE, "DIR", CLI_WORD_DIR,
	  "this directory, not the one that was copied in" },
	{ "branch", 0, CLI_VALUE, "NAME", CLI_WORD_ANY,
	  "a new branch with the agent's commits; the working tree stays as it is" },
	{ "squash", 0, CLI_FLAG, NULL, CLI_WORD_ANY,
	  "with --branch: one commit, not the agent's own" },
	{ "patch", 0, CLI_VALUE, "FILE", CLI_WORD_FILE,
	  "a patch in a new file; nothing else is changed" },
	{ "allow", 0, CLI_VALUE, "PATH", CLI_WORD_ANY,
	  "take this file, or all below it, though a host runs it; repeatable" },
	{ "leave-risky", 0, CLI_FLAG, NULL, CLI_WORD_ANY,
	  "leave every other such file in the bottle" },
	{ "yes", 'y', CLI_FLAG, NULL, CLI_WORD_ANY, "ask nothing; what is risky must be named" },
};

static const struct cli_example examples[] = {
	{ "bot-bottle pull implementer-3k9x2", "into the directory it came from, after a review" },
	{ "bot-bottle pull implementer-3k9x2 --branch agent/fix",
	  "as a branch of your repository" },
	{ "bot-bottle pull implementer-3k9x2 --patch fix.patch", "as a patch to read and apply" },
};

struct pull {
	const struct cli_args *args;
	struct cli_bring bring;
	struct pull_choice choice;
	char *dir; /* the operator's directory, resolved */
};

static void pull_done(struct pull *p)
{
	cli_bring_done(&p->bring);
	bb_strv_free(p->choice.allow);
	free(p->dir);
}

static int choose_dir(struct pull *p, struct bb_err *err)
{
	BB_AUTO_FREE char *origin = ledger_origin(p->bring.ledger);
	const char *want = cli_args_get(p->args, "into");
	struct stat st;

	if (want == NULL)
		want = origin;
	if (want == NULL)
		return bb_err_set(err, BB_E_USAGE, "say with --into DIR where to");
	p->dir = realpath(want, NULL);
	if (p->dir == NULL || stat(p->dir, &st) < 0)
		return bb_err_errno(err, "'%s'", want);
	return S_ISDIR(st.st_mode) ? 0
				   : bb_err_set(err, BB_E_USAGE, "'%s' is not a directory", p->dir);
}

/* 1 yes; 0 no. */
static int confirm(const struct pull *p, const char *what, struct bb_err *err)
{
	size_t count = 0;
	BB_AUTO_FREE char *question = NULL;

	for (size_t i = 0; i < p->bring.review.count; i++)
		count += p->bring.review.changes[i].is_taken;
	if (p->choice.asks_nothing)
		return 1;
	question = bb_text_printf("%zu change%s %s?", count, count == 1 ? "" : "s", what);
	return question == NULL ? bb_err_set(err, -ENOMEM, "out of memory")
				: cli_out_ask(question, err);
}

static bool has_taken(const struct review *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->changes[i].is_taken)
			return true;
	return false;
}

/* --- into the directory ------------------------------------------------------------------------
 */

static int pull_apply(struct pull *p, struct bb_err *err)
{
	struct cli_bring *b = &p->bring;
	BB_AUTO_FREE char *what = NULL;
	size_t count = 0;
	int r = apply_recover(p->dir, err);

	if (r > 0)
		cli_out_note("an earlier pull was interrupted; what it had done is undone");
	if (r >= 0)
		r = pull_check_conflicts(b, p->dir, &b->review, err);
	if (r < 0)
		return r;
	pull_print(&b->review);
	r = pull_ask_risky(&p->choice, &b->review, false, err);
	what = bb_text_printf("into '%s'", p->dir);
	if (r == 0 && !has_taken(&b->review)) {
		cli_out_note("nothing is left to bring over");
		return 0;
	}
	if (r == 0)
		r = what == NULL ? bb_err_set(err, -ENOMEM, "out of memory")
				 : confirm(p, what, err);
	if (r <= 0) {
		if (r == 0)
			cli_out_note("nothing was changed");
		return r;
	}
	r = apply_changes(p->dir, b->tree, &b->review, cli_signals_wait, &count, err);
	if (r == 0)
		cli_out_note("%zu change%s brought over to %s", count, count == 1 ? "" : "s",
			     p->dir);
	return r;
}

/* --- a patch -----------------------------------------------------------------------------------
 */

/* The ledger's tree with what was taken: on the copied files, or on a commit. */
static int make_tree(struct pull *p, const char *from, char ret[LEDGER_ID_MAX], struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf edits = { 0 };

	bb_buf_init(&edits, LIMIT_GIT_OUTPUT);
	if (review_edits(&p->bring.review, &edits) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return ledger_edit(p->bring.ledger, p->bring.staging, from, bb_buf_peek(&edits), ret, err);
}

static int pull_patch(struct pull *p, const char *file, struct bb_err *err)
{
	struct cli_bring *b = &p->bring;
	BB_AUTO_CLOSE int fd = -1;
	char tree[LEDGER_ID_MAX];
	struct ledger_git how = { 0 };
	int r;

	pull_print(&b->review);
	r = pull_ask_risky(&p->choice, &b->review, false, err);
	if (r == 0)
		r = make_tree(p, LEDGER_BASE, tree, err);
	if (r < 0)
		return r;
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return bb_err_errno(err, "cannot make '%s'", file);
	how.out_fd = fd;
	r = ledger_git(b->ledger, &how,
		       (const char *const[]){ "diff", "--no-ext-diff", "--no-textconv", "--binary",
					      "--full-index", "--no-renames", LEDGER_BASE, tree,
					      NULL },
		       err);
	if (r < 0 || fsync(fd) < 0) {
		r = r < 0 ? r : bb_err_errno(err, "cannot write '%s'", file);
		(void)unlink(file); /* half a patch is worse than none */
		return r;
	}
	cli_out_note("the patch is in %s; apply it with: git apply %s", file, file);
	return 0;
}

/* --- a branch ----------------------------------------------------------------------------------
 */

static int by_path(const void *a, const void *b)
{
	const struct review_change *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* A path that several commits touch is asked for once, when any of them makes it risky. */
static void ask_once(struct review *r)
{
	if (r->count > 0)
		qsort(r->changes, r->count, sizeof(*r->changes), by_path);
	for (size_t i = 1; i < r->count; i++) {
		struct review_change *last = &r->changes[i - 1], *c = &r->changes[i];

		if (strcmp(last->path, c->path) != 0)
			continue;
		last->is_taken = false;
		if (c->risk.n == 0)
			c->risk = last->risk;
	}
}

/* Names and files of every commit of the agent, not of its last state only. */
static int review_commits(struct pull *p, const char *head, struct bb_err *err)
{
	__attribute__((cleanup(review_done))) struct review all = { 0 };
	BB_AUTO_BUF struct bb_buf raw = { 0 };
	int r;

	bb_buf_init(&raw, LIMIT_GIT_OUTPUT);
	r = incoming_raw(p->bring.ledger, head, &raw, err);
	if (r == 0)
		r = review_read(bb_buf_peek(&raw), &all, err);
	if (r == 0)
		r = review_check_names(&all, strlen(p->dir), err);
	if (r < 0)
		return r;
	review_judge(&all);
	ask_once(&all);
	if (has_taken(&all)) {
		cli_out_note("in the agent's commits:");
		pull_print(&all);
	}
	return pull_ask_risky(&p->choice, &all, true, err);
}

/* The commit that the branch will be. */
static int make_commit(struct pull *p, char ret[LEDGER_ID_MAX], struct bb_err *err)
{
	struct cli_bring *b = &p->bring;
	BB_AUTO_FREE char *message = bb_text_printf("Changes of bottle %s\n", b->identity);
	BB_AUTO_FREE char *its_tree = NULL;
	char tree[LEDGER_ID_MAX] = "", old[LEDGER_ID_MAX], parent[LEDGER_ID_MAX] = "";
	int r = 0;

	if (!cli_args_has(p->args, "squash"))
		r = incoming_commits(b->ledger, b->staging, b->tree, parent, err);
	if (r == 0 && parent[0] != '\0')
		r = review_commits(p, parent, err);
	if (r == 0 && parent[0] == '\0')
		r = ledger_ask_id(
			b->ledger, &(struct ledger_git){ 0 },
			(const char *const[]){ "rev-parse", "-q", "--verify", LEDGER_START, NULL },
			parent, err);
	if (r == 0)
		r = make_tree(p, parent, tree, err);
	its_tree = bb_text_printf("%s^{tree}", parent);
	if (r == 0 && (its_tree == NULL || message == NULL))
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = ledger_ask_id(b->ledger, &(struct ledger_git){ 0 },
				  (const char *const[]){ "rev-parse", "--verify", its_tree, NULL },
				  old, err);
	if (r == 0 && strcmp(old, tree) != 0)
		return ledger_commit(b->ledger, tree, parent, message, ret, err);
	memcpy(ret, parent, sizeof(parent));
	return r;
}

static int pull_branch(struct pull *p, const char *branch, struct bb_err *err)
{
	struct cli_bring *b = &p->bring;
	BB_AUTO(repo) struct repo *repo = NULL;
	BB_AUTO_FREE char *what = bb_text_printf("as branch '%s'", branch);
	char start[LEDGER_ID_MAX], commit[LEDGER_ID_MAX];
	int r = repo_find(p->dir, &repo, err);

	if (r == 0)
		r = ledger_ask_id(
			b->ledger, &(struct ledger_git){ .may_fail = true },
			(const char *const[]){ "rev-parse", "-q", "--verify", LEDGER_START, NULL },
			start, err);
	if (r == 0 && (repo == NULL || start[0] == '\0' || what == NULL))
		return bb_err_set(
			err, BB_E_USAGE,
			"--branch needs a repository with a commit that the bottle got a clone of; "
			"use --patch FILE, or neither");
	if (r == 0)
		r = incoming_check_branch(b->ledger, repo, branch, err);
	if (r < 0)
		return r;
	pull_print(&b->review);
	r = pull_ask_risky(&p->choice, &b->review, false, err);
	if (r == 0)
		r = make_commit(p, commit, err);
	if (r == 0)
		r = confirm(p, what, err);
	if (r <= 0) {
		if (r == 0)
			cli_out_note("nothing was changed");
		return r;
	}
	r = incoming_branch(b->ledger, repo, b->staging, commit, branch, err);
	if (r == 0)
		cli_out_note("branch '%s' is made; look at it with: git log -p HEAD..%s", branch,
			     branch);
	return r;
}

/* --- the command -------------------------------------------------------------------------------
 */

static int pull(struct pull *p, struct bb_err *err)
{
	const char *branch = cli_args_get(p->args, "branch"),
		   *patch = cli_args_get(p->args, "patch");
	int r = 0;

	if (branch != NULL && patch != NULL)
		return bb_err_set(err, BB_E_USAGE, "--branch and --patch exclude each other");
	if (cli_args_has(p->args, "squash") && branch == NULL)
		return bb_err_set(err, BB_E_USAGE, "--squash belongs to --branch");
	p->choice.allow = cli_args_all(p->args, "allow");
	p->choice.leaves_risky = cli_args_has(p->args, "leave-risky");
	p->choice.asks_nothing = cli_args_has(p->args, "yes");
	if (p->choice.allow == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = cli_bring_fetch(p->args->operands[0], &p->bring, err);
	if (r == 0)
		r = choose_dir(p, err);
	if (r < 0)
		return r;
	if (p->bring.is_unchanged || (p->bring.review.count == 0 && branch == NULL)) {
		cli_out_note("nothing was changed");
		return 0;
	}
	r = pull_check_names(&p->bring, p->dir, err);
	if (r < 0)
		return r;
	review_judge(&p->bring.review);
	if (branch != NULL)
		return pull_branch(p, branch, err);
	return patch != NULL ? pull_patch(p, patch, err) : pull_apply(p, err);
}

static int run_pull(const struct cli_args *args)
{
	__attribute__((cleanup(pull_done))) struct pull p = { .args = args,
							      .bring = { .lock = -1 } };
	struct bb_err err = { 0 };
	int r = cli_signals_open(&err);

	if (r == 0)
		r = pull(&p, &err);
	return r < 0 ? cli_out_fail(&err) : 0;
}

const struct cli_command cli_pull = {
	.name = "pull",
	.operands = "ID",
	.summary = "Bring what the agent changed back, reviewed",
	.about =
		"Fetches the workspace of a bottle that runs, or the one that was kept, lists what "
		"changed and asks.\nFiles that a host runs or obeys (Makefile, package.json, "
		".github/workflows, new executable bits,\nsymbolic links; the list is "
		"share/bot-bottle/host-run-files.txt) are asked for one by one. Names with\n'..', "
		"in "
		"'.git' or that differ in case only, links out of the tree, devices and FIFOs are "
		"refused.\nAll changes are written or none. A file that you changed meanwhile is a "
		"conflict and ends the pull.\nThe guest's own .git is never used: its objects are "
		"taken "
		"into a quarantine and checked strictly.",
	CLI_OPTIONS(options),
	CLI_EXAMPLES(examples),
	.operands_min = 1,
	.operands_max = 1,
	.word = CLI_WORD_ID,
	.run = run_pull,
};
