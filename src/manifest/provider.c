/*
 * The block `agent_provider` of a bottle: every template's keys. Which templates this build can
 * start is provider/'s to say; what is written for another one is checked all the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

void manifest_settings_done(struct manifest_settings *s)
{
	free(s->provider);
	free(s->base_url);
	free(s->api);
	free(s->api_key);
	bb_strv_free(s->models);
	bb_strv_free(s->compat);
}

static int take_template(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_bottle *b = target;
	int result = manifest_take_text(r, value, &b->provider);

	b->provider_at = manifest_origin_of(value);
	if (result == 0 && !manifest_is_name(b->provider))
		return manifest_refuse(r, value->line,
				       "'template' is '%s'; the name of a provider is a word such "
				       "as claude",
				       BB_ESCAPED(bb_view_str(b->provider)));
	return result;
}

static int take_auth_token(const struct manifest_reader *r, const struct manifest_node *value,
			   void *target)
{
	struct manifest_bottle *b = target;
	int result = manifest_take_text(r, value, &b->auth_token);

	b->auth_token_at = manifest_origin_of(value);
	if (result == 0 && !manifest_is_env_name(b->auth_token))
		return manifest_refuse(
			r, value->line,
			"'auth_token' is the name of a variable of your environment that "
			"holds the token, such as BOT_BOTTLE_CLAUDE_OAUTH_TOKEN; never "
			"the token itself");
	return result;
}

static int take_forwards(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_bottle *b = target;

	b->forwards_at = manifest_origin_of(value);
	return manifest_take_bool(r, value, &b->forwards_credentials);
}

/* settings */

static int take_settings_provider(const struct manifest_reader *r,
				  const struct manifest_node *value, void *target)
{
	struct manifest_settings *s = target;

	return manifest_take_text(r, value, &s->provider);
}

static int take_base_url(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_settings *s = target;
	int result = manifest_take_text(r, value, &s->base_url);

	if (result == 0 && strncmp(s->base_url, "http://", 7) != 0 &&
	    strncmp(s->base_url, "https://", 8) != 0)
		return manifest_refuse(r, value->line,
				       "'base_url' is '%s'; it begins with http:// or https://",
				       BB_ESCAPED(bb_view_str(s->base_url)));
	return result;
}

static const char *const apis[] = { "openai-completions", "openai-responses", "anthropic-messages",
				    "google-generative-ai", NULL };

static int take_api(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target)
{
	struct manifest_settings *s = target;
	size_t index;
	int result = manifest_take_word(r, value, apis, BB_ARRAY_LEN(apis) - 1, &index);

	return result < 0 ? result : manifest_take_text(r, value, &s->api);
}

static int take_api_key(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	struct manifest_settings *s = target;

	return manifest_take_text(r, value, &s->api_key);
}

static int take_models(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct manifest_settings *s = target;

	return manifest_take_texts(r, value, LIMIT_MANIFEST_LIST, &s->models);
}

static int take_compat(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct manifest_settings *s = target;

	if (value->count == 0)
		return manifest_refuse(r, value->line, "'compat' is empty; leave it out");
	if (value->count > LIMIT_MANIFEST_LIST)
		return manifest_refuse(r, value->line, "'compat' has %zu entries, limit %d",
				       value->count, LIMIT_MANIFEST_LIST);
	for (size_t i = 0; i < value->count; i++) {
		const struct manifest_node *flag = value->items[i];
		bool is_on = false;
		int result;

		if (!manifest_is_env_name(flag->key))
			return manifest_refuse(r, flag->key_line,
					       "compat: '%s' is not the name of a flag",
					       BB_ESCAPED(bb_view_str(flag->key)));
		result = manifest_take_bool(r, flag, &is_on);
		if (result < 0)
			return result;
		if (bb_strv_push(&s->compat,
				 bb_text_printf("%s=%s", flag->key, is_on ? "true" : "false")) < 0)
			return manifest_no_memory(r);
	}
	return 0;
}

static const struct manifest_key settings_keys[] = {
	{ "provider", MANIFEST_SCALAR, take_settings_provider, "pi's name of the model's server" },
	{ "base_url", MANIFEST_SCALAR, take_base_url, "such as http://ollama:11434/v1",
	  MANIFEST_PATTERN("^https?://") },
	{ "api", MANIFEST_SCALAR, take_api, "how the server is spoken to",
	  MANIFEST_SHAPE(.words = apis) },
	{ "api_key", MANIFEST_SCALAR, take_api_key, "a literal, or ${HOST_VAR}" },
	{ "models", MANIFEST_LIST, take_models, "names of models", MANIFEST_TEXTS },
	{ "compat", MANIFEST_MAP, take_compat, "flags: NAME: true or false",
	  MANIFEST_SHAPE(.names = MANIFEST_ENV_PATTERN, .items = MANIFEST_BOOL) },
};
static const struct manifest_block settings_block = { "settings", settings_keys,
						      BB_ARRAY_LEN(settings_keys) };

static int take_settings(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_bottle *b = target;

	b->settings.at = manifest_origin_of(value);
	return manifest_take_block(r, &settings_block, value, &b->settings);
}

/* the block */

static const struct manifest_key provider_keys[] = {
	{ "template", MANIFEST_SCALAR, take_template, "the agent's provider: claude, codex or pi",
	  MANIFEST_PATTERN(MANIFEST_NAME_PATTERN) },
	{ "auth_token", MANIFEST_SCALAR, take_auth_token,
	  "host variable that holds the provider's token", MANIFEST_PATTERN(MANIFEST_ENV_PATTERN) },
	{ "forward_host_credentials", MANIFEST_SCALAR, take_forwards,
	  "codex: use the login of your own ~/.codex", MANIFEST_BOOL },
	{ "settings", MANIFEST_MAP, take_settings, "pi: the model's server",
	  MANIFEST_BLOCK(settings_block) },
	{ "dockerfile", MANIFEST_SCALAR, NULL, MANIFEST_REFUSE_DOCKERFILE },
};
const struct manifest_block manifest_provider_block = { "agent_provider", provider_keys,
							BB_ARRAY_LEN(provider_keys), "template" };

/* A key that means something to one template only. */
static int check_owner(const struct manifest_reader *r, const struct manifest_bottle *b,
		       const struct manifest_origin *at, const char *key, const char *owner)
{
	if (at->file == NULL || strcmp(b->provider, owner) == 0)
		return 0;
	return manifest_refuse(r, at->line, "'%s' belongs to the provider %s, not to %s", key,
			       owner, b->provider);
}

int manifest_take_provider(const struct manifest_reader *r, const struct manifest_node *value,
			   void *bottle)
{
	struct manifest_bottle *b = bottle;
	int result = manifest_take_block(r, &manifest_provider_block, value, bottle);

	if (result < 0)
		return result;
	if (b->provider == NULL)
		return manifest_refuse(r, value->line,
				       "agent_provider needs 'template', such as claude");
	result = check_owner(r, b, &b->forwards_at, "forward_host_credentials", "codex");
	if (result == 0)
		result = check_owner(r, b, &b->settings.at, "settings", "pi");
	return result;
}
