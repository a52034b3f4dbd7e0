/* `bot-bottle exec` and `bot-bottle attach`: sessions in a living bottle. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/choose_id.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/outcome.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "ipc/messages.h"

static const struct cli_option exec_options[] = {
	{ "interactive", 'i', CLI_FLAG, NULL, CLI_WORD_ANY, "pass standard input on" },
	{ "tty", 't', CLI_FLAG, NULL, CLI_WORD_ANY, "give the command a terminal" },
	{ "user", 'u', CLI_VALUE, "NAME", CLI_WORD_ANY, "node (default), or root in a microvm" },
	{ "workdir", 'w', CLI_VALUE, "DIR", CLI_WORD_ANY, "working directory in the guest" },
	{ "env", 'e', CLI_VALUE, "NAME=VALUE", CLI_WORD_ANY, "add a variable; may be repeated" },
};

static const struct cli_example exec_examples[] = {
	{ "bot-bottle exec implementer-3k9x2 bash", "a shell; on a terminal -it is understood" },
	{ "bot-bottle exec implementer-3k9x2 git diff > changes.patch", "output as it is" },
};

static int collect_env(const struct cli_args *args, char ***ret, struct bb_err *err)
{
	for (size_t i = 0; i < args->set_count; i++) {
		const char *value = args->set[i].value;

		if (strcmp(args->set[i].option->name, "env") != 0)
			continue;
		if (strchr(value, '=') == NULL || value[0] == '=')
			return bb_err_set(err, BB_E_USAGE, "--env takes NAME=VALUE, not '%s'",
					  BB_ESCAPED(bb_view_str(value)));
		if (bb_strv_push(ret, strdup(value)) < 0)
			return bb_err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* identity is NULL when it was not found: err says why. */
static int open_bottle(const char *identity, struct cli_control **ret, struct bb_err *err)
{
	int r;

	if (identity == NULL)
		return err->code;
	r = cli_control_connect(identity, ret, err);
	return r < 0 ? r : cli_control_tell(*ret, IPC_CONTROL_WATCH, err);
}

static int exec_outcome(struct cli_control *c, const struct cli_session_result *result)
{
	switch (result->end) {
	case CLI_SESSION_EXITED:
	case CLI_SESSION_LEFT:
	case CLI_SESSION_DETACHED: /* main sessions only */
		return result->code;
	case CLI_SESSION_FAILED:
		cli_out_note("%s", result->text);
		return result->code;
	case CLI_SESSION_LOST:
		break;
	}
	if (cli_control_wait_end(c, 2000, NULL) == 0)
		cli_out_note("the bottle ended: %s", c->reason);
	else
		cli_out_note("the session was cut");
	return CLI_EXIT_OWN;
}

static int run_exec(const struct cli_args *args)
{
	BB_AUTO(cli_control) struct cli_control *control = NULL;
	BB_AUTO_FREE char *identity = NULL;
	BB_AUTO_STRV char **env = NULL;
	struct cli_session_result result;
	struct bb_err err = { 0 };
	bool is_chosen = cli_args_has(args, "interactive") || cli_args_has(args, "tty");
	struct cli_session_plan plan = {
		.argv = args->operands + 1,
		.user = cli_args_get(args, "user"),
		.cwd = cli_args_get(args, "workdir"),
		.has_input = is_chosen ? cli_args_has(args, "interactive")
				       : cli_session_wants_terminal(),
		.has_terminal =
			is_chosen ? cli_args_has(args, "tty") : cli_session_wants_terminal(),
	};

	if (collect_env(args, &env, &err) < 0)
		return cli_out_fail(&err);
	plan.env = env;
	identity = cli_control_resolve(args->operands[0], &err);
	if (open_bottle(identity, &control, &err) < 0 ||
	    cli_session_run(control, &plan, &result, &err) < 0)
		return cli_out_fail(&err);
	return exec_outcome(control, &result);
}

static int run_attach(const struct cli_args *args)
{
	BB_AUTO(cli_control) struct cli_control *control = NULL;
	BB_AUTO_FREE char *identity = NULL;
	struct cli_session_result result;
	struct bb_err err = { 0 };
	struct cli_session_plan plan = {
		.is_main = true,
		.has_input = true,
		.has_terminal = cli_session_wants_terminal(),
	};

	identity =
		cli_choose_bottle(args, CLI_BOTTLES_LIVING, "Which bottle shall be joined?", &err);
	if (open_bottle(identity, &control, &err) < 0 ||
	    cli_control_tell(control, IPC_CONTROL_HOLD, &err) < 0 ||
	    cli_session_run(control, &plan, &result, &err) < 0)
		return cli_out_fail(&err);
	if (result.end == CLI_SESSION_FAILED) { /* nothing was joined: the bottle stays */
		cli_out_note("%s", result.text);
		return result.code;
	}
	return cli_outcome(control, identity, &result);
}

const struct cli_command cli_exec = {
	.name = "exec",
	.operands = "ID COMMAND [ARG...]",
	.summary = "Run a command in a living bottle",
	.about =
		"Standard output and error arrive apart and as they are in a file or a pipe; on a "
		"terminal only\nsequences that draw pass. The exit code is the command's, 126 when "
		"it cannot be run, 127 when\nit is not there, 125 when bot-bottle failed.",
	CLI_OPTIONS(exec_options),
	CLI_EXAMPLES(exec_examples),
	.operands_min = 2,
	.operands_max = 2,
	.word = CLI_WORD_ID,
	.stops_at_operand = true,
	.run = run_exec,
};

const struct cli_command cli_attach = {
	.name = "attach",
	.operands = "[ID]",
	.summary = "Join the agent's session, from any terminal",
	.about = "The last 256 KiB of its output are shown again. Several terminals may be joined; "
		 "each shows and\ntypes the same. " CLI_SESSION_LEAVE_KEYS
		 " leaves: the bottle goes on without a terminal. An\ninteractive bottle whose "
		 "terminal is lost ends after 60 s unless it is joined. Without ID it is the only "
		 "one "
		 "that runs,\nor chosen on the terminal.",
	.operands_max = 1,
	.word = CLI_WORD_ID,
	.run = run_attach,
};
