/* `bot-bottle info`: the effective policy of an agent, or the state of a bottle. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/bottle_row.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/out.h"
#include "store/store.h"

static const struct cli_option options[] = {
	{ "backend", 0, CLI_VALUE, "NAME", CLI_WORD_BACKEND, "as for start" },
	{ "bottle", 0, CLI_VALUE, "NAME", CLI_WORD_BOTTLE, "as for start" },
	{ "image", 0, CLI_VALUE, "NAME", CLI_WORD_IMAGE, "as for start" },
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY,
	  "of a bottle: for programs, as 'list' gives it" },
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

static void put_living(const struct cli_row *row)
{
	if (!row->has_status)
		return;
	put("runs on", row->status.backend);
	put("terminal", row->status.is_held ? "attached" : "none");
	for (size_t i = 0; i < row->status.part_count; i++)
		put(i == 0 ? "parts" : "", row->status.parts[i]);
}

static void put_kept(const struct store_meta *m)
{
	if (m->workspace_kept)
		(void)printf("%-10s bot-bottle cp %s:%s DEST\n", "workspace", m->identity,
			     m->guest_workspace);
	put("committed", m->committed_image);
	if (m->workspace_kept || m->agent_kept || m->committed_image != NULL)
		(void)printf("%-10s bot-bottle resume %s\n", "go on", m->identity);
}

static void put_bottle(const struct cli_row *row)
{
	const struct store_meta *m = row->meta;

	put("id", m->identity);
	put("agent", m->agent);
	put("bottle", m->bottle);
	put("backend", m->backend);
	put("image", m->image);
	put("label", m->label);
	put("color", m->color);
	put("copied in", m->cwd);
	put("state", row->is_alive ? "alive" : "ended");
	if (row->is_alive)
		put_living(row);
	if (!row->is_alive)
		(void)printf("%-10s %d\n", "exit", m->exit_code);
	put("reason", m->reason);
	put("problem",
	    row->has_status && row->status.problem[0] != '\0' ? row->status.problem : m->problem);
	if (!row->is_alive)
		put_kept(m);
}

static int info_bottle(const char *identity, bool is_json)
{
	struct cli_json j = { 0 };
	struct bb_err err = { 0 };
	struct cli_row row;

	if (cli_row_read(identity, &row, &err) < 0)
		return cli_out_fail(&err);
	if (is_json)
		cli_row_json(&j, &row);
	else
		put_bottle(&row);
	cli_row_done(&row);
	return 0;
}

static int run_info(const struct cli_args *args)
{
	BB_AUTO(cli_config) struct cli_config *c = NULL;
	struct bb_err err = { 0 };

	if (is_bottle(args->operands[0]))
		return info_bottle(args->operands[0], cli_args_has(args, "json"));
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
	.fields = cli_row_fields,
	.field_count = CLI_ROW_FIELDS,
	.operands_min = 1,
	.operands_max = 1,
	.word = CLI_WORD_AGENT_OR_ID,
	.run = run_info,
};
