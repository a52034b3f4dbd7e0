/* `bot-bottle diff`: what the agent changed in its workspace. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limit.h"
#include "base/text.h"
#include "cli/bring.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "term/term.h"

static const struct cli_option options[] = {
	{ "stat", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "how much changed in each file" },
	{ "name-only", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "names only" },
};

static const struct cli_example examples[] = {
	{ "bot-bottle diff implementer-3k9x2", "everything, as a patch" },
	{ "bot-bottle diff implementer-3k9x2 --stat", "an overview" },
};

/* A terminal gets what draws; a file or pipe the bytes. */
static int show(const struct bb_buf *text, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	struct term_filter filter;
	struct bb_view v = bb_buf_peek(text);
	int r = 0;

	if (isatty(STDOUT_FILENO)) {
		bb_buf_init(&out, (size_t)4 * LIMIT_GIT_OUTPUT);
		term_filter_init(&filter, false);
		r = term_filter_feed(&filter, v, &out);
		if (r == 0)
			r = term_filter_finish(&filter, &out);
		v = bb_buf_peek(&out);
	}
	if (r == 0 && fflush(stdout) == 0)
		r = bb_fd_write_all(STDOUT_FILENO, v.p, v.n);
	return r < 0 && r != -EPIPE
		       ? bb_err_set(err, r, "cannot write the difference: %s", bb_err_name(r))
		       : 0;
}

static int diff(const struct cli_args *args, const struct cli_bring *b, struct bb_err *err)
{
	const char *form = cli_args_has(args, "stat")        ? "--stat=100"
			   : cli_args_has(args, "name-only") ? "--name-only"
							     : "--patch";
	const char *const git[] = { "diff",
				    "--no-ext-diff",
				    "--no-textconv",
				    "--find-renames",
				    isatty(STDOUT_FILENO) ? "--color=always" : "--color=never",
				    form,
				    LEDGER_BASE,
				    b->result,
				    NULL };
	BB_AUTO_BUF struct bb_buf out = { 0 };
	const struct ledger_git how = { .out = &out };
	int r;

	bb_buf_init(&out, LIMIT_GIT_OUTPUT);
	r = ledger_git(b->ledger, &how, git, err);
	return r < 0 ? r : show(&out, err);
}

static int run_diff(const struct cli_args *args)
{
	__attribute__((cleanup(cli_bring_done))) struct cli_bring b = { .lock = -1 };
	struct bb_err err = { 0 };
	int r = cli_signals_open(&err);

	if (r == 0)
		r = cli_bring_fetch(args->operands[0], &b, &err);
	if (r == 0 && b.review.count == 0)
		cli_out_note("nothing was changed");
	else if (r == 0)
		r = diff(args, &b, &err);
	return r < 0 ? cli_out_fail(&err) : 0;
}

const struct cli_command cli_diff = {
	.name = "diff",
	.operands = "ID",
	.summary = "Show what the agent changed in its workspace",
	.about = "Compares the workspace of a bottle that runs, or the one that was kept, with "
		 "what was "
		 "copied into it.\nWhat git ignores does not count. The guest's files are compared "
		 "by a "
		 "confined git in a repository of\nbot-bottle's own: nothing that the guest "
		 "configured is "
		 "run.",
	CLI_OPTIONS(options),
	CLI_EXAMPLES(examples),
	.operands_min = 1,
	.operands_max = 1,
	.word = CLI_WORD_ID,
	.run = run_diff,
};
