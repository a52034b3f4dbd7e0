/* `bot-bottle stop`: end bottles. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/out.h"
#include "cli/outcome.h"
#include "cli/signals.h"
#include "store/store.h"

#define STOP_MS 300000 /* a large workspace is kept first */

static const struct cli_option options[] = {
	{ "all", 'a', CLI_FLAG, NULL, CLI_WORD_ANY, "every living bottle" },
};

static int stop_one(const char *name)
{
	BB_AUTO(cli_control) struct cli_control *c = NULL;
	BB_AUTO_FREE char *identity = NULL;
	struct bb_err err = { 0 };

	identity = cli_control_resolve(name, &err);
	if (identity == NULL || cli_control_connect(identity, &c, &err) < 0)
		return cli_out_fail(&err);
	cli_out_step("ending the bottle");
	if (cli_control_stop(c, STOP_MS, &err) < 0)
		return cli_out_fail(&err);
	cli_out_step(NULL);
	cli_outcome_tell_workspace(c, identity);
	cli_out_note("'%s' has ended", identity);
	return 0;
}

static int stop_all(void)
{
	struct bb_err err = { 0 };
	BB_AUTO_STRV char **all = store_list(&err);
	int code = 0;

	if (all == NULL)
		return cli_out_fail(&err);
	for (size_t i = 0; all[i] != NULL; i++)
		if (store_is_alive(all[i]) && stop_one(all[i]) != 0)
			code = CLI_EXIT_OWN;
	return code;
}

static int run_stop(const struct cli_args *args)
{
	struct bb_err err = { 0 };
	int code = 0;

	if (cli_signals_open(&err) < 0)
		return cli_out_fail(&err);
	if (cli_args_has(args, "all"))
		return stop_all();
	if (args->operand_count == 0) {
		(void)bb_err_set(&err, BB_E_USAGE, "which bottle? bot-bottle stop ID..., or --all");
		return cli_out_fail(&err);
	}
	for (size_t i = 0; i < args->operand_count; i++)
		if (stop_one(args->operands[i]) != 0)
			code = CLI_EXIT_OWN;
	return code;
}

const struct cli_command cli_stop = {
	.name = "stop",
	.operands = "ID...",
	.summary = "End a bottle; its changed workspace is kept",
	CLI_OPTIONS(options),
	.operands_max = 64,
	.word = CLI_WORD_ID,
	.run = run_stop,
};
