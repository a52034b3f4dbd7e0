/*
 * A bottle's front matter: the table of its keys, and the blocks too small for a file of their own.
 * A key of the format that this build cannot honour has a row that refuses it, or is read and then
 * keeps the bottle from starting (start.c): ignoring one would start a bottle that is weaker or
 * other than what was written.
 */
#include "manifest/bottle_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/text.h"

void manifest_bottle_free(struct manifest_bottle *b)
{
	if (b == NULL)
		return;
	manifest_env_done(b);
	free(b->name);
	bb_strv_free(b->names);
	free(b->chain);
	bb_strv_free(b->extends);
	bb_strv_free(b->files);
	free(b->provider);
	free(b->auth_token);
	manifest_settings_done(&b->settings);
	free(b->image);
	manifest_git_done(&b->git);
	policy_free(b->policy);
	free(b->routes);
	free(b->workspace.path);
	bb_strv_free(b->workspace.include);
	for (size_t i = 0; i < b->preset_count; i++) {
		free(b->presets[i].name);
		free(b->presets[i].argument);
		policy_route_done(&b->presets[i].auth);
	}
	free(b->presets);
	free(b);
}

/* egress */

static int take_log(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target)
{
	struct manifest_bottle *b = target;
	uint64_t n = 0;
	int result = manifest_take_number(r, value, 0, 2, &n);

	if (result < 0)
		return result;
	b->log = (uint32_t)n;
	b->log_at = manifest_origin_of(value);
	return 0;
}

#define REFUSE_PER_ROUTE "belongs onto a route: 'dlp: {...}' beside its 'host'"
static const struct manifest_key egress_keys[] = {
	{ "routes", MANIFEST_LIST, manifest_take_routes, "hosts that the agent may reach",
	  MANIFEST_LIST_OF(manifest_route_block) },
	{ "log", MANIFEST_SCALAR, take_log,
	  "0 or 1; the audit holds one record per verdict at both", MANIFEST_RANGE(0, 1) },
	{ "dlp", MANIFEST_MAP, NULL, REFUSE_PER_ROUTE },
	{ "outbound_detectors", MANIFEST_LIST, NULL, REFUSE_PER_ROUTE },
	{ "inbound_detectors", MANIFEST_LIST, NULL, REFUSE_PER_ROUTE },
	{ "outbound_on_match", MANIFEST_SCALAR, NULL, REFUSE_PER_ROUTE },
	{ "allowlist", MANIFEST_LIST, NULL,
	  "is an old key; write 'routes' with one '- host: NAME' per host" },
};
static const struct manifest_block egress_block = { "egress", egress_keys,
						    BB_ARRAY_LEN(egress_keys) };

static int take_egress(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	return manifest_take_block(r, &egress_block, value, target);
}

/* the bottle */

static int take_image(const struct manifest_reader *r, const struct manifest_node *value,
		      void *target)
{
	struct manifest_bottle *b = target;

	b->image_at = manifest_origin_of(value);
	return manifest_take_text(r, value, &b->image);
}

static int take_parent(const struct manifest_reader *r, const struct manifest_node *value,
		       struct manifest_bottle *b)
{
	BB_AUTO_FREE char *name = NULL;
	int result = manifest_take_text(r, value, &name);

	if (result < 0)
		return result;
	if (!manifest_is_name(name))
		return manifest_refuse(r, value->line,
				       "'extends': '%s' is not the name of a bottle; names are "
				       "like 'my-bottle2'",
				       BB_ESCAPED(bb_view_str(name)));
	if (strcmp(name, b->name) == 0)
		return manifest_refuse(r, value->line, "'extends' names this bottle itself");
	for (size_t i = 0; b->extends != NULL && b->extends[i] != NULL; i++)
		if (strcmp(b->extends[i], name) == 0)
			return manifest_refuse(r, value->line, "'extends' names '%s' twice", name);
	if (bb_strv_push(&b->extends, bb_take_ptr(&name)) < 0)
		return manifest_no_memory(r);
	return 0;
}

static int take_extends(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	struct manifest_bottle *b = target;
	int result = 0;

	b->extends_at = manifest_origin_of(value);
	if (value->kind == MANIFEST_SCALAR)
		return take_parent(r, value, b);
	if (value->count == 0)
		return manifest_refuse(r, value->line, "'extends' is an empty list; leave it out");
	for (size_t i = 0; result == 0 && i < value->count; i++)
		result = take_parent(r, value->items[i], b);
	return result;
}

/* Approvals cannot be switched off, so the key says nothing; `true` is what older files have. */
static int take_supervise(const struct manifest_reader *r, const struct manifest_node *value,
			  void *target)
{
	struct manifest_bottle *b = target;
	bool is_on = false;
	int result = manifest_take_bool(r, value, &is_on);

	if (result == 0 && !is_on)
		return manifest_refuse(r, value->line,
				       "'supervise: false' is an old key: approvals cannot be "
				       "switched off; take it out");
	b->supervise_at = manifest_origin_of(value);
	return result;
}

#define REFUSE_OLD "is an old key and means nothing here; write 'egress.routes'"
static const struct manifest_key bottle_keys[] = {
	{ "extends", MANIFEST_SCALAR_OR_LIST, take_extends,
	  "the bottle, or bottles, that this one starts from",
	  MANIFEST_PATTERN(MANIFEST_NAME_PATTERN) },
	{ "env", MANIFEST_MAP, manifest_take_env,
	  "environment of the agent: literals, ${HOST_VAR} or \"?question\"",
	  MANIFEST_SHAPE(.names = MANIFEST_ENV_PATTERN) },
	{ "agent_provider", MANIFEST_MAP, manifest_take_provider, "which agent, and its token",
	  MANIFEST_BLOCK(manifest_provider_block) },
	{ "git-gate", MANIFEST_MAP, manifest_take_git, "who commits, and which upstreams",
	  MANIFEST_BLOCK(manifest_git_block) },
	{ "egress", MANIFEST_MAP, take_egress, "what the agent may reach",
	  MANIFEST_BLOCK(egress_block) },
	{ "image", MANIFEST_SCALAR, take_image, "guest image: claude, base or host" },
	{ "workspace", MANIFEST_MAP, manifest_take_workspace, "what is copied in",
	  MANIFEST_BLOCK(manifest_workspace_block) },
	{ "resources", MANIFEST_MAP, manifest_take_resources, "limits",
	  MANIFEST_BLOCK(manifest_resource_block) },
	{ "supervise", MANIFEST_SCALAR, take_supervise, "true; approvals cannot be switched off",
	  MANIFEST_BOOL },
	{ "git", MANIFEST_MAP, NULL, "is an old key; it became 'git-gate'" },
	{ "dockerfile", MANIFEST_SCALAR, NULL, MANIFEST_REFUSE_DOCKERFILE },
	{ "runtime", MANIFEST_SCALAR, NULL, "is an old key; choose with 'start --backend'" },
	{ "pipelock", MANIFEST_MAP, NULL, REFUSE_OLD },
	{ "cred_proxy", MANIFEST_MAP, NULL,
	  "is an old key; it became 'auth' of a route: {scheme: Bearer, token_ref: HOST_VAR}" },
	{ "tokens", MANIFEST_MAP, NULL,
	  "is an old key; it became 'auth' of a route: {scheme: Bearer, token_ref: HOST_VAR}" },
	{ "egress_proxy", MANIFEST_MAP, NULL, "is an old key; it became 'egress'" },
	{ "ssh", MANIFEST_MAP, NULL, "is an old key; upstreams are 'git-gate.repos'" },
	{ "ExtraHosts", MANIFEST_LIST, NULL,
	  "is an old key: names are resolved on the host; write 'egress.routes'" },
	{ "skills", MANIFEST_LIST, NULL, "belongs into the agent, not into the bottle" },
	{ "bottle", MANIFEST_SCALAR, NULL,
	  "belongs into the agent; a bottle starts from another one by 'extends'" },
};
const struct manifest_block manifest_bottle_block = { "a bottle", bottle_keys,
						      BB_ARRAY_LEN(bottle_keys) };

int manifest_bottle_new(const char *name, struct manifest_bottle **ret, struct bb_err *err)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = calloc(1, sizeof(*b));

	if (b != NULL) {
		b->name = strdup(name);
		b->policy = policy_new();
		b->workspace.has_git = true;
	}
	if (b == NULL || b->name == NULL || b->policy == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	*ret = bb_take_ptr(&b);
	return 0;
}

int manifest_take_bottle(const struct manifest_node *root, struct manifest_bottle *b,
			 struct bb_err *err)
{
	const struct manifest_reader r = { .file = root->file, .err = err };

	return manifest_take_block(&r, &manifest_bottle_block, root, b);
}

int manifest_parse_bottle(struct bb_view text, const char *name, const char *file,
			  struct manifest_bottle **ret, struct bb_err *err)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO(manifest_node) struct manifest_node *root = NULL;
	int r = manifest_bottle_new(name, &b, err);

	if (r < 0)
		return r;
	if (bb_strv_push(&b->files, strdup(file)) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = manifest_read_tree(text, b->files[0], &root, NULL, err);
	if (r == 0)
		r = manifest_take_bottle(root, b, err);
	if (r < 0)
		return r;
	*ret = bb_take_ptr(&b);
	return 0;
}
