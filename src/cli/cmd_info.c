/* `bot-bottle info`: the effective policy of an agent, or the state of a bottle. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/control.h"
#include "cli/out.h"
#include "store/store.h"

static const struct cli_option options[] = {
	{ "backend", 0, CLI_VALUE, "NAME", CLI_WORD_BACKEND, "as for start" },
	{ "bottle", 0, CLI_VALUE, "NAME", CLI_WORD_BOTTLE, "as for start" },
	{ "image", 0, CLI_VALUE, "NAME", CLI_WORD_IMAGE, "as for start" },
};

static bool is_bottle(const char *name)
{
	BB_AUTO_STRV char **all = store_list(NULL);

	for (size_t i = 0; all != NULL && all[i] != NULL; i++)
		if (strcmp(all[i], name) == 0)
			return true;
	return false;
}

static void put(const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		(void)printf("%-10s %s\n", name, value);
}

static void put_living(const char *identity)
{
	BB_AUTO(cli_control) struct cli_control *c = NULL;
	struct cli_status status;

	if (cli_control_connect(identity, &c, NULL) < 0 || cli_control_status(c, &status, NULL) < 0)
		return;
	put("runs on", status.backend);
	put("terminal", status.is_held ? "attached" : "none");
	put("problem", status.problem);
	for (size_t i = 0; i < status.part_count; i++)
		put(i == 0 ? "parts" : "", status.parts[i]);
}

static int info_bottle(const char *identity)
{
	struct store_meta *m = NULL;
	struct bb_err err = { 0 };
	bool is_alive = store_is_alive(identity);

	if (store_meta_read(identity, &m, &err) < 0)
		return cli_out_fail(&err);
	put("id", m->identity);
	put("agent", m->agent);
	put("bottle", m->bottle);
	put("backend", m->backend);
	put("image", m->image);
	put("label", m->label);
	put("color", m->color);
	put("copied in", m->cwd);
	put("state", is_alive ? "alive" : "ended");
	if (is_alive)
		put_living(identity);
	if (!is_alive)
		(void)printf("%-10s %d\n", "exit", m->exit_code);
	put("reason", m->reason);
	put("problem", m->problem);
	if (m->workspace_kept)
		(void)printf("%-10s bot-bottle cp %s:%s DEST\n", "workspace", m->identity,
			     m->guest_workspace);
	store_meta_free(m);
	return 0;
}

static int run_info(const struct cli_args *args)
{
	BB_AUTO(cli_config) struct cli_config *c = NULL;
	struct bb_err err = { 0 };

	if (is_bottle(args->operands[0]))
		return info_bottle(args->operands[0]);
	if (cli_config_load(args, true, &c, &err) < 0)
		return cli_out_fail(&err);
	cli_config_print(c, stdout);
	return 0;
}

const struct cli_command cli_info = {
	.name = "info",
	.operands = "AGENT|ID",
	.summary = "Show what an agent could reach, or how a bottle is",
	CLI_OPTIONS(options),
	.operands_min = 1,
	.operands_max = 1,
	.word = CLI_WORD_AGENT_OR_ID,
	.run = run_info,
};
