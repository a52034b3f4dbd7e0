/* See config.h. Order of checks: names, manifests, provider, policy, variables, directories. */
#include "cli/config.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/color.h"
#include "cli/sites.h"
#include "cli/workspace.h"
#include "manifest/secret.h"
#include "store/store.h"

#define DEFAULT_CPUS   2
#define DEFAULT_MEMORY (2ull << 30)
#define DEFAULT_DISK   (8ull << 30)
#define DEFAULT_PIDS   1024
#define TASK_MAX       (1024 * 1024)
#define TASK_AS_ARGUMENT \
	16384 /* longer ones go through standard input: one frame holds all arguments */

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

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

static int add_note(struct cli_config *c, char *text, struct bb_err *err)
{
	return bb_strv_push(&c->notes, text) < 0 ? no_memory(err) : 0;
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
		return no_memory(err);
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
		r = add_note(c, strdup(c->places.notes[i]), err);
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
	return c->not_built == NULL || c->env_notes == NULL ? no_memory(err) : 0;
}

/* A command that only looks is shown the provider's first choice. */
static bool has_variable(void *arg, const char *name)
{
	const struct cli_config *c = arg;
	const char *value = getenv(name);

	return c->may_lack_tokens || (value != NULL && value[0] != '\0');
}

static int read_task(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	const char *text = cli_args_get(args, "prompt");
	const char *file = cli_args_get(args, "prompt-file");
	BB_AUTO_BUF struct bb_buf content = { 0 };
	int r;

	if (text != NULL && file != NULL)
		return bb_err_set(err, BB_E_USAGE, "--prompt and --prompt-file exclude each other");
	if (text != NULL) {
		c->task = strdup(text);
		return c->task == NULL ? no_memory(err) : 0;
	}
	if (file == NULL)
		return 0;
	bb_buf_init(&content, TASK_MAX);
	if (strcmp(file, "-") == 0) {
		r = bb_fd_read_to_end(STDIN_FILENO, &content);
	} else {
		BB_AUTO_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC);

		r = fd < 0 ? -errno : bb_fd_read_to_end(fd, &content);
	}
	if (r == -EMSGSIZE)
		return bb_err_set(err, BB_E_LIMIT, "prompt file '%s' is larger than %d KiB", file,
				  TASK_MAX / 1024);
	if (r < 0)
		return bb_err_set(err, r, "cannot read prompt file '%s': %s", file, bb_err_name(r));
	c->task = bb_buf_dup_str(&content);
	if (c->task == NULL)
		return no_memory(err);
	if (strlen(c->task) != bb_buf_size(&content))
		return bb_err_set(err, BB_E_USAGE, "prompt file '%s' holds a NUL byte", file);
	return 0;
}

static int check_task(const struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	if (args->rest != NULL && c->task != NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "a prompt and '-- COMMAND' exclude each other: the command runs "
				  "instead of the agent");
	if (!c->is_headless && c->task != NULL && strlen(c->task) > TASK_AS_ARGUMENT)
		return bb_err_set(
			err, BB_E_LIMIT,
			"a prompt of more than %d KiB needs --headless, or a file in --cwd",
			TASK_AS_ARGUMENT / 1024);
	if (c->is_headless && args->rest == NULL && (c->task == NULL || c->task[0] == '\0'))
		return bb_err_set(
			err, BB_E_USAGE,
			"--headless needs the agent's task: --prompt TEXT or --prompt-file "
			"FILE");
	return 0;
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
			return no_memory(err);
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

static bool is_same_host(const struct policy_route *a, const struct policy_route *b)
{
	return a->is_wildcard == b->is_wildcard && strcmp(a->host, b->host) == 0;
}

/* The provider's routes first; a manifest's route for the same host loses, and is named. */
static int merge_policy(struct cli_config *c, struct bb_err *err)
{
	const struct policy *from = c->bottle->policy;
	int r = 0;

	c->policy = policy_new();
	if (c->policy == NULL)
		return no_memory(err);
	c->policy->log = c->bottle->log;
	for (size_t i = 0; r == 0 && i < c->plan->route_count; i++)
		r = policy_add(c->policy, &c->plan->routes[i], err);
	for (size_t i = 0; r == 0 && i < from->route_count; i++) {
		size_t k = 0;

		while (k < c->plan->route_count &&
		       !is_same_host(&c->plan->routes[k], &from->routes[i]))
			k++;
		if (k == c->plan->route_count)
			r = policy_add(c->policy, &from->routes[i], err);
		else
			r = add_note(
				c,
				bb_text_printf("the route for %s of %s is not used: provider %s "
					       "brings its own",
					       from->routes[i].host, from->routes[i].origin,
					       c->provider->name),
				err);
	}
	return r;
}

static int add_port(struct cli_config *c, uint16_t port, struct bb_err *err)
{
	uint16_t *grown;

	if (port == 80 || port == 443)
		return 0;
	for (size_t i = 0; i < c->port_count; i++)
		if (c->ports[i] == port)
			return 0;
	grown = reallocarray(c->ports, c->port_count + 1, sizeof(*grown));
	if (grown == NULL)
		return no_memory(err);
	c->ports = grown;
	grown[c->port_count++] = port;
	return 0;
}

static int collect_ports(struct cli_config *c, struct bb_err *err)
{
	int r = 0;

	for (size_t i = 0; i < c->policy->route_count; i++) {
		const struct policy_route *route = &c->policy->routes[i];

		for (size_t k = 0; r == 0 && k < route->tls_port_count; k++)
			r = add_port(c, route->tls_ports[k], err);
		for (size_t k = 0; r == 0 && k < route->plain_port_count; k++)
			r = add_port(c, route->plain_ports[k], err);
	}
	return r;
}

static bool is_in(char *const *list, const char *s)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

static int collect_tokens(struct cli_config *c, struct bb_err *err)
{
	for (size_t i = 0; i < c->policy->route_count; i++) {
		const struct policy_route *route = &c->policy->routes[i];
		const char *value;

		if (route->token_ref == NULL || is_in(c->token_refs, route->token_ref))
			continue;
		value = getenv(route->token_ref);
		if (c->may_lack_tokens && (value == NULL || value[0] == '\0')) {
			int r = add_note(c, bb_text_printf("%s is not set", route->token_ref), err);

			if (r < 0)
				return r;
		} else if (value == NULL || value[0] == '\0')
			return bb_err_set(err, BB_E_USAGE,
					  "variable %s, the token for '%s' (%s), is %s; export it "
					  "before the start",
					  route->token_ref, route->host, route->origin,
					  value == NULL ? "not set" : "empty");
		if (bb_strv_push(&c->token_refs, strdup(route->token_ref)) < 0)
			return no_memory(err);
	}
	return 0;
}

static int push_env(struct cli_config *c, const struct manifest_env *e, const char *value,
		    struct bb_err *err)
{
	char *entry = bb_text_printf("%s=%s", e->name, value);

	return bb_strv_push(&c->env, entry) < 0 ? no_memory(err) : 0;
}

/* What the agent gets to see and the operator may not expect it to. */
static const char *sight_of(const struct cli_config *c, const struct manifest_env *e,
			    const char *value)
{
	if (e->question != NULL)
		return "asked for at the start; the agent will SEE this";
	if (e->host_var != NULL && is_in(c->token_refs, e->host_var))
		return "the agent will SEE this: it is the token that egress puts in";
	if (value != NULL && (manifest_is_secret_value(value) ||
			      (e->host_var != NULL && (manifest_is_secret_name(e->host_var) ||
						       manifest_is_secret_name(e->name)))))
		return "the agent will SEE this: it looks like a credential";
	return NULL;
}

static int note_sight(struct cli_config *c, size_t i, const char *value, struct bb_err *err)
{
	const struct manifest_env *e = &c->bottle->env[i];
	const char *sight = sight_of(c, e, value);

	if (sight == NULL)
		return 0;
	c->env_notes[i] = strdup(sight);
	if (c->env_notes[i] == NULL)
		return no_memory(err);
	return add_note(
		c, bb_text_printf("env '%s' (%s:%u): %s", e->name, e->at.file, e->at.line, sight),
		err);
}

static int take_host_value(struct cli_config *c, const struct manifest_env *e, const char *value,
			   struct bb_err *err)
{
	if (value != NULL && value[0] != '\0')
		return push_env(c, e, value, err);
	if (c->may_lack_tokens)
		return add_note(c, bb_text_printf("%s is not set", e->host_var), err);
	return bb_err_set(err, BB_E_USAGE, "manifest '%s':%u: env '%s' takes ${%s}, which is %s",
			  e->at.file, e->at.line, e->name, e->host_var,
			  value == NULL ? "not set" : "empty");
}

static int add_manifest_env(struct cli_config *c, size_t i, struct bb_err *err)
{
	const struct manifest_env *e = &c->bottle->env[i];
	const char *value = e->host_var != NULL ? getenv(e->host_var) : e->value;
	int r;

	if (is_in(c->plan->env_names, e->name))
		return bb_err_set(err, BB_E_USAGE,
				  "manifest '%s':%u: env '%s' is set by bot-bottle itself; take it "
				  "out",
				  e->at.file, e->at.line, e->name);
	if (e->question != NULL && c->is_headless)
		return bb_err_set(err, BB_E_USAGE,
				  "manifest '%s':%u: env '%s' is asked for at the start, and "
				  "--headless has nobody to ask; use ${NAME} and set NAME in your "
				  "environment",
				  e->at.file, e->at.line, e->name);
	r = note_sight(c, i, value, err);
	if (r < 0 || e->question != NULL)
		return r;
	return e->host_var != NULL ? take_host_value(c, e, value, err) : push_env(c, e, value, err);
}

static int build_env(struct cli_config *c, struct bb_err *err)
{
	for (size_t i = 0; c->plan->env[i] != NULL; i++)
		if (bb_strv_push(&c->env, strdup(c->plan->env[i])) < 0)
			return no_memory(err);
	for (size_t i = 0; i < c->bottle->env_count; i++) {
		int r = add_manifest_env(c, i, err);

		if (r < 0)
			return r;
	}
	return 0;
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

/* "~/x" of a manifest. */
static char *below_home(const char *path)
{
	const char *home = getenv("HOME");

	return path[0] == '~' && home != NULL ? bb_text_printf("%s%s", home, path + 1)
					      : strdup(path);
}

/* The directory that the bottle names, unless the command line names one. */
static int workspace_of_bottle(struct cli_config *c, struct bb_err *err)
{
	const struct manifest_workspace *w = &c->bottle->workspace;
	BB_AUTO_FREE char *path = w->path == NULL ? NULL : below_home(w->path);
	int r;

	if (w->path == NULL)
		return 0;
	if (path == NULL)
		return no_memory(err);
	r = cli_workspace_check(path, &c->cwd, err);
	c->has_bottles_cwd = true;
	return r < 0 ? bb_err_wrap(err, "manifest '%s':%u: 'workspace.path'", w->path_at.file,
				   w->path_at.line)
		     : 0;
}

static int choose_workspace(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	const struct manifest_workspace *w = &c->bottle->workspace;
	bool is_asked;
	int r = 0;

	c->include = cli_args_all(args, "include");
	if (c->include == NULL)
		return no_memory(err);
	is_asked = cli_args_has(args, "no-git") || c->include[0] != NULL;
	c->no_git = cli_args_has(args, "no-git") || !w->has_git;
	for (size_t i = 0; w->include != NULL && w->include[i] != NULL; i++)
		if (bb_strv_push(&c->include, strdup(w->include[i])) < 0)
			return no_memory(err);
	if (cli_args_has(args, "cwd")) {
		r = cli_workspace_check(cli_args_get(args, "cwd"), &c->cwd, err);
		if (r < 0)
			return bb_err_wrap(err, "--cwd");
	} else if (c->resumed == NULL) { /* a kept one comes back as it was */
		r = workspace_of_bottle(c, err);
	}
	if (r == 0 && c->cwd == NULL && is_asked)
		return bb_err_set(err, BB_E_USAGE,
				  "--include and --no-git are about the directory that --cwd or "
				  "the bottle's 'workspace' copies in");
	return r;
}

static int load(const struct cli_args *args, bool may_lack_tokens, const struct store_meta *resumed,
		struct cli_config **ret, struct bb_err *err)
{
	BB_AUTO(cli_config) struct cli_config *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return no_memory(err);
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
		r = choose_workspace(c, args, err);
	if (r < 0)
		return r;
	assert(c->agent != NULL && c->bottle != NULL);
	c->has_workspace = c->cwd != NULL || (resumed != NULL && resumed->workspace_kept);
	c->guest_cwd = c->has_workspace ? PROVIDER_WORKSPACE : PROVIDER_HOME;
	r = read_task(c, args, err);
	if (r == 0)
		r = check_task(c, args, err);
	if (r == 0)
		r = prepare_provider(c, args, err);
	if (r == 0)
		r = merge_policy(c, err);
	if (r == 0)
		r = collect_ports(c, err);
	if (r == 0)
		r = collect_tokens(c, err);
	if (r == 0)
		r = build_env(c, err);
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
