/* `bot-bottle cleanup`: what ended bottles left, removed after one question. */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "store/store.h"

static const struct cli_option options[] = {
	{ "yes", 'y', CLI_FLAG, NULL, CLI_WORD_ANY, "remove without asking" },
	{ "dry-run", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "show the plan only" },
};

/* Identities of bottles that are not alive. */
static char **find_ended(struct bb_err *err)
{
	BB_AUTO_STRV char **all = store_list(err);
	BB_AUTO_STRV char **ended = calloc(1, sizeof(*ended));

	for (size_t i = 0; all != NULL && ended != NULL && all[i] != NULL; i++)
		if (!store_is_alive(all[i]))
			(void)bb_strv_push(&ended, strdup(all[i]));
	return all == NULL ? NULL : bb_take_ptr(&ended);
}

static void print_plan(char *const *ended)
{
	for (size_t i = 0; ended[i] != NULL; i++) {
		struct store_meta *m = NULL;
		bool has_work = store_meta_read(ended[i], &m, NULL) == 0 && m->workspace_kept;

		(void)printf("%s%s\n", ended[i], has_work ? "  with its kept workspace" : "");
		store_meta_free(m);
	}
}

static int run_cleanup(const struct cli_args *args)
{
	struct bb_err err = { 0 };
	BB_AUTO_STRV char **ended = find_ended(&err);
	int code = 0;

	if (ended == NULL)
		return cli_out_fail(&err);
	if (ended[0] == NULL) {
		(void)puts("nothing to clean up");
		return 0;
	}
	print_plan(ended);
	(void)fflush(stdout);
	if (cli_args_has(args, "dry-run"))
		return 0;
	if (!cli_args_has(args, "yes")) {
		int r = cli_out_ask("remove all of the above?", &err);

		if (r <= 0)
			return r < 0 ? cli_out_fail(&err) : 0;
	}
	for (size_t i = 0; ended[i] != NULL; i++)
		if (store_remove(ended[i], &err) < 0)
			code = cli_out_fail(&err); /* the others still go */
	return code;
}

const struct cli_command cli_cleanup = {
	.name = "cleanup",
	.operands = "",
	.summary = "Remove what ended bottles left",
	.about = "Living bottles are not touched; 'bot-bottle stop' ends them.",
	CLI_OPTIONS(options),
	.run = run_cleanup,
};
