/* The agent's variables, and what of them it had better not see. */
#include "cli/config_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "manifest/secret.h"

static int push_env(struct cli_config *c, const struct manifest_env *e, const char *value,
		    struct bb_err *err)
{
	char *entry = bb_text_printf("%s=%s", e->name, value);

	return bb_strv_push(&c->env, entry) < 0 ? config_no_memory(err) : 0;
}

/* What the agent gets to see and the operator may not expect it to. */
static const char *sight_of(const struct cli_config *c, const struct manifest_env *e,
			    const char *value)
{
	if (e->question != NULL)
		return "asked for at the start; the agent will SEE this";
	if (e->host_var != NULL && config_is_in(c->token_refs, e->host_var))
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
		return config_no_memory(err);
	return config_note(
		c, bb_text_printf("env '%s' (%s:%u): %s", e->name, e->at.file, e->at.line, sight),
		err);
}

static int take_host_value(struct cli_config *c, const struct manifest_env *e, const char *value,
			   struct bb_err *err)
{
	if (value != NULL && value[0] != '\0')
		return push_env(c, e, value, err);
	if (c->may_lack_tokens)
		return config_note(c, bb_text_printf("%s is not set", e->host_var), err);
	return bb_err_set(err, BB_E_USAGE, "manifest '%s':%u: env '%s' takes ${%s}, which is %s",
			  e->at.file, e->at.line, e->name, e->host_var,
			  value == NULL ? "not set" : "empty");
}

static int add_manifest_env(struct cli_config *c, size_t i, struct bb_err *err)
{
	const struct manifest_env *e = &c->bottle->env[i];
	const char *value = e->host_var != NULL ? getenv(e->host_var) : e->value;
	int r;

	if (config_is_in(c->plan->env_names, e->name))
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

int config_build_env(struct cli_config *c, struct bb_err *err)
{
	for (size_t i = 0; c->plan->env[i] != NULL; i++)
		if (bb_strv_push(&c->env, strdup(c->plan->env[i])) < 0)
			return config_no_memory(err);
	for (size_t i = 0; i < c->bottle->env_count; i++) {
		int r = add_manifest_env(c, i, err);

		if (r < 0)
			return r;
	}
	return 0;
}
