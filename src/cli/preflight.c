/*
 * The page that is shown before a start; see config.h. Every line says where it comes from: file
 * and line, command line, provider, or default. What a bottle does not state and gets all the same
 * is shown as what it gets.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/config.h"
#include "cli/copyin.h"
#include "cli/out.h"
#include "manifest/print.h"

#define PAGE_MAX   (8 * 1024 * 1024) /* bytes: 1024 routes with all that each may say */
#define PROMPT_MAX 60                /* bytes of the prompt that the page shows */

static void put_default(struct manifest_page *p, const char *key, const char *value,
			const struct manifest_origin *at)
{
	manifest_put_at(p, 2, key, value, at, at->file == NULL ? "default" : NULL);
}

static void put_resources(struct manifest_page *p, const struct cli_config *c)
{
	const struct manifest_resources *want = &c->bottle->resources;
	char text[32];

	manifest_put(p, 0, "resources", NULL, NULL);
	(void)snprintf(text, sizeof(text), "%u", c->resources.cpus);
	put_default(p, "cpus", text, &want->cpus_at);
	put_default(p, "memory", manifest_size_text(c->resources.memory_bytes, text),
		    &want->memory_at);
	put_default(p, "disk", manifest_size_text(c->resources.disk_bytes, text), &want->disk_at);
	(void)snprintf(text, sizeof(text), "%u", c->resources.pids);
	put_default(p, "pids", text, &want->pids_at);
	if (want->max_seconds != 0)
		put_default(p, "time", manifest_time_text(want->max_seconds, text), &want->time_at);
}

static const char *value_of(const char *entry)
{
	return strchr(entry, '=') + 1;
}

/* Variables that bot-bottle sets: those that share a value with an earlier one were shown there. */
static void put_own_env(struct manifest_page *p, char *const *env, size_t index)
{
	const char *value = value_of(env[index]);
	size_t column = 4;

	for (size_t i = 0; i < index; i++)
		if (strcmp(value_of(env[i]), value) == 0)
			return;
	manifest_put_raw(p, "  # bot-bottle sets to ");
	manifest_put_value(p, value);
	manifest_put_raw(p, ":");
	for (size_t i = index; env[i] != NULL; i++) {
		size_t n = (size_t)(value_of(env[i]) - env[i]) - 1;

		if (strcmp(value_of(env[i]), value) != 0)
			continue;
		if (i == index || column + n > 96) {
			manifest_put_raw(p, "\n  #  ");
			column = 5;
		}
		manifest_put_raw(p, " %.*s", (int)n, env[i]);
		column += n + 1;
	}
	manifest_put_raw(p, "\n");
}

static void put_env(struct manifest_page *p, const struct cli_config *c)
{
	manifest_put_env(p, c->bottle, c->env_notes);
	if (c->bottle->env_count == 0)
		manifest_put_raw(p, "env: {}\n");
	for (size_t i = 0; c->plan->env[i] != NULL; i++)
		put_own_env(p, c->plan->env, i);
}

static void put_command(struct manifest_page *p, const struct cli_config *c)
{
	manifest_put_raw(p, "command: [");
	for (size_t i = 0; c->argv[i] != NULL; i++) {
		if (i > 0)
			manifest_put_raw(p, ", ");
		manifest_put_value(p, c->argv[i]);
	}
	manifest_put_raw(p, "]  # %s\n", c->argv == c->plan->argv ? "provider" : "command line");
}

/* What of the manifest the route comes from, if it does. */
static const struct manifest_route *origin_of(const struct cli_config *c,
					      const struct policy_route *r)
{
	for (size_t i = 0; i < c->bottle->policy->route_count; i++) {
		const struct policy_route *from = &c->bottle->policy->routes[i];

		if (from->is_wildcard == r->is_wildcard && strcmp(from->host, r->host) == 0 &&
		    strcmp(from->origin, r->origin) == 0)
			return &c->bottle->routes[i];
	}
	return NULL;
}

static void put_egress(struct manifest_page *p, const struct cli_config *c)
{
	char log[16];

	(void)snprintf(log, sizeof(log), "%u", c->bottle->log);
	manifest_put(p, 0, "egress", NULL, NULL);
	put_default(p, "log", log, &c->bottle->log_at);
	if (c->policy->route_count == 0)
		manifest_put_raw(p, "  routes: []  # nothing can be reached\n");
	else
		manifest_put(p, 2, "routes", NULL, NULL);
	for (size_t i = 0; i < c->policy->route_count; i++)
		manifest_put_route(p, 4, &c->policy->routes[i],
				   origin_of(c, &c->policy->routes[i]));
}

/* The first line; the rest is in the file. */
static void put_prompt(struct manifest_page *p, const struct manifest_agent *a)
{
	size_t all = strlen(a->prompt), n = strcspn(a->prompt, "\n");
	BB_AUTO_FREE char *line = NULL;
	BB_AUTO_FREE char *note = bb_text_printf("%s, %zu bytes", a->file, all);

	if (all == 0)
		return;
	if (n > PROMPT_MAX)
		n = PROMPT_MAX;
	while (n > 0 && n < all && ((unsigned char)a->prompt[n] & 0xc0) == 0x80)
		n--; /* a whole character */
	line = bb_text_printf("%.*s%s", (int)n, a->prompt, n < all ? " ..." : "");
	if (line != NULL)
		manifest_put(p, 0, "prompt", line, note);
}

/* Its file, or the way to it when it was put together from several. */
static const char *bottle_text(const struct manifest_bottle *b)
{
	return b->files[1] == NULL ? b->files[0] : b->chain;
}

/* What is copied in, by whose word. The manifest's path is shown as it was written. */
static void put_workspace(struct manifest_page *p, const struct cli_config *c)
{
	const struct manifest_workspace *w = &c->bottle->workspace;
	struct manifest_origin include_at = w->include_at;

	if (c->cwd == NULL)
		return;
	manifest_put(p, 0, "workspace", NULL, NULL);
	if (c->has_bottles_cwd)
		manifest_put_at(p, 2, "path", w->path, &w->path_at,
				"copied to " PROVIDER_WORKSPACE);
	else
		manifest_put(p, 2, "path", c->cwd, "--cwd, copied to " PROVIDER_WORKSPACE);
	if (bb_strv_len(c->include) > bb_strv_len(w->include))
		include_at = (struct manifest_origin){ .file = "--include" };
	manifest_put_list(p, 2, "include", c->include[0] == NULL ? NULL : c->include, &include_at);
	if (!w->has_git)
		manifest_put_at(p, 2, "git", "false", &w->git_at, NULL);
	else if (c->no_git)
		manifest_put(p, 2, "git", "false", "--no-git");
}

static void put_head(struct manifest_page *p, const struct cli_config *c, bool is_shared)
{
	const struct manifest_origin skills_at = { .file = c->agent->file,
						   .line = c->agent->skills_line };
	BB_AUTO_FREE char *from =
		bb_text_printf("%s%s", c->backend_from, is_shared ? ", shared kernel" : "");
	BB_AUTO_FREE char *agent_from = bb_text_printf(
		"%s%s", c->agent->file, c->agent->is_from_cwd ? ", of the working directory" : "");

	manifest_put(p, 0, "agent", c->agent->name, agent_from);
	manifest_put(p, 0, "bottle", c->bottle->name, bottle_text(c->bottle));
	manifest_put(p, 0, "backend", c->backend, from);
	if (c->bottle->image_at.file != NULL && strcmp(c->image, c->bottle->image) == 0)
		manifest_put_at(p, 0, "image", c->image, &c->bottle->image_at, NULL);
	else
		manifest_put(p, 0, "image", c->image, c->image_from);
	if (c->label != NULL)
		manifest_put(p, 0, "label", c->label, "--label");
	if (c->color != NULL)
		manifest_put(p, 0, "color", c->color, "--color");
	put_prompt(p, c->agent);
	manifest_put_list(p, 0, "skills", c->agent->skills, &skills_at);
	put_workspace(p, c);
	if (p->result == 0)
		p->result = cli_copyin_print(c, p->out);
	put_command(p, c);
}

static void put_notes(struct manifest_page *p, const char *word, char *const *notes)
{
	for (size_t i = 0; notes != NULL && notes[i] != NULL; i++) {
		manifest_put_raw(p, "# %s: ", word);
		p->result = p->result < 0 ? p->result : bb_buf_append_str(p->out, notes[i]);
		manifest_put_raw(p, "\n");
	}
}

void cli_config_print(const struct cli_config *c, FILE *to)
{
	BB_AUTO_BUF struct bb_buf text = { 0 };
	struct manifest_page p = { .out = &text };
	const struct manifest_git_user user = manifest_git_user_of(c->agent, c->bottle);
	bool is_shared = strcmp(c->backend, "namespace") == 0;

	bb_buf_init(&text, PAGE_MAX);
	put_head(&p, c, is_shared);
	put_resources(&p, c);
	manifest_put_provider(&p, c->bottle);
	manifest_put_git(&p, &user, &c->bottle->git);
	put_env(&p, c);
	put_egress(&p, c);
	if (c->bottle->supervise_at.file != NULL)
		manifest_put_at(&p, 0, "supervise", "true", &c->bottle->supervise_at, NULL);
	put_notes(&p, "note", c->notes);
	manifest_put_raw(&p, "# note: bytes to allowed hosts are not scanned\n");
	if (is_shared)
		manifest_put_raw(&p,
				 "# note: this backend shares the host's kernel with the agent\n");
	put_notes(&p, "does not start", c->not_built);
	(void)fwrite(bb_buf_peek(&text).p, 1, bb_buf_size(&text), to);
	if (p.result < 0) /* what cannot be shown whole is not to be agreed to */
		cli_out_note("the page is not complete: %s", bb_err_name(p.result));
}
