/* See bring.h. */
#include "cli/bring.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limit.h"
#include "base/path.h"
#include "base/text.h"
#include "cli/control.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "cli/transfer.h"

#define NESTED_SHOWN 10

void cli_bring_done(struct cli_bring *b)
{
	struct bb_err ignored = { 0 };

	if (b->staging != NULL && b->lock >= 0)
		(void)bb_path_remove_tree(b->staging, &ignored); /* the next one removes it first */
	review_done(&b->review);
	ledger_free(b->ledger);
	store_meta_free(b->meta);
	if (b->lock >= 0)
		(void)close(b->lock);
	free(b->identity);
	free(b->staging);
	free(b->tree);
}

/* One diff or pull of a bottle at a time: they share the place where the tree is put. */
static int make_staging(struct cli_bring *b, const char *state, struct bb_err *err)
{
	BB_AUTO_FREE char *lock = bb_text_printf("%s/pull.lock", state);

	b->staging = bb_text_printf("%s/pull", state);
	b->tree = bb_text_printf("%s/pull/tree", state);
	if (lock == NULL || b->staging == NULL || b->tree == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	b->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->lock < 0)
		return bb_err_errno(err, "cannot write below '%s'", state);
	if (flock(b->lock, LOCK_EX | LOCK_NB) < 0) {
		(void)close(bb_take_fd(&b->lock));
		return bb_err_set(err, -EBUSY, "another diff or pull of '%s' is running",
				  b->identity);
	}
	if (bb_path_remove_tree(b->staging, err) < 0)
		return err->code;
	return bb_path_mkdirs(b->tree, 0700, err);
}

static int fetch_living(struct cli_bring *b, int dir, struct bb_err *err)
{
	BB_AUTO(cli_control) struct cli_control *c = NULL;
	int r = cli_control_connect(b->identity, &c, err);

	return r < 0 ? r : cli_transfer_review(c, b->meta->guest_workspace, -1, dir, err);
}

static int fetch_kept(const char *state, int dir, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/workspace.frames", state);
	BB_AUTO_CLOSE int fd = -1;

	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? bb_err_errno(err, "cannot read '%s'", path)
		      : cli_transfer_review(NULL, NULL, fd, dir, err);
}

/* Fetches the tree, or finds that there is none to fetch. */
static int fetch(struct cli_bring *b, const char *state, struct bb_err *err)
{
	bool is_alive = store_is_alive(b->identity);
	BB_AUTO_CLOSE int dir = -1;

	if (!is_alive && !b->meta->workspace_kept) {
		if (b->meta->problem != NULL)
			return bb_err_set(err, BB_E_USAGE, "'%s' has ended, and %s", b->identity,
					  b->meta->problem);
		b->is_unchanged = true;
		return 0;
	}
	dir = open(b->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return bb_err_errno(err, "cannot open '%s'", b->tree);
	return is_alive ? fetch_living(b, dir, err) : fetch_kept(state, dir, err);
}

static void tell_nested(char *const *paths)
{
	size_t count = bb_strv_len(paths);

	for (size_t i = 0; i < count && i < NESTED_SHOWN; i++)
		cli_out_note("'%s' is a repository inside the workspace; it stays in the bottle",
			     BB_ESCAPED(bb_view_str(paths[i])));
	if (count > NESTED_SHOWN)
		cli_out_note("and %zu more repositories inside", count - NESTED_SHOWN);
}

static int compare(struct cli_bring *b, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf paths = { 0 }, raw = { 0 };
	BB_AUTO_STRV char **nested = NULL;
	int r;

	bb_buf_init(&paths, LIMIT_GIT_OUTPUT);
	bb_buf_init(&raw, LIMIT_GIT_OUTPUT);
	if (isatty(STDERR_FILENO))
		cli_out_step("comparing");
	r = ledger_paths(b->ledger, b->tree, b->staging, LEDGER_BASE, &paths, &nested, err);
	if (r == 0)
		r = ledger_snapshot(b->ledger, b->tree, b->staging, LEDGER_BASE,
				    bb_buf_peek(&paths), b->result, err);
	if (r == 0)
		r = ledger_raw(b->ledger, LEDGER_BASE, b->result, &raw, err);
	if (r == 0)
		r = review_read(bb_buf_peek(&raw), &b->review, err);
	cli_out_step(NULL);
	if (r == 0 && nested != NULL)
		tell_nested(nested);
	return r;
}

int cli_bring_fetch(const char *name, struct cli_bring *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *state = NULL;
	int r;

	*ret = (struct cli_bring){ .lock = -1 };
	ret->identity = cli_control_resolve(name, err);
	if (ret->identity == NULL)
		return err->code;
	state = store_state_dir(ret->identity, err);
	if (state == NULL)
		return err->code;
	r = store_meta_read(ret->identity, &ret->meta, err);
	if (r < 0)
		return r;
	if (ret->meta->guest_workspace == NULL || !ledger_exists(state))
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' has no recorded workspace: it was started without --cwd%s",
				  ret->identity,
				  git_is_there() ? "" : ", or without git on this host");
	r = make_staging(ret, state, err);
	if (r == 0)
		r = ledger_open(state, cli_signals_wait, &ret->ledger, err);
	if (r == 0)
		r = fetch(ret, state, err);
	return r < 0 || ret->is_unchanged ? r : compare(ret, err);
}
