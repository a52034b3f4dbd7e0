/* The block `env` of a bottle: literals, variables of the operator's, and what is asked for. */
#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

void manifest_env_done(struct manifest_bottle *b)
{
	for (size_t i = 0; i < b->env_count; i++) {
		free(b->env[i].name);
		free(b->env[i].value);
		free(b->env[i].host_var);
		free(b->env[i].question);
	}
	free(b->env);
}

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
		return manifest_no_memory(r);
	if (!manifest_is_env_name(*ret))
		return manifest_refuse(r, value->line, "env '%s': '%s' is not a variable name",
				       value->key, BB_ESCAPED(bb_view_str(*ret)));
	return 0;
}

/* `"?paste token"` */
static int take_question(const struct manifest_reader *r, const struct manifest_node *value,
			 char **ret)
{
	const char *text = value->text + 1 + strspn(value->text + 1, " ");

	if (text[0] == '\0')
		return manifest_refuse(r, value->line,
				       "env '%s': write what is asked for behind the '?'",
				       value->key);
	*ret = strdup(text);
	return *ret == NULL ? manifest_no_memory(r) : 0;
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
	if (strchr(value->text, '\n') != NULL)
		return manifest_refuse(r, value->line, "env '%s' may not span lines", value->key);
	ret->at = manifest_origin_of(value);
	ret->name = strdup(value->key);
	if (ret->name == NULL)
		return manifest_no_memory(r);
	if (value->text[0] == '?')
		return take_question(r, value, &ret->question);
	result = take_host_var(r, value, &ret->host_var);
	if (result < 0 || ret->host_var != NULL)
		return result;
	ret->value = strdup(value->text);
	return ret->value == NULL ? manifest_no_memory(r) : 0;
}

int manifest_take_env(const struct manifest_reader *r, const struct manifest_node *value,
		      void *bottle)
{
	struct manifest_bottle *b = bottle;

	if (value->count > LIMIT_MANIFEST_ENV)
		return manifest_refuse(r, value->line, "env has %zu entries, limit %d",
				       value->count, LIMIT_MANIFEST_ENV);
	if (value->count == 0)
		return 0;
	b->env = calloc(value->count, sizeof(*b->env));
	if (b->env == NULL)
		return manifest_no_memory(r);
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
