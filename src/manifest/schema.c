/*
 * See schema.h. What a table cannot say (two routes for one host, an address that is none) is
 * found by the parser only: what the schema accepts may still be refused, never the other way. A
 * key that is refused is there with its sentence, so that an editor shows it. Scalars may be
 * whatever YAML makes of a plain word: the parser takes the text. Recursion is as deep as the
 * tables.
 */
#include "manifest/schema.h"

#include <stdio.h>
#include <string.h>

struct writer {
	struct bb_buf *out;
	int error; /* the first one; nothing is written after it */
	unsigned depth;
};

static void put(struct writer *w, const char *text)
{
	if (w->error == 0)
		w->error = bb_buf_append_str(w->out, text);
}

static void put_string(struct writer *w, const char *s)
{
	put(w, "\"");
	for (; w->error == 0 && *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			put(w, "\\");
		if (w->error == 0)
			w->error = bb_buf_append_byte(w->out, (uint8_t)*s);
	}
	put(w, "\"");
}

static void put_line(struct writer *w)
{
	put(w, "\n");
	for (unsigned i = 0; i < w->depth; i++)
		put(w, "  ");
}

static void begin(struct writer *w, const char *bracket)
{
	put(w, bracket);
	w->depth++;
}

static void end(struct writer *w, const char *bracket)
{
	w->depth--;
	put_line(w);
	put(w, bracket);
}

/* "name": behind a comma unless it is the first of its object. */
static void put_name(struct writer *w, const char *name, bool is_first)
{
	if (!is_first)
		put(w, ",");
	put_line(w);
	put_string(w, name);
	put(w, ": ");
}

static void put_block(struct writer *w, const struct manifest_block *block);

static void put_words(struct writer *w, const char *const *words)
{
	put_name(w, "enum", false);
	put(w, "[");
	for (size_t i = 0; words[i] != NULL; i++) {
		put(w, i > 0 ? ", " : "");
		put_string(w, words[i]);
	}
	put(w, "]");
}

static void put_range(struct writer *w, const struct manifest_shape *shape)
{
	char text[96];

	put_name(w, "type", true);
	put(w, "\"integer\"");
	put_name(w, "minimum", false);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)shape->min);
	put(w, text);
	put_name(w, "maximum", false);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)shape->max);
	put(w, text);
}

static void put_scalar(struct writer *w, const struct manifest_shape *shape)
{
	if (shape != NULL && shape->max > 0) {
		put_range(w, shape);
		return;
	}
	put_name(w, "type", true);
	put(w, "[\"string\", \"number\", \"boolean\"]");
	if (shape != NULL && shape->words != NULL)
		put_words(w, shape->words);
	if (shape != NULL && shape->pattern != NULL) {
		put_name(w, "pattern", false);
		put_string(w, shape->pattern);
	}
}

/* The members of a value's schema, without its braces. */
static void put_value(struct writer *w, const struct manifest_shape *shape)
{
	if (shape != NULL && shape->block != NULL) {
		put_block(w, shape->block);
		return;
	}
	if (shape == NULL || shape->names == NULL) {
		put_scalar(w, shape);
		return;
	}
	put_name(w, "type", true);
	put(w, "\"object\"");
	put_name(w, "propertyNames", false);
	put(w, "{\"pattern\": ");
	put_string(w, shape->names);
	put(w, "}");
	put_name(w, "additionalProperties", false);
	if (shape->items == NULL) { /* any text, and "null" is one here */
		put(w, "{\"type\": [\"string\", \"number\", \"boolean\", \"null\"]}");
		return;
	}
	begin(w, "{");
	put_value(w, shape->items);
	end(w, "}");
}

static void put_list(struct writer *w, const struct manifest_shape *entry)
{
	put_name(w, "type", true);
	put(w, "\"array\"");
	put_name(w, "items", false);
	begin(w, "{");
	put_value(w, entry);
	end(w, "}");
}

static void put_either(struct writer *w, const struct manifest_shape *shape)
{
	put_name(w, "anyOf", true);
	begin(w, "[");
	put_line(w);
	begin(w, "{");
	put_value(w, shape);
	end(w, "},");
	put_line(w);
	begin(w, "{");
	put_list(w, shape);
	end(w, "}");
	end(w, "]");
}

static void put_key(struct writer *w, const struct manifest_key *key, bool is_first)
{
	put_name(w, key->name, is_first);
	begin(w, "{");
	if (key->take == NULL) {
		put_name(w, "not", true);
		put(w, "{}");
	} else if (key->kind == MANIFEST_LIST) {
		put_list(w, key->shape == NULL ? NULL : key->shape->items);
	} else if (key->kind == MANIFEST_SCALAR_OR_LIST) {
		put_either(w, key->shape);
	} else {
		put_value(w, key->shape);
	}
	put_name(w, "description", false);
	put_string(w, key->text);
	end(w, "}");
}

/* The next word of *list up to the stop; empty at the end. */
static struct bb_view next_word(struct bb_view *list, uint8_t stop)
{
	const uint8_t *at = memchr(list->p, stop, list->n);
	struct bb_view word = bb_view_of(list->p, at == NULL ? list->n : (size_t)(at - list->p));

	*list = bb_view_from(*list, at == NULL ? list->n : word.n + 1);
	return word;
}

static void put_required(struct writer *w, struct bb_view name)
{
	if (w->error == 0)
		w->error = bb_buf_printf(w->out, "{\"required\": [\"%.*s\"]}", BB_VIEW_ARG(name));
}

static void put_needs(struct writer *w, const char *needs)
{
	struct bb_view rest = bb_view_str(needs);
	bool is_first = true;

	put_name(w, "allOf", false);
	begin(w, "[");
	while (rest.n > 0) {
		struct bb_view either = next_word(&rest, ' ');
		struct bb_view one = next_word(&either, '|');

		put(w, is_first ? "" : ",");
		put_line(w);
		is_first = false;
		put(w, either.n > 0 ? "{\"oneOf\": [" : "");
		put_required(w, one);
		while (either.n > 0) {
			put(w, ", ");
			put_required(w, next_word(&either, '|'));
			put(w, either.n > 0 ? "" : "]}");
		}
	}
	end(w, "]");
}

static void put_block(struct writer *w, const struct manifest_block *block)
{
	put_name(w, "type", true);
	put(w, "\"object\"");
	put_name(w, "additionalProperties", false);
	put(w, "false");
	if (block->needs != NULL)
		put_needs(w, block->needs);
	put_name(w, "properties", false);
	begin(w, "{");
	for (size_t i = 0; i < block->count; i++)
		put_key(w, &block->keys[i], i == 0);
	end(w, "}");
}

int manifest_put_schema(const struct manifest_block *block, struct bb_buf *out)
{
	struct writer w = { .out = out };

	begin(&w, "{");
	put_name(&w, "$schema", true);
	put_string(&w, "http://json-schema.org/draft-07/schema#");
	put_name(&w, "title", false);
	put_string(&w, block->place);
	put(&w, ",");
	put_block(&w, block);
	end(&w, "}");
	put(&w, "\n");
	return w.error;
}
