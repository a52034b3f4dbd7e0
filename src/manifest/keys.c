/* Key tables; see keys.h. */
#include "manifest/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/num.h"
#include "base/table.h"
#include "base/text.h"

#define KEYS_MAX       32 /* rows of one table */
#define NAME_MAX_BYTES 64

int manifest_refuse(const struct manifest_reader *r, unsigned line, const char *fmt, ...)
{
	char text[BB_ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when long: it is one sentence */
	va_end(ap);
	return bb_err_set(r->err, BB_E_USAGE, "manifest '%s':%u: %s", r->file, line, text);
}

int manifest_no_memory(const struct manifest_reader *r)
{
	return bb_err_set(r->err, -ENOMEM, "out of memory");
}

struct manifest_reader manifest_reader_at(const struct manifest_reader *r,
					  const struct manifest_node *value)
{
	struct manifest_reader at = *r;

	at.file = value->file;
	return at;
}

static bool is_of_kind(const struct manifest_node *value, enum manifest_kind want)
{
	return value->kind == want ||
	       (want == MANIFEST_SCALAR_OR_LIST && value->kind != MANIFEST_MAP);
}

static const struct manifest_key *find_key(const struct manifest_block *block, const char *name)
{
	for (size_t i = 0; i < block->count; i++)
		if (strcmp(block->keys[i].name, name) == 0)
			return &block->keys[i];
	return NULL;
}

static int refuse_unknown(const struct manifest_reader *r, const struct manifest_block *block,
			  const struct manifest_node *value)
{
	const char *names[KEYS_MAX];
	const char *near;
	size_t count = 0;

	for (size_t i = 0; i < block->count && count < KEYS_MAX; i++)
		names[count++] = block->keys[i].name;
	near = bb_table_suggest(names, count, bb_view_str(value->key));
	if (near != NULL)
		return manifest_refuse(r, value->key_line,
				       "unknown key '%s' in %s; did you mean '%s'?",
				       BB_ESCAPED(bb_view_str(value->key)), block->place, near);
	return manifest_refuse(r, value->key_line, "unknown key '%s' in %s",
			       BB_ESCAPED(bb_view_str(value->key)), block->place);
}

int manifest_take_block(const struct manifest_reader *r, const struct manifest_block *block,
			const struct manifest_node *map, void *target)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct manifest_node *value = map->items[i];
		const struct manifest_key *key = find_key(block, value->key);
		const struct manifest_reader at = manifest_reader_at(r, value);
		int result;

		if (key == NULL)
			return refuse_unknown(&at, block, value);
		if (key->take == NULL)
			return manifest_refuse(&at, value->key_line, "'%s' %s", key->name,
					       key->text);
		if (!is_of_kind(value, key->kind))
			return manifest_refuse(&at, value->line, "'%s' must be %s, not %s",
					       key->name, manifest_kind_word(key->kind),
					       manifest_kind_word(value->kind));
		result = key->take(&at, value, target);
		if (result < 0)
			return result;
	}
	return 0;
}

/* How the value is called in an error: its key, or "an entry" of a list. */
static const char *name_of(const struct manifest_node *value)
{
	return value->key != NULL ? value->key : "an entry of the list";
}

static bool is_null(const struct manifest_node *value)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	return !value->is_quoted &&
	       bb_table_index(words, BB_ARRAY_LEN(words), bb_view_str(value->text)) >= 0;
}

int manifest_take_text(const struct manifest_reader *r, const struct manifest_node *value,
		       char **ret)
{
	char *copy;

	if (value->kind != MANIFEST_SCALAR)
		return manifest_refuse(r, value->line, "'%s' must be a value, not %s",
				       name_of(value), manifest_kind_word(value->kind));
	if (is_null(value) || value->text[0] == '\0')
		return manifest_refuse(r, value->line, "'%s' has no value", name_of(value));
	copy = strdup(value->text);
	if (copy == NULL)
		return manifest_no_memory(r);
	*ret = copy;
	return 0;
}

int manifest_take_bool(const struct manifest_reader *r, const struct manifest_node *value,
		       bool *ret)
{
	bool is_true = value->kind == MANIFEST_SCALAR && strcmp(value->text, "true") == 0;

	if (value->kind != MANIFEST_SCALAR || value->is_quoted ||
	    (!is_true && strcmp(value->text, "false") != 0))
		return manifest_refuse(r, value->line, "'%s' must be true or false",
				       name_of(value));
	*ret = is_true;
	return 0;
}

/* "a, b and c" */
static void put_words(const char *const *names, size_t count, char *dst, size_t cap)
{
	size_t n = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < count && n < cap; i++)
		n += (size_t)snprintf(dst + n, cap - n, "%s%s",
				      i == 0           ? ""
				      : i + 1 == count ? " and "
						       : ", ",
				      names[i]);
}

int manifest_take_word(const struct manifest_reader *r, const struct manifest_node *value,
		       const char *const *names, size_t count, size_t *ret)
{
	char words[256];
	int index;

	if (value->kind != MANIFEST_SCALAR)
		return manifest_refuse(r, value->line, "'%s' must be a value, not %s",
				       name_of(value), manifest_kind_word(value->kind));
	index = bb_table_index(names, count, bb_view_str(value->text));
	if (index >= 0) {
		*ret = (size_t)index;
		return 0;
	}
	put_words(names, count, words, sizeof(words));
	return manifest_refuse(r, value->line, "'%s' is '%s'; there %s %s", name_of(value),
			       BB_ESCAPED(bb_view_str(value->text)), count == 1 ? "is" : "are",
			       words);
}

int manifest_take_texts(const struct manifest_reader *r, const struct manifest_node *list,
			size_t max, char ***ret)
{
	BB_AUTO_STRV char **all = NULL;

	if (list->count == 0)
		return manifest_refuse(r, list->line, "'%s' is an empty list; leave it out",
				       name_of(list));
	if (list->count > max)
		return manifest_refuse(r, list->line, "'%s' has %zu entries, limit %zu",
				       name_of(list), list->count, max);
	for (size_t i = 0; i < list->count; i++) {
		const struct manifest_node *item = list->items[i];
		char *text = NULL;
		int result = manifest_take_text(r, item, &text);

		if (result < 0)
			return result;
		for (size_t k = 0; all != NULL && all[k] != NULL; k++)
			if (strcmp(all[k], text) == 0) {
				result = manifest_refuse(r, item->line, "'%s' names '%s' twice",
							 name_of(list),
							 BB_ESCAPED(bb_view_str(text)));
				free(text);
				return result;
			}
		if (bb_strv_push(&all, text) < 0)
			return manifest_no_memory(r);
	}
	*ret = bb_take_ptr(&all);
	return 0;
}

int manifest_take_env_name(const struct manifest_reader *r, const struct manifest_node *value,
			   const char *what, char **ret)
{
	int result = manifest_take_text(r, value, ret);

	if (result == 0 && !manifest_is_env_name(*ret))
		return manifest_refuse(r, value->line,
				       "'%s' is the name of a variable of your environment that "
				       "holds %s, never %s itself",
				       name_of(value), what, what);
	return result;
}

int manifest_take_number(const struct manifest_reader *r, const struct manifest_node *value,
			 uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (value->kind != MANIFEST_SCALAR || value->is_quoted ||
	    bb_num_parse_u64(bb_view_str(value->text), UINT64_MAX, &n) < 0)
		return manifest_refuse(
			r, value->line, "'%s' must be a whole number, not %s", name_of(value),
			value->kind != MANIFEST_SCALAR ? manifest_kind_word(value->kind)
						       : BB_ESCAPED(bb_view_str(value->text)));
	if (n < min || n > max)
		return manifest_refuse(r, value->line,
				       "'%s' is %llu; it must be between %llu and %llu",
				       name_of(value), (unsigned long long)n,
				       (unsigned long long)min, (unsigned long long)max);
	*ret = n;
	return 0;
}

int manifest_take_size(const struct manifest_reader *r, const struct manifest_node *value,
		       uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (bb_num_parse_size(bb_view_str(value->text), max, &n) < 0 || n < min)
		return manifest_refuse(r, value->line,
				       "'%s' is '%s'; it must be a size such as 512M or 4G between "
				       "%lluM and %lluM",
				       name_of(value), BB_ESCAPED(bb_view_str(value->text)),
				       (unsigned long long)(min >> 20),
				       (unsigned long long)(max >> 20));
	*ret = n;
	return 0;
}

bool manifest_is_env_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 128 || (s[0] >= '0' && s[0] <= '9'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		      (s[i] >= '0' && s[i] <= '9') || s[i] == '_'))
			return false;
	return true;
}

bool manifest_is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > NAME_MAX_BYTES || s[0] < 'a' || s[0] > 'z')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-'))
			return false;
	return true;
}

int manifest_read_tree(struct bb_view text, const char *file, struct manifest_node **ret,
		       struct bb_view *ret_body, struct bb_err *err)
{
	struct bb_view yaml = { 0 }, body = { 0 };
	unsigned line = 1;
	int r = manifest_check_text(text, file, 1, err);

	if (r == 0)
		r = manifest_split(text, file, &yaml, &line, &body, err);
	if (r == 0)
		r = manifest_node_read(yaml, file, line, ret, err);
	if (r == 0 && ret_body != NULL)
		*ret_body = body;
	return r;
}
