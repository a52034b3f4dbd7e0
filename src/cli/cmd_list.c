/* `bot-bottle list`: bottles, and the agents that could be started. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/color.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/out.h"
#include "manifest/manifest.h"
#include "role/monitor/plan.h"
#include "store/store.h"

static const struct cli_option options[] = {
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "for programs" },
	{ "quiet", 'q', CLI_FLAG, NULL, CLI_WORD_ANY, "names only" },
};
static const char *const verbs[] = { "active", "available", "all", NULL };

static const char *const phase_words[] = {
	[MONITOR_LAUNCHING] = "launching",
	[MONITOR_RUNNING] = "running",
	[MONITOR_SAVING] = "saving",
	[MONITOR_ENDING] = "ending",
};
_Static_assert(BB_ARRAY_LEN(phase_words) == MONITOR_NUM_PHASES, "one word a phase");

struct row {
	struct store_meta *meta;
	struct cli_status status;
	bool is_alive, has_status;
};

static void read_row(struct row *row)
{
	BB_AUTO(cli_control) struct cli_control *c = NULL;

	row->is_alive = store_is_alive(row->meta->identity);
	if (row->is_alive && cli_control_connect(row->meta->identity, &c, NULL) == 0)
		row->has_status = cli_control_status(c, &row->status, NULL) == 0;
}

static const char *state_word(const struct row *row)
{
	if (!row->is_alive)
		return "ended";
	if (!row->has_status || row->status.phase >= MONITOR_NUM_PHASES)
		return "launching";
	return phase_words[row->status.phase];
}

/* Backend with accelerator and, for a shared kernel, the words. */
static const char *backend_text(const struct row *row)
{
	if (row->has_status)
		return row->status.backend;
	return strcmp(row->meta->backend, "namespace") == 0 ? "namespace (shared kernel)"
							    : row->meta->backend;
}

static void print_text(const struct row *row)
{
	char started[BB_CLOCK_UTC_MAX];
	bool is_colored = cli_color_is_wanted(stdout);

	bb_clock_format_utc((int64_t)row->meta->started_at, 0, started);
	(void)printf("%s%-28s%s %-10s %-28s %.19sZ", cli_color_begin(row->meta->color, is_colored),
		     row->meta->identity, cli_color_end(row->meta->color, is_colored),
		     state_word(row), backend_text(row), started);
	if (row->meta->label != NULL && strcmp(row->meta->label, row->meta->identity) != 0)
		(void)printf("  label %s", row->meta->label);
	if (!row->is_alive)
		(void)printf("  exit %d%s", row->meta->exit_code,
			     row->meta->workspace_kept ? ", workspace kept" : "");
	(void)putchar('\n');
	if (row->has_status && row->status.problem[0] != '\0')
		(void)printf("    %s\n", row->status.problem);
}

static void json_member(const char *name, const char *value)
{
	(void)printf(",\"%s\":", name);
	if (value == NULL)
		(void)fputs("null", stdout);
	else
		cli_out_json_string(value);
}

static void print_json(const struct row *row)
{
	const struct store_meta *m = row->meta;

	(void)fputs("{\"id\":", stdout);
	cli_out_json_string(m->identity);
	json_member("state", state_word(row));
	json_member("agent", m->agent);
	json_member("bottle", m->bottle);
	json_member("backend", m->backend);
	json_member("backend_note", backend_text(row));
	json_member("image", m->image);
	json_member("label", m->label);
	json_member("color", m->color);
	json_member("cwd", m->cwd);
	(void)printf(",\"started_at\":%" PRIu64 ",\"headless\":%s,\"attached\":%s", m->started_at,
		     m->is_headless ? "true" : "false",
		     row->has_status && row->status.is_held ? "true" : "false");
	if (row->is_alive)
		(void)fputs(",\"exit_code\":null,\"reason\":null", stdout);
	else {
		(void)printf(",\"exit_code\":%d", m->exit_code);
		json_member("reason", m->reason);
	}
	(void)printf(",\"workspace_kept\":%s", m->workspace_kept ? "true" : "false");
	json_member("problem", row->has_status && row->status.problem[0] != '\0'
				       ? row->status.problem
				       : m->problem);
	(void)fputs(",\"parts\":[", stdout);
	for (size_t i = 0; row->has_status && i < row->status.part_count; i++) {
		if (i > 0)
			(void)putchar(',');
		cli_out_json_string(row->status.parts[i]);
	}
	(void)fputs("]}", stdout);
}

static int list_bottles(const struct cli_args *args, bool is_active_only)
{
	struct bb_err err = { 0 };
	BB_AUTO_STRV char **all = store_list(&err);
	bool is_json = cli_args_has(args, "json"), is_quiet = cli_args_has(args, "quiet");
	size_t shown = 0;

	if (all == NULL)
		return cli_out_fail(&err);
	if (is_json)
		(void)putchar('[');
	for (size_t i = 0; all[i] != NULL; i++) {
		struct row row = { 0 };

		if (store_meta_read(all[i], &row.meta, NULL) < 0)
			continue; /* being born or buried */
		read_row(&row);
		if (row.is_alive || !is_active_only) {
			if (is_json && shown > 0)
				(void)putchar(',');
			if (is_json)
				print_json(&row);
			else if (is_quiet)
				(void)puts(row.meta->identity);
			else
				print_text(&row);
			shown++;
		}
		store_meta_free(row.meta);
	}
	if (is_json)
		(void)puts("]");
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

	if (names == NULL)
		return cli_out_fail(&err);
	if (is_json)
		(void)putchar('[');
	for (size_t i = 0; names[i] != NULL; i++) {
		struct manifest_agent *agent = NULL;
		struct bb_err broken = { 0 };

		if (is_quiet) {
			(void)puts(names[i]);
			continue;
		}
		(void)manifest_load_agent(root, names[i], &agent, &broken); /* shown below */
		if (is_json) {
			(void)printf("%s{\"agent\":", i > 0 ? "," : "");
			cli_out_json_string(names[i]);
			json_member("bottle", agent != NULL ? agent->bottle : NULL);
			json_member("error", agent != NULL ? NULL : broken.msg);
			(void)putchar('}');
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
		(void)puts("]");
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
	.about = "Ended bottles are listed until 'cleanup' removes them. 'available' lists agents.",
	CLI_OPTIONS(options),
	.operands_max = 1,
	.verbs = verbs,
	.run = run_list,
};
