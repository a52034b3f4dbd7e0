/*
 * See copyin.h. Order: the files, then the clean clone as .git, then the record of what was copied
 * (the ledger's base), which must not reach the guest's .git.
 */
#include "cli/copyin.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limit.h"
#include "base/text.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "cli/transfer.h"
#include "store/store.h"
#include "workspace/ledger.h"
#include "workspace/list.h"

#define LEFT_SHOWN 40

int cli_copyin_list(struct cli_config *c, struct bb_err *err)
{
	const struct workspace_want want = {
		.wait = cli_signals_wait, .dir = c->cwd, .include = c->include, .no_git = c->no_git
	};

	if (c->cwd == NULL)
		return 0;
	return workspace_list(&want, &c->files, err) < 0
		       ? bb_err_wrap(err, "cannot list the workspace '%s'", c->cwd)
		       : 0;
}

/* The page, or notes; the page's first failure is kept. */
struct sink {
	struct bb_buf *page;
	int result;
};

static void say(struct sink *to, const char *text)
{
	if (to->page == NULL)
		cli_out_note("%s", text);
	else if (to->result == 0)
		to->result = bb_buf_printf(to->page, "#   %s\n", text);
}

static void say_left(const struct workspace_list *l, struct sink *to)
{
	size_t tracked = 0;

	for (size_t i = 0; i < l->left_count; i++) {
		const struct workspace_left *f = &l->left[i];
		char path[300], text[512];

		tracked += l->has_history && f->is_tracked;
		if (i >= LEFT_SHOWN)
			continue;
		(void)bb_text_escape(path, sizeof(path), bb_view_str(f->path), 200);
		(void)snprintf(text, sizeof(text),
			       "left out: '%s': %s (--include takes it along)%s", path, f->why,
			       l->has_history && f->is_tracked
				       ? "; it is COMMITTED: the agent will SEE it in the history"
				       : "");
		say(to, text);
	}
	if (l->left_count > LEFT_SHOWN) {
		char text[80];

		(void)snprintf(text, sizeof(text), "left out: %zu more",
			       l->left_count - LEFT_SHOWN);
		say(to, text);
	}
	if (tracked > 0)
		say(to, "--no-git leaves the history out, with what is committed in it");
}

static void say_all(const struct cli_config *c, struct sink *to)
{
	const struct workspace_list *l = c->files;
	char text[512];

	if (c->cwd == NULL)
		return;
	if (l == NULL) {
		say(to, "which files go along is listed at the start, not in a dry run");
		return;
	}
	(void)snprintf(text, sizeof(text), "%zu files, %llu KiB%s", l->count,
		       (unsigned long long)(l->bytes + 1023) >> 10,
		       l->repo != NULL ? "; what git ignores stays here" : "");
	if (to->page != NULL)
		say(to, text);
	if (to->page != NULL && l->has_history)
		say(to, ".git: a clean clone of branches and tags; no hooks, no configuration");
	if (l->repo != NULL && !l->has_history) {
		(void)snprintf(text, sizeof(text),
			       "it is a part of '%.200s', whose history stays here", l->repo->top);
		say(to, text);
	}
	for (size_t i = 0; l->taken != NULL && l->taken[i] != NULL; i++) {
		char path[300];

		(void)bb_text_escape(path, sizeof(path), bb_view_str(l->taken[i]), 200);
		(void)snprintf(text, sizeof(text), "the agent will SEE '%s' (--include)", path);
		say(to, text);
	}
	say_left(l, to);
	if (!git_is_there())
		say(to, "git is not installed here: 'bot-bottle diff' and 'pull' will not work");
}

int cli_copyin_print(const struct cli_config *c, struct bb_buf *page)
{
	struct sink to = { .page = page };

	say_all(c, &to);
	return to.result;
}

/* --- copying ---------------------------------------------------------------------------------- */

static int put_files(struct cli_control *control, const struct workspace_list *l,
		     struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf all = { 0 };
	BB_AUTO_CLOSE int dir = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? bb_err_errno(err, "cannot read '%s'", l->dir) : 0;

	bb_buf_init(&all, (size_t)2 * LIMIT_GIT_OUTPUT);
	for (size_t i = 0; r == 0 && l->empty_dirs != NULL && l->empty_dirs[i] != NULL; i++)
		if (bb_buf_append(&all, l->empty_dirs[i], strlen(l->empty_dirs[i]) + 1) < 0)
			r = bb_err_set(err, -ENOMEM, "out of memory");
	if (r == 0 && bb_buf_append_view(&all, bb_buf_peek(&l->paths)) < 0)
		r = bb_err_set(err, -ENOMEM, "out of memory");
	if (r == 0) {
		const struct cli_transfer_list list = { .dir_fd = dir,
							.paths = bb_buf_peek(&all),
							.total_bytes = l->bytes,
							.as_name = "." };

		r = cli_transfer_put_list(control, &list, PROVIDER_WORKSPACE, err);
	}
	return r;
}

static int put_history(struct cli_control *control, const struct ledger *ledger,
		       const struct workspace_list *l, struct bb_err *err)
{
	BB_AUTO_CLOSE int dir = open(ledger->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	BB_AUTO_BUF struct bb_buf paths = { 0 };
	BB_AUTO_STRV char **notes = NULL;
	struct provider_file config = { .path = (char[]){ "config" } };
	struct cli_transfer_list list = { .dir_fd = dir, .as_name = "." };
	int r = dir < 0 ? bb_err_errno(err, "cannot read '%s'", ledger->dir) : 0;

	bb_buf_init(&paths, LIMIT_GIT_OUTPUT);
	if (r == 0)
		r = ledger_guest_files(ledger, &paths, err);
	if (r == 0)
		r = ledger_guest_config(ledger, l, &config.content, &notes, err);
	list.paths = bb_buf_peek(&paths);
	if (r == 0)
		r = cli_transfer_put_list(control, &list, PROVIDER_WORKSPACE "/.git", err);
	if (r == 0)
		r = cli_transfer_put_files(control, &config, 1, PROVIDER_WORKSPACE "/.git", err);
	for (size_t i = 0; r == 0 && notes != NULL && notes[i] != NULL; i++)
		cli_out_note("%s", notes[i]);
	free(config.content);
	return r;
}

static int copy(struct cli_control *control, const struct cli_config *c, const char *identity,
		struct bb_err *err)
{
	BB_AUTO_FREE char *state = store_state_dir(identity, err);
	BB_AUTO(ledger) struct ledger *ledger = NULL;
	int r = state == NULL ? err->code : ledger_open(state, cli_signals_wait, &ledger, err);
	bool has_git = git_is_there();

	if (r == 0)
		r = put_files(control, c->files, err);
	if (r == 0 && has_git) {
		if (isatty(STDERR_FILENO))
			cli_out_step("recording the workspace");
		r = ledger_make(ledger, c->files, err);
	}
	if (r == 0 && has_git && c->files->has_history)
		r = put_history(control, ledger, c->files, err);
	if (r == 0 && has_git)
		r = ledger_record(ledger, c->files, err);
	cli_out_step(NULL);
	return r;
}

int cli_copyin(struct cli_control *control, const struct cli_config *c, const char *identity,
	       struct bb_err *err)
{
	if (c->cwd == NULL)
		return 0;
	return copy(control, c, identity, err) < 0
		       ? bb_err_wrap(err, "cannot copy '%s' into the bottle", c->cwd)
		       : 0;
}
