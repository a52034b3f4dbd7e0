/* `bot-bottle list`: bottles, and the agents that could be started. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/bottle_row.h"
#include "cli/color.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "manifest/manifest.h"
#include "store/store.h"

static const struct cli_option options[] = {
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "for programs" },
	{ "quiet", 'q', CLI_FLAG, NULL, CLI_WORD_ANY, "names only" },
};
static const char *const verbs[] = { "active", "available", "all", NULL };

static void print_text(const struct cli_row *row)
{
	char started[BB_CLOCK_UTC_MAX];
	bool is_colored = cli_color_is_wanted(stdout);

	bb_clock_format_utc((int64_t)row->meta->started_at, 0, started);
	(void)printf("%s%-28s%s %-10s %-28s %.19sZ", cli_color_begin(row->meta->color, is_colored),
		     row->meta->identity, cli_color_end(row->meta->color, is_colored),
		     cli_row_state(row), cli_row_backend(row), started);
	if (row->meta->label != NULL && strcmp(row->meta->label, row->meta->identity) != 0)
		(void)printf("  label %s", row->meta->label);
	if (!row->is_alive)
		(void)printf("  exit %d%s", row->meta->exit_code,
			     row->meta->workspace_kept ? ", workspace kept" : "");
	(void)putchar('\n');
	if (row->has_status && row->status.problem[0] != '\0')
		(void)printf("    %s\n", row->status.problem);
}

static int list_bottles(const struct cli_args *args, bool is_active_only)
{
	struct bb_err err = { 0 };
	BB_AUTO_STRV char **all = store_list(&err);
	bool is_json = cli_args_has(args, "json"), is_quiet = cli_args_has(args, "quiet");
	size_t shown = 0;

	struct cli_json j = { 0 };

	if (all == NULL)
		return cli_out_fail(&err);
	if (is_json)
		cli_json_begin(&j, '[');
	for (size_t i = 0; all[i] != NULL; i++) {
		struct cli_row row;

		if (cli_row_read(all[i], &row, NULL) < 0)
			continue; /* being born or buried */
		if (row.is_alive || !is_active_only) {
			if (is_json)
				cli_row_json(&j, &row);
			else if (is_quiet)
				(void)puts(row.meta->identity);
			else
				print_text(&row);
			shown++;
		}
		cli_row_done(&row);
	}
	if (is_json)
		cli_json_end(&j, ']');
	else if (shown == 0 && !is_quiet)
		(void)puts("no bottles");
	return 0;
}

static int list_agents(const struct cli_args *args)
{
	struct bb_err err = { 0 };
	BB_AUTO_FREE char *root = store_root(&err);
	BB_AUTO_STRV char **names = root == NULL ? NULL : manifest_list(root, "agents", &err);
	bool is_json = cli_args_has(args, "json"), is_quiet = cli_args_has(args, "quiet");

	struct cli_json j = { 0 };

	if (names == NULL)
		return cli_out_fail(&err);
	if (is_json)
		cli_json_begin(&j, '[');
	for (size_t i = 0; names[i] != NULL; i++) {
		struct manifest_agent *agent = NULL;
		struct bb_err broken = { 0 };

		if (is_quiet) {
			(void)puts(names[i]);
			continue;
		}
		(void)manifest_load_agent(root, names[i], &agent, &broken); /* shown below */
		if (is_json) {
			cli_json_open(&j, NULL, '{');
			cli_json_str(&j, "agent", names[i]);
			cli_json_str(&j, "bottle", agent != NULL ? agent->bottle : NULL);
			cli_json_str(&j, "error", agent != NULL ? NULL : broken.msg);
			cli_json_end(&j, '}');
		} else if (agent == NULL) {
			(void)printf("%-28s broken: %s\n", names[i], broken.msg);
		} else {
			(void)printf("%-28s bottle %s\n", names[i],
				     agent->bottle != NULL ? agent->bottle
							   : "(named at the start)");
		}
		manifest_agent_free(agent);
	}
	if (is_json)
		cli_json_end(&j, ']');
	else if (names[0] == NULL && !is_quiet)
		(void)printf("no agents in %s/agents\n", root);
	return 0;
}

static int run_list(const struct cli_args *args)
{
	const char *verb = args->operand_count > 0 ? args->operands[0] : "all";

	if (strcmp(verb, "available") == 0)
		return list_agents(args);
	return list_bottles(args, strcmp(verb, "active") == 0);
}

const struct cli_command cli_list = {
	.name = "list",
	.operands = "[active|available|all]",
	.summary = "Show bottles, or the agents there are",
	.about = "Ended bottles are listed until 'cleanup' removes them. 'available' lists agents, "
		 "with --json "
		 "as\nobjects with agent, bottle and error.",
	CLI_OPTIONS(options),
	.fields = cli_row_fields,
	.field_count = CLI_ROW_FIELDS,
	.operands_max = 1,
	.verbs = verbs,
	.run = run_list,
};
