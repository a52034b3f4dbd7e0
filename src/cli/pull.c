/* See pull.h. Every name comes from a guest and is escaped before it is shown. */
#include "cli/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limit.h"
#include "base/text.h"
#include "cli/out.h"

#define NAMED_MAX 20 /* paths in one error's list */

static int list_tree(const struct ledger *l, const char *tree, struct bb_buf *ret,
		     struct bb_err *err)
{
	const struct ledger_git how = { .out = ret };

	bb_buf_init(ret, LIMIT_GIT_OUTPUT);
	return ledger_git(l, &how,
			  (const char *const[]){ "ls-tree", "-r", "-z", "--name-only",
						 "--full-tree", tree, NULL },
			  err);
}

int pull_check_names(const struct cli_bring *b, const char *dir, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf after = { 0 }, before = { 0 };
	int r = review_check_names(&b->review, strlen(dir), err);

	if (r == 0)
		r = list_tree(b->ledger, b->result, &after, err);
	if (r == 0)
		r = list_tree(b->ledger, LEDGER_BASE, &before, err);
	return r < 0 ? r : review_check_case(bb_buf_peek(&after), bb_buf_peek(&before), err);
}

static int by_path(const void *a, const void *b)
{
	const struct review_change *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* r: the state of dir against what was copied, for the review's paths; sorted. */
static int compare_now(const struct cli_bring *b, const char *dir, const struct review *r,
		       struct review *ret, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf paths = { 0 }, raw = { 0 };
	char now[LEDGER_ID_MAX];
	int failed = 0;

	bb_buf_init(&paths, LIMIT_GIT_OUTPUT);
	bb_buf_init(&raw, LIMIT_GIT_OUTPUT);
	for (size_t i = 0; failed == 0 && i < r->count; i++)
		failed = bb_buf_append(&paths, r->changes[i].path, strlen(r->changes[i].path) + 1);
	if (failed < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	failed = ledger_snapshot(b->ledger, dir, b->staging, LEDGER_BASE, bb_buf_peek(&paths), now,
				 err);
	if (failed == 0)
		failed = ledger_raw(b->ledger, LEDGER_BASE, now, &raw, err);
	if (failed == 0)
		failed = review_read(bb_buf_peek(&raw), ret, err);
	if (failed == 0 && ret->count > 0)
		qsort(ret->changes, ret->count, sizeof(*ret->changes), by_path);
	return failed;
}

static void name_path(struct bb_buf *names, size_t *count, const char *path)
{
	if (++*count <= NAMED_MAX)
		(void)bb_buf_printf(names, "%s'%s'", *count > 1 ? ", " : "",
				    BB_ESCAPED(bb_view_str(path))); /* full: the first ones count */
	else if (*count == NAMED_MAX + 1)
		(void)bb_buf_append_str(names, ", ...");
}

int pull_check_conflicts(const struct cli_bring *b, const char *dir, struct review *r,
			 struct bb_err *err)
{
	__attribute__((cleanup(review_done))) struct review now = { 0 };
	BB_AUTO_BUF struct bb_buf names = { 0 };
	BB_AUTO_FREE char *text = NULL;
	size_t count = 0;
	int failed = compare_now(b, dir, r, &now, err);

	bb_buf_init(&names, BB_ERR_MSG_MAX / 2);
	for (size_t i = 0; failed == 0 && i < r->count; i++) {
		struct review_change *c = &r->changes[i];
		const struct review_change *mine =
			now.count == 0 ? NULL
				       : bsearch(c, now.changes, now.count, sizeof(*c), by_path);

		if (mine == NULL)
			continue;
		if (mine->new_mode == c->new_mode && strcmp(mine->new_id, c->new_id) == 0)
			c->is_taken = false; /* it is so already */
		else
			name_path(&names, &count, c->path);
	}
	if (failed < 0 || count == 0)
		return failed;
	text = bb_buf_dup_str(&names);
	return bb_err_set(
		err, BB_E_REFUSED,
		"changed on both sides since the copy: %s; nothing was changed; use --branch NAME "
		"or --patch FILE, and merge",
		text != NULL ? text : "");
}

void pull_print(const struct review *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct review_change *c = &r->changes[i];
		char path[2048];

		if (!c->is_taken)
			continue;
		(void)bb_text_escape(path, sizeof(path), bb_view_str(c->path), 500);
		(void)fprintf(stderr, "  %c %s%s%.*s%s\n", c->status, path,
			      c->risk.n > 0 ? "   [" : "", BB_VIEW_ARG(c->risk),
			      c->risk.n > 0 ? "]" : "");
	}
}

/* A path itself, or a directory above it. */
static bool is_named(char *const *allow, const char *path)
{
	for (size_t i = 0; allow != NULL && allow[i] != NULL; i++) {
		size_t n = strlen(allow[i]);

		while (n > 1 && allow[i][n - 1] == '/')
			n--;
		if (strncmp(allow[i], path, n) == 0 && (path[n] == '\0' || path[n] == '/'))
			return true;
	}
	return false;
}

/* 1 yes, 0 no, negative: nobody there. */
static int ask(const struct review_change *c, struct bb_err *err)
{
	BB_AUTO_FREE char *question = NULL;
	char path[2048];

	(void)bb_text_escape(path, sizeof(path), bb_view_str(c->path), 500);
	question = bb_text_printf("%s '%s' (%.*s)?", c->new_mode == 0 ? "delete" : "take", path,
				  BB_VIEW_ARG(c->risk));
	return question == NULL ? bb_err_set(err, -ENOMEM, "out of memory")
				: cli_out_ask(question, err);
}

static int refuse_unnamed(const struct pull_choice *choice, const struct review *r,
			  struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf names = { 0 };
	BB_AUTO_FREE char *text = NULL;
	size_t count = 0;

	bb_buf_init(&names, BB_ERR_MSG_MAX / 2);
	for (size_t i = 0; i < r->count; i++)
		if (r->changes[i].is_taken && r->changes[i].risk.n > 0 &&
		    !is_named(choice->allow, r->changes[i].path))
			name_path(&names, &count, r->changes[i].path);
	text = bb_buf_dup_str(&names);
	return bb_err_set(
		err, BB_E_REFUSED,
		"a host would run or obey %s; nothing was changed; look at 'bot-bottle diff', then "
		"name each with --allow PATH, or say --leave-risky",
		text != NULL ? text : "");
}

int pull_ask_risky(const struct pull_choice *choice, struct review *r, bool must_have,
		   struct bb_err *err)
{
	for (size_t i = 0; i < r->count; i++) {
		struct review_change *c = &r->changes[i];
		int answer;

		if (!c->is_taken || c->risk.n == 0 || is_named(choice->allow, c->path))
			continue;
		answer = choice->leaves_risky ? 0 : choice->asks_nothing ? -EINVAL : ask(c, err);
		if (answer < 0)
			return refuse_unnamed(choice, r, err);
		if (answer == 0 && must_have)
			return bb_err_set(
				err, BB_E_REFUSED,
				"'%s' is in the agent's commits, so that it cannot be left out of "
				"them; say --squash for one commit without it",
				BB_ESCAPED(bb_view_str(c->path)));
		c->is_taken = answer > 0;
	}
	return 0;
}
