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
#include "cli/places.h"
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

static void put_available(struct cli_json *j, const char *agent, const char *bottle,
			  const char *file, const char *error)
{
	cli_json_open(j, NULL, '{');
	cli_json_str(j, "agent", agent);
	cli_json_str(j, "bottle", bottle);
	cli_json_str(j, "file", file);
	cli_json_str(j, "error", error);
	cli_json_end(j, '}');
}

/* j NULL: for people. */
static void list_agent(const struct cli_places *places, const char *name, struct cli_json *j)
{
	BB_AUTO(manifest_agent) struct manifest_agent *agent = NULL;
	BB_AUTO(manifest_bottle) struct manifest_bottle *bottle = NULL;
	struct bb_err broken = { 0 };
	int r = manifest_load_agent(&places->in, name, &agent, &broken);

	if (r == 0 && agent->bottle != NULL)
		r = manifest_load_bottle_of(places->home, agent, &bottle, &broken);
	if (j != NULL)
		put_available(j, name, agent != NULL ? agent->bottle : NULL,
			      agent != NULL ? agent->file : NULL, r < 0 ? broken.msg : NULL);
	else if (r < 0)
		(void)printf("%-28s broken: %s\n", name, broken.msg);
	else
		(void)printf("%-28s bottle %s%s\n", name,
			     bottle != NULL ? bottle->chain : "(named at the start)",
			     agent->is_from_cwd ? "  (of the working directory)" : "");
}

/* Bottles that no agent has to name to be broken. */
static int list_broken_bottles(const struct cli_places *places, struct cli_json *j,
			       struct bb_err *err)
{
	BB_AUTO_STRV char **names = manifest_list(places->home, "bottles", err);

	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		BB_AUTO(manifest_bottle) struct manifest_bottle *bottle = NULL;
		char *const one[] = { names[i], NULL };
		struct bb_err broken = { 0 };

		if (manifest_load_bottle(places->home, one, &bottle, &broken) == 0)
			continue;
		if (j != NULL)
			put_available(j, NULL, names[i], NULL, broken.msg);
		else
			(void)printf("bottle %-21s broken: %s\n", names[i], broken.msg);
	}
	return names == NULL ? err->code : 0;
}

/* Nobody can name them. */
static void tell_misnamed(const char *root, const char *kind)
{
	BB_AUTO_STRV char **files = root == NULL ? NULL : manifest_list_misnamed(root, kind, NULL);

	for (size_t i = 0; files != NULL && files[i] != NULL; i++)
		cli_out_note("'%s/%s/%s' is skipped: its name is not like 'my-agent2.md'", root,
			     kind, files[i]);
}

static void tell_skipped(const struct cli_places *places)
{
	tell_misnamed(places->home, "agents");
	tell_misnamed(places->in.cwd, "agents");
	tell_misnamed(places->home, "bottles");
	for (size_t i = 0; places->notes != NULL && places->notes[i] != NULL; i++)
		cli_out_note("%s", places->notes[i]);
}

static int list_agents(const struct cli_args *args)
{
	__attribute__((cleanup(cli_places_done))) struct cli_places places = { 0 };
	bool is_quiet = cli_args_has(args, "quiet");
	BB_AUTO_STRV char **names = NULL;
	struct cli_json json = { 0 };
	struct cli_json *j = cli_args_has(args, "json") && !is_quiet ? &json : NULL;
	struct bb_err err = { 0 };

	if (cli_places_find(&places, &err) == 0)
		names = manifest_list_agents(&places.in, &err);
	if (names == NULL)
		return cli_out_fail(&err);
	if (j != NULL)
		cli_json_begin(j, '[');
	for (size_t i = 0; names[i] != NULL; i++) {
		if (is_quiet)
			(void)puts(names[i]);
		else
			list_agent(&places, names[i], j);
	}
	if (!is_quiet && list_broken_bottles(&places, j, &err) < 0)
		return cli_out_fail(&err);
	if (j != NULL)
		cli_json_end(j, ']');
	else if (names[0] == NULL && !is_quiet)
		(void)printf("no agents in %s/agents\n", places.home);
	tell_skipped(&places);
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
	.about = "Ended bottles are listed until 'cleanup' removes them. 'available' lists the "
		 "agents "
		 "of the home\nand of the working directory and whatever is broken, with --json as "
		 "objects with agent, bottle,\nfile and error (null: it can be started).",
	CLI_OPTIONS(options),
	.fields = cli_row_fields,
	.field_count = CLI_ROW_FIELDS,
	.operands_max = 1,
	.verbs = verbs,
	.run = run_list,
};
