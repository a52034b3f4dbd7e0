/* See config.h. Order of checks: names, manifests, provider, policy, variables, directories. */
#include "cli/config_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "cli/color.h"
#include "cli/sites.h"
#include "store/store.h"

#define DEFAULT_CPUS   2
#define DEFAULT_MEMORY (2ull << 30)
#define DEFAULT_DISK   (8ull << 30)
#define DEFAULT_PIDS   1024

/* Backends of the original that are not here, each with what to do instead. */
static const struct {
	const char *name, *text;
} refused_backends[] = {
	{ "docker", "shares the host's kernel with root in it; use microvm, or namespace" },
	{ "macos-container", "is for macOS; use microvm" },
};

void cli_config_free(struct cli_config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; c->env_notes != NULL && i < c->bottle->env_count; i++)
		free(c->env_notes[i]);
	free(c->env_notes);
	cli_places_done(&c->places);
	bb_strv_free(c->not_built);
	manifest_agent_free(c->agent);
	manifest_bottle_free(c->bottle);
	provider_plan_free(c->plan);
	policy_free(c->policy);
	bb_strv_free(c->env);
	bb_strv_free(c->token_refs);
	bb_strv_free(c->notes);
	free(c->ports);
	free(c->cwd);
	bb_strv_free(c->include);
	workspace_list_free(c->files);
	free(c->task);
	free(c);
}

int config_no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

int config_note(struct cli_config *c, char *text, struct bb_err *err)
{
	return bb_strv_push(&c->notes, text) < 0 ? config_no_memory(err) : 0;
}

bool config_is_in(char *const *list, const char *s)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

static int choose_backend(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	const char *const *names = backend_names();
	const char *want = cli_args_get(args, "backend");
	const char *near;
	size_t count = 0;
	int index;

	c->backend_from = "--backend";
	if (want == NULL) {
		want = getenv("BOT_BOTTLE_BACKEND");
		c->backend_from = "BOT_BOTTLE_BACKEND";
	}
	if (want == NULL || want[0] == '\0') {
		want = "microvm";
		c->backend_from = "default";
	}
	while (names[count] != NULL)
		count++;
	index = bb_table_index(names, count, bb_view_str(want));
	if (index >= 0) {
		c->backend = names[index];
		return 0;
	}
	for (size_t i = 0; i < BB_ARRAY_LEN(refused_backends); i++)
		if (strcmp(refused_backends[i].name, want) == 0)
			return bb_err_set(err, BB_E_USAGE, "backend '%s' %s", want,
					  refused_backends[i].text);
	near = bb_table_suggest(names, count, bb_view_str(want));
	return bb_err_set(err, BB_E_USAGE,
			  "unknown backend '%s'%s%s%s; there are microvm, namespace and "
			  "smolmachines",
			  BB_ESCAPED(bb_view_str(want)), near != NULL ? "; did you mean '" : "",
			  near != NULL ? near : "", near != NULL ? "'?" : "");
}

/* A repository's agent must not choose what it gets where nobody looks at the page. */
static int check_trust(const struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	if (!c->agent->is_from_cwd || !c->is_headless || cli_args_has(args, "bottle"))
		return 0;
	return bb_err_set(err, BB_E_USAGE,
			  "agent '%s' comes from the working directory (%s), so --headless needs "
			  "its bottle named by you: --bottle NAME%s%s%s",
			  c->agent->name, c->agent->file,
			  c->agent->bottle != NULL ? " (it asks for '" : "",
			  c->agent->bottle != NULL ? c->agent->bottle : "",
			  c->agent->bottle != NULL ? "')" : "");
}

static int load_bottle(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	BB_AUTO_STRV char **names = cli_args_all(args, "bottle");

	if (names == NULL)
		return config_no_memory(err);
	if (names[0] != NULL)
		return manifest_load_bottle(c->places.home, names, &c->bottle, err);
	if (c->agent->bottle == NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "agent '%s' names no bottle; add 'bottle: NAME' to '%s', or say "
				  "--bottle NAME",
				  c->agent->name, c->agent->file);
	return manifest_load_bottle_of(c->places.home, c->agent, &c->bottle, err);
}

static int load_manifests(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	int r = cli_places_find(&c->places, err);

	for (size_t i = 0; r == 0 && c->places.notes != NULL && c->places.notes[i] != NULL; i++)
		r = config_note(c, strdup(c->places.notes[i]), err);
	if (r == 0)
		r = manifest_load_agent(&c->places.in, args->operands[0], &c->agent, err);
	if (r == 0)
		r = check_trust(c, args, err);
	if (r == 0)
		r = load_bottle(c, args, err);
	if (r < 0)
		return r;
	assert(c->bottle != NULL);
	c->not_built = manifest_not_built(c->bottle);
	c->env_notes = calloc(c->bottle->env_count + 1, sizeof(*c->env_notes));
	return c->not_built == NULL || c->env_notes == NULL ? config_no_memory(err) : 0;
}

/* A command that only looks is shown the provider's first choice. */
static bool has_variable(void *arg, const char *name)
{
	const struct cli_config *c = arg;
	const char *value = getenv(name);

	return c->may_lack_tokens || (value != NULL && value[0] != '\0');
}

static int prepare_provider(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	struct provider_input in = {
		.auth_token = c->bottle->auth_token,
		.has_variable = has_variable,
		.arg = c,
		.agent = c->agent->name,
		.system_prompt = c->agent->prompt,
		.is_headless = c->is_headless,
		.is_resumed = c->resumed != NULL && c->resumed->agent_kept,
		.task = c->task != NULL && strlen(c->task) > TASK_AS_ARGUMENT ? NULL : c->task,
		.cwd = c->guest_cwd,
	};
	const char *name = c->bottle->provider;
	int r;

	c->provider = provider_find(name);
	if (c->provider == NULL && provider_is_planned(name)) {
		c->provider = provider_find(NULL); /* for the page: it does not start */
		if (bb_strv_push(&c->not_built,
				 bb_text_printf("manifest '%s':%u: provider '%s' is not built yet; "
						"there is claude",
						c->bottle->provider_at.file,
						c->bottle->provider_at.line, name)) < 0)
			return config_no_memory(err);
	}
	if (c->provider == NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "manifest '%s':%u: unknown provider '%s'; there is claude",
				  c->bottle->provider_at.file, c->bottle->provider_at.line,
				  BB_ESCAPED(bb_view_str(name)));
	r = provider_prepare(c->provider, &in, &c->plan, err);
	if (r == BB_E_USAGE)
		return bb_err_wrap(err, "manifest '%s'",
				   name != NULL ? c->bottle->provider_at.file
						: c->bottle->files[0]);
	if (in.task == NULL)
		c->input = c->task; /* an unattended agent reads its task from standard input */
	c->argv = args->rest != NULL ? args->rest : r == 0 ? c->plan->argv : NULL;
	return r;
}

static void choose_image(struct cli_config *c, const struct cli_args *args)
{
	const char *want = cli_args_get(args, "image");

	c->image_from = "--image";
	if (want == NULL) {
		want = c->bottle->image;
		c->image_from = c->bottle->image_at.file;
	}
	if (want == NULL) {
		want = c->provider->image;
		c->image_from = c->bottle->provider != NULL ? "provider" : "default";
	}
	c->image = want;
}

static void choose_resources(struct cli_config *c)
{
	const struct manifest_resources *want = &c->bottle->resources;

	c->resources.cpus = want->cpus != 0 ? want->cpus : DEFAULT_CPUS;
	c->resources.memory_bytes = want->memory_bytes != 0 ? want->memory_bytes : DEFAULT_MEMORY;
	c->resources.disk_bytes = want->disk_bytes != 0 ? want->disk_bytes : DEFAULT_DISK;
	c->resources.pids = want->pids != 0 ? want->pids : DEFAULT_PIDS;
}

static int choose_label(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	c->label = cli_args_get(args, "label");
	if (c->label == NULL)
		return 0;
	if (!store_is_slug(c->label))
		return bb_err_set(
			err, BB_E_USAGE,
			"'%s' is not a label: small letters, digits and dashes, at most %d, "
			"beginning with a letter",
			BB_ESCAPED(bb_view_str(c->label)), STORE_SLUG_MAX);
	return store_check_label(c->label, err);
}

static int choose_color(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	const char *want = cli_args_get(args, "color");
	const char *near;
	int index;

	if (want == NULL)
		return 0;
	index = cli_color_find(want);
	if (index >= 0) {
		c->color = cli_color_names[index];
		return 0;
	}
	near = bb_table_suggest(cli_color_names, CLI_NUM_COLORS, bb_view_str(want));
	return bb_err_set(err, BB_E_USAGE,
			  "'%s' is not a color%s%s%s; there are red, green, yellow, blue, magenta "
			  "and cyan",
			  BB_ESCAPED(bb_view_str(want)), near != NULL ? "; did you mean '" : "",
			  near != NULL ? near : "", near != NULL ? "'?" : "");
}

static int load(const struct cli_args *args, bool may_lack_tokens, const struct store_meta *resumed,
		struct cli_config **ret, struct bb_err *err)
{
	BB_AUTO(cli_config) struct cli_config *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return config_no_memory(err);
	c->is_headless = cli_args_has(args, "headless");
	c->is_detached = cli_args_has(args, "detach");
	c->is_json = cli_args_has(args, "json");
	c->may_lack_tokens = may_lack_tokens;
	c->resumed = resumed;
	r = choose_backend(c, args, err);
	if (r == 0)
		r = load_manifests(c, args, err);
	if (r == 0)
		r = cli_expand_presets(c->bottle, err);
	if (r == 0)
		r = config_choose_workspace(c, args, err);
	if (r < 0)
		return r;
	assert(c->agent != NULL && c->bottle != NULL);
	c->has_workspace = c->cwd != NULL || (resumed != NULL && resumed->workspace_kept);
	c->guest_cwd = c->has_workspace ? PROVIDER_WORKSPACE : PROVIDER_HOME;
	r = config_read_task(c, args, err);
	if (r == 0)
		r = config_check_task(c, args, err);
	if (r == 0)
		r = prepare_provider(c, args, err);
	if (r == 0)
		r = config_merge_policy(c, err);
	if (r == 0)
		r = config_collect_ports(c, err);
	if (r == 0)
		r = config_collect_tokens(c, err);
	if (r == 0)
		r = config_build_env(c, err);
	if (r == 0)
		r = choose_label(c, args, err);
	if (r == 0)
		r = choose_color(c, args, err);
	if (r < 0)
		return r;
	assert(c->bottle != NULL && c->provider != NULL);
	choose_image(c, args);
	choose_resources(c);
	if (strcmp(c->image, "host") == 0 && strcmp(c->backend, "namespace") != 0)
		return bb_err_set(
			err, BB_E_USAGE,
			"image 'host' is the host's own /usr, which only --backend namespace "
			"can use");
	*ret = bb_take_ptr(&c);
	return 0;
}

int cli_config_load(const struct cli_args *args, bool may_lack_tokens, struct cli_config **ret,
		    struct bb_err *err)
{
	return load(args, may_lack_tokens, NULL, ret, err);
}

int cli_config_resume(const struct cli_args *args, const struct store_meta *meta,
		      struct cli_config **ret, struct bb_err *err)
{
	return load(args, false, meta, ret, err);
}
