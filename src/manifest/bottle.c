/*
 * A bottle's front matter: the rows of every block and the functions that take them. A key of the
 * format that this build cannot honour has a row that refuses it: ignoring one would start a bottle
 * that is weaker or other than what was written.
 */
#include "manifest/bottle_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/num.h"
#include "base/text.h"

void manifest_bottle_free(struct manifest_bottle *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->env_count; i++) {
		free(b->env[i].name);
		free(b->env[i].value);
		free(b->env[i].host_var);
	}
	free(b->env);
	free(b->name);
	free(b->chain);
	bb_strv_free(b->extends);
	bb_strv_free(b->files);
	free(b->provider);
	free(b->auth_token);
	free(b->image);
	policy_free(b->policy);
	free(b);
}

/* env */

/* `${NAME}` as a whole gives the name on the heap; 0 with *ret NULL for other text. */
static int take_host_var(const struct manifest_reader *r, const struct manifest_node *value,
			 char **ret)
{
	size_t n = strlen(value->text);

	*ret = NULL;
	if (strstr(value->text, "${") == NULL)
		return 0;
	if (n < 4 || strncmp(value->text, "${", 2) != 0 ||
	    strchr(value->text, '}') != value->text + n - 1)
		return manifest_refuse(
			r, value->line,
			"env '%s': ${NAME} must be the whole value, not a part of it", value->key);
	*ret = strndup(value->text + 2, n - 3);
	if (*ret == NULL)
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	if (!manifest_is_env_name(*ret))
		return manifest_refuse(r, value->line, "env '%s': '%s' is not a variable name",
				       value->key, BB_ESCAPED(bb_view_str(*ret)));
	return 0;
}

static int take_env_entry(const struct manifest_reader *r, const struct manifest_node *value,
			  struct manifest_env *ret)
{
	int result;

	if (!manifest_is_env_name(value->key))
		return manifest_refuse(r, value->key_line, "env: '%s' is not a variable name",
				       BB_ESCAPED(bb_view_str(value->key)));
	if (value->kind != MANIFEST_SCALAR)
		return manifest_refuse(r, value->line, "env '%s' must be a value, not %s",
				       value->key, manifest_kind_word(value->kind));
	if (value->text[0] == '?')
		return manifest_refuse(
			r, value->line,
			"env '%s': asking for a value at the start (\"?prompt\") is not "
			"built yet; use ${NAME} and set NAME in your environment",
			value->key);
	if (strchr(value->text, '\n') != NULL)
		return manifest_refuse(r, value->line, "env '%s' may not span lines", value->key);
	result = take_host_var(r, value, &ret->host_var);
	if (result < 0)
		return result;
	ret->at = manifest_origin_of(value);
	ret->name = strdup(value->key);
	ret->value = ret->host_var != NULL ? NULL : strdup(value->text);
	if (ret->name == NULL || (ret->value == NULL && ret->host_var == NULL))
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	return 0;
}

static int take_env(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target)
{
	struct manifest_bottle *b = target;

	if (value->count > LIMIT_MANIFEST_ENV)
		return manifest_refuse(r, value->line, "env has %zu entries, limit %d",
				       value->count, LIMIT_MANIFEST_ENV);
	if (value->count == 0)
		return 0;
	b->env = calloc(value->count, sizeof(*b->env));
	if (b->env == NULL)
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < value->count; i++) {
		const struct manifest_reader at = manifest_reader_at(r, value->items[i]);
		int result;

		b->env_count++;
		result = take_env_entry(&at, value->items[i], &b->env[i]);
		if (result < 0)
			return result;
	}
	return 0;
}

/* agent_provider */

static int take_template(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_bottle *b = target;

	b->provider_at = manifest_origin_of(value);
	return manifest_take_text(r, value, &b->provider);
}

static int take_auth_token(const struct manifest_reader *r, const struct manifest_node *value,
			   void *target)
{
	struct manifest_bottle *b = target;
	int result = manifest_take_text(r, value, &b->auth_token);

	if (result == 0 && !manifest_is_env_name(b->auth_token))
		return manifest_refuse(
			r, value->line,
			"'auth_token' is the name of a variable of your environment that "
			"holds the token, such as BOT_BOTTLE_CLAUDE_OAUTH_TOKEN; never "
			"the token itself");
	return result;
}

#define REFUSE_DOCKERFILE                                                                      \
	"is refused: images are built by 'bot-bottle image build', not from Dockerfiles; use " \
	"'image'"
#define REFUSE_CODEX "belongs to the codex provider, which is not built yet"
static const struct manifest_key provider_keys[] = {
	{ "template", MANIFEST_SCALAR, take_template, "the agent's provider: claude" },
	{ "auth_token", MANIFEST_SCALAR, take_auth_token,
	  "host variable that holds the provider's token", MANIFEST_PATTERN(MANIFEST_ENV_PATTERN) },
	{ "forward_host_credentials", MANIFEST_SCALAR, NULL, REFUSE_CODEX },
	{ "settings", MANIFEST_MAP, NULL, "belongs to the pi provider, which is not built yet" },
	{ "dockerfile", MANIFEST_SCALAR, NULL, REFUSE_DOCKERFILE },
};
static const struct manifest_block provider_block = { "agent_provider", provider_keys,
						      BB_ARRAY_LEN(provider_keys), "template" };

static int take_provider(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_bottle *b = target;
	int result = manifest_take_block(r, &provider_block, value, target);

	if (result == 0 && b->provider == NULL)
		return manifest_refuse(
			r, value->line,
			"agent_provider needs 'template' (claude is the one there is)");
	return result;
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
	if (n == 2)
		return manifest_refuse(
			r, value->line,
			"'log: 2' (headers and bodies) is not built yet; the audit holds "
			"one record per verdict at every level");
	b->log = (uint32_t)n;
	b->log_at = manifest_origin_of(value);
	return 0;
}

static const struct manifest_key egress_keys[] = {
	{ "routes", MANIFEST_LIST, manifest_take_routes, "hosts that the agent may reach",
	  MANIFEST_LIST_OF(manifest_route_block) },
	{ "log", MANIFEST_SCALAR, take_log,
	  "0 or 1; the audit holds one record per verdict at both", MANIFEST_RANGE(0, 1) },
	{ "dlp", MANIFEST_MAP, NULL, REFUSE_DLP },
	{ "outbound_detectors", MANIFEST_LIST, NULL, REFUSE_DLP },
	{ "inbound_detectors", MANIFEST_LIST, NULL, REFUSE_DLP },
	{ "outbound_on_match", MANIFEST_SCALAR, NULL, REFUSE_DLP },
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

/* resources */

static int take_cpus(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_bottle *b = target;
	uint64_t n = 0;
	int result = manifest_take_number(r, value, 1, 64, &n);

	b->resources.cpus_at = manifest_origin_of(value);
	if (result == 0)
		b->resources.cpus = (uint32_t)n;
	return result;
}

static int take_memory(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct manifest_bottle *b = target;

	b->resources.memory_at = manifest_origin_of(value);
	return manifest_take_size(r, value, 64ull << 20, 1ull << 40, &b->resources.memory_bytes);
}

static int take_disk(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_bottle *b = target;

	b->resources.disk_at = manifest_origin_of(value);
	return manifest_take_size(r, value, 64ull << 20, 1ull << 44, &b->resources.disk_bytes);
}

static int take_pids(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_bottle *b = target;
	uint64_t n = 0;
	int result = manifest_take_number(r, value, 16, 1u << 20, &n);

	b->resources.pids_at = manifest_origin_of(value);
	if (result == 0)
		b->resources.pids = (uint32_t)n;
	return result;
}

/* "90s", "30m", "8h", or seconds. */
static int take_time(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_bottle *b = target;
	struct bb_view text = bb_view_str(value->text);
	uint64_t unit = 1, n = 0;

	if (text.n > 0) {
		uint8_t last = text.p[text.n - 1];

		unit = last == 'h' ? 3600 : last == 'm' ? 60 : 1;
		if (last == 'h' || last == 'm' || last == 's')
			text.n--;
	}
	if (bb_num_parse_u64(text, 30ull * 86400, &n) < 0 || n == 0 || n * unit > 30ull * 86400)
		return manifest_refuse(
			r, value->line,
			"'time' is '%s'; it must be a time such as 90s, 30m or 8h, at "
			"most 720h",
			BB_ESCAPED(bb_view_str(value->text)));
	b->resources.time_at = manifest_origin_of(value);
	b->resources.max_seconds = (uint32_t)(n * unit);
	return 0;
}

static const struct manifest_key resource_keys[] = {
	{ "cpus", MANIFEST_SCALAR, take_cpus, "processors", MANIFEST_RANGE(1, 64) },
	{ "memory", MANIFEST_SCALAR, take_memory, "such as 2G",
	  MANIFEST_PATTERN(MANIFEST_SIZE_PATTERN) },
	{ "disk", MANIFEST_SCALAR, take_disk, "such as 8G",
	  MANIFEST_PATTERN(MANIFEST_SIZE_PATTERN) },
	{ "pids", MANIFEST_SCALAR, take_pids, "processes at a time", MANIFEST_RANGE(16, 1u << 20) },
	{ "time", MANIFEST_SCALAR, take_time, "the bottle ends after this, such as 8h",
	  MANIFEST_PATTERN("^[0-9]+[smh]?$") },
};
static const struct manifest_block resource_block = { "resources", resource_keys,
						      BB_ARRAY_LEN(resource_keys) };

static int take_resources(const struct manifest_reader *r, const struct manifest_node *value,
			  void *target)
{
	return manifest_take_block(r, &resource_block, value, target);
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
		return bb_err_set(r->err, -ENOMEM, "out of memory");
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

#define REFUSE_OLD "is a key of an older format and means nothing here; write 'egress.routes'"
static const struct manifest_key bottle_keys[] = {
	{ "env", MANIFEST_MAP, take_env, "environment of the agent: literals or ${HOST_VAR}",
	  MANIFEST_SHAPE(.names = MANIFEST_ENV_PATTERN) },
	{ "agent_provider", MANIFEST_MAP, take_provider, "which agent, and its token",
	  MANIFEST_BLOCK(provider_block) },
	{ "egress", MANIFEST_MAP, take_egress, "what the agent may reach",
	  MANIFEST_BLOCK(egress_block) },
	{ "image", MANIFEST_SCALAR, take_image, "guest image: claude, base or host" },
	{ "resources", MANIFEST_MAP, take_resources, "limits", MANIFEST_BLOCK(resource_block) },
	{ "extends", MANIFEST_SCALAR_OR_LIST, take_extends,
	  "the bottle, or bottles, that this one starts from",
	  MANIFEST_PATTERN(MANIFEST_NAME_PATTERN) },
	{ "git-gate", MANIFEST_MAP, NULL, "is not built yet; this bottle has no git remote" },
	{ "workspace", MANIFEST_MAP, NULL, "is not built yet; use 'start --cwd'" },
	{ "supervise", MANIFEST_SCALAR, NULL,
	  "is not a key: approvals are not optional once built" },
	{ "git", MANIFEST_MAP, NULL,
	  "is an old key; it became 'git-gate', which is not built yet" },
	{ "dockerfile", MANIFEST_SCALAR, NULL, REFUSE_DOCKERFILE },
	{ "runtime", MANIFEST_SCALAR, NULL, "is an old key; choose with 'start --backend'" },
	{ "pipelock", MANIFEST_MAP, NULL, REFUSE_OLD },
	{ "cred_proxy", MANIFEST_MAP, NULL, REFUSE_OLD },
	{ "tokens", MANIFEST_MAP, NULL, REFUSE_OLD },
	{ "ExtraHosts", MANIFEST_LIST, NULL, REFUSE_OLD },
};
const struct manifest_block manifest_bottle_block = { "a bottle", bottle_keys,
						      BB_ARRAY_LEN(bottle_keys) };

int manifest_bottle_new(const char *name, struct manifest_bottle **ret, struct bb_err *err)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = calloc(1, sizeof(*b));

	if (b != NULL) {
		b->name = strdup(name);
		b->policy = policy_new();
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
