/* See outcome.h. */
#include "cli/outcome.h"

#include "cli/command.h"
#include "cli/out.h"
#include "ipc/messages.h"

#define END_MS 20000 /* for a bottle that is already on its way down */

void cli_outcome_tell_workspace(const struct cli_control *c, const char *identity)
{
	if (c->problem[0] != '\0')
		cli_out_note("%s", c->problem);
	if (c->workspace_kept)
		cli_out_note("the changed workspace is kept; look at it with: bot-bottle diff %s; "
			     "bring it "
			     "back with: bot-bottle pull %s",
			     identity, identity);
	if (c->is_resumable)
		cli_out_note("go on with it: bot-bottle resume %s", identity);
}

static int lost(struct cli_control *c, const char *identity)
{
	struct bb_err err = { 0 };

	if (cli_control_wait_end(c, END_MS, &err) == 0) {
		cli_outcome_tell_workspace(c, identity);
		cli_out_note("the bottle ended: %s", c->reason);
		return (int)c->exit_code;
	}
	if (err.code == BB_E_DEADLINE)
		cli_out_note("the session was cut, but the bottle lives; go on with: bot-bottle "
			     "attach %s",
			     identity);
	else
		cli_out_note("%s", err.msg);
	return CLI_EXIT_OWN;
}

int cli_outcome(struct cli_control *c, const char *identity,
		const struct cli_session_result *result)
{
	struct bb_err err = { 0 };

	switch (result->end) {
	case CLI_SESSION_LOST:
		return lost(c, identity);
	case CLI_SESSION_LEFT:
		cli_out_note("left; go on within 60 s with: bot-bottle attach %s", identity);
		return result->code;
	case CLI_SESSION_DETACHED:
		if (cli_control_tell(c, IPC_CONTROL_DETACH, &err) < 0)
			return cli_out_fail(&err);
		cli_out_note("'%s' runs on; join it with: bot-bottle attach %s", identity,
			     identity);
		return 0;
	case CLI_SESSION_FAILED:
		cli_out_note("%s", result->text);
		(void)cli_control_stop(c, END_MS, NULL); /* nothing runs in it */
		return result->code;
	case CLI_SESSION_EXITED:
		break;
	}
	if (cli_control_wait_end(c, 0, NULL) < 0)
		cli_out_step("ending the bottle");
	if (cli_control_wait_end(c, -1, &err) < 0)
		cli_out_note("%s; 'bot-bottle list' shows whether the bottle still runs", err.msg);
	cli_out_step(NULL);
	cli_outcome_tell_workspace(c, identity);
	cli_out_note("session ended (exit %d)", result->code);
	return result->code;
}
