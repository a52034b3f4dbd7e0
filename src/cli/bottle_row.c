/* See bottle_row.h. */
#include "cli/bottle_row.h"

#include <string.h>

#include "base/cleanup.h"
#include "role/monitor/plan.h"

static const char *const phase_words[] = {
	[MONITOR_LAUNCHING] = "launching",
	[MONITOR_RUNNING] = "running",
	[MONITOR_SAVING] = "saving",
	[MONITOR_ENDING] = "ending",
};
_Static_assert(BB_ARRAY_LEN(phase_words) == MONITOR_NUM_PHASES, "one word a phase");

const struct cli_field cli_row_fields[CLI_ROW_FIELDS] = {
	{ "id", "the bottle's name" },
	{ "state", "launching, running, saving, ending or ended" },
	{ "agent", "its agent's manifest" },
	{ "bottle", "its bottle's manifest; several are joined by commas" },
	{ "bottles", "the same as an array" },
	{ "backend", "microvm, namespace or smolmachines" },
	{ "backend_note", "the backend with its accelerator, or the words 'shared kernel'" },
	{ "image", "the image's name, as it was given" },
	{ "label", "the operator's own name for it, or null" },
	{ "color", "the label's colour, or null" },
	{ "cwd", "the directory that was copied in, or null" },
	{ "started_at", "seconds since 1970, UTC" },
	{ "headless", "whether it was started without a terminal" },
	{ "attached", "whether a terminal is joined now" },
	{ "exit_code", "null while it lives" },
	{ "reason", "why it ended; null while it lives" },
	{ "workspace", "where the workspace is in the guest, or null" },
	{ "workspace_kept", "whether a changed workspace of it is kept" },
	{ "conversation_kept", "whether the agent's own state is" },
	{ "committed_image", "id of the image that was committed of it last, or null" },
	{ "resumable", "whether 'resume' would find something of it" },
	{ "problem", "what the operator should know, or null" },
	{ "parts", "array: name and process id of each living part" },
	{ "disk_bytes", "what the guest's files may take; null when it does not live" },
};

int cli_row_read(const char *identity, struct cli_row *ret, struct bb_err *err)
{
	BB_AUTO(cli_control) struct cli_control *c = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = store_meta_read(identity, &ret->meta, err);
	if (r < 0)
		return r;
	ret->is_alive = store_is_alive(identity);
	if (!ret->is_alive)
		return 0;
	ret->has_status = cli_control_published_status(identity, &ret->status, NULL) == 0;
	if (!ret->has_status && cli_control_connect(identity, &c, NULL) == 0)
		ret->has_status = cli_control_status(c, &ret->status, NULL) == 0;
	return 0;
}

void cli_row_done(struct cli_row *row)
{
	store_meta_free(row->meta);
	row->meta = NULL;
}

const char *cli_row_state(const struct cli_row *row)
{
	if (!row->is_alive)
		return "ended";
	if (!row->has_status || row->status.phase >= MONITOR_NUM_PHASES)
		return "launching";
	return phase_words[row->status.phase];
}

const char *cli_row_backend(const struct cli_row *row)
{
	if (row->has_status)
		return row->status.backend;
	return strcmp(row->meta->backend, "namespace") == 0 ? "namespace (shared kernel)"
							    : row->meta->backend;
}

static void put_bottles(struct cli_json *j, const char *names)
{
	cli_json_open(j, "bottles", '[');
	while (names != NULL && *names != '\0') {
		size_t n = strcspn(names, ",");
		BB_AUTO_FREE char *name = strndup(names, n);

		cli_json_str(j, NULL, name);
		names += n;
		names += *names == ',';
	}
	cli_json_end(j, ']');
}

static void put_end(struct cli_json *j, const struct cli_row *row)
{
	const struct store_meta *m = row->meta;

	if (row->is_alive)
		cli_json_null(j, "exit_code");
	else
		cli_json_num(j, "exit_code", (uint64_t)m->exit_code);
	cli_json_str(j, "reason", row->is_alive ? NULL : m->reason);
	cli_json_str(j, "workspace", m->guest_workspace);
	cli_json_bool(j, "workspace_kept", m->workspace_kept);
	cli_json_bool(j, "conversation_kept", m->agent_kept);
	cli_json_str(j, "committed_image", m->committed_image);
	cli_json_bool(j, "resumable",
		      m->workspace_kept || m->agent_kept || m->committed_image != NULL);
	cli_json_str(j, "problem",
		     row->has_status && row->status.problem[0] != '\0' ? row->status.problem
								       : m->problem);
}

void cli_row_json(struct cli_json *j, const struct cli_row *row)
{
	const struct store_meta *m = row->meta;

	cli_json_open(j, NULL, '{');
	cli_json_str(j, "id", m->identity);
	cli_json_str(j, "state", cli_row_state(row));
	cli_json_str(j, "agent", m->agent);
	cli_json_str(j, "bottle", m->bottle);
	put_bottles(j, m->bottle);
	cli_json_str(j, "backend", m->backend);
	cli_json_str(j, "backend_note", cli_row_backend(row));
	cli_json_str(j, "image", m->image);
	cli_json_str(j, "label", m->label);
	cli_json_str(j, "color", m->color);
	cli_json_str(j, "cwd", m->cwd);
	cli_json_num(j, "started_at", m->started_at);
	cli_json_bool(j, "headless", m->is_headless);
	cli_json_bool(j, "attached", row->has_status && row->status.is_held);
	put_end(j, row);
	cli_json_open(j, "parts", '[');
	for (size_t i = 0; row->has_status && i < row->status.part_count; i++)
		cli_json_str(j, NULL, row->status.parts[i]);
	cli_json_end(j, ']');
	if (row->has_status)
		cli_json_num(j, "disk_bytes", row->status.disk_bytes);
	else
		cli_json_null(j, "disk_bytes");
	cli_json_end(j, '}');
}
