/*
 * libyaml events -> tree; see node.h. Input: a file that the operator wrote or copied from
 * somewhere, so it is parsed as untrusted: bounded time, depth and memory. Recursion is bounded by
 * LIMIT_MANIFEST_DEPTH.
 */
#include "manifest/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/limit.h"
#include "base/text.h"

struct builder {
	yaml_parser_t parser;
	const char *file;
	unsigned first_line;
	size_t nodes;
	struct bb_err *err;
};

static const char *const kind_words[] = {
	[MANIFEST_SCALAR] = "a value",
	[MANIFEST_LIST] = "a list",
	[MANIFEST_MAP] = "a block of keys",
	[MANIFEST_SCALAR_OR_LIST] = "a value or a list",
};
_Static_assert(BB_ARRAY_LEN(kind_words) == MANIFEST_NUM_KINDS, "one word a kind");

const char *manifest_kind_word(enum manifest_kind kind)
{
	return kind_words[kind];
}

void manifest_node_free(struct manifest_node *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < n->count; i++)
		manifest_node_free(n->items[i]);
	free(n->items);
	free(n->text);
	free(n->key);
	free(n);
}

int manifest_node_add(struct manifest_node *to, struct manifest_node *item)
{
	if (to->count == to->room) {
		size_t room = to->room == 0 ? 1 : to->room * 2;
		struct manifest_node **grown = reallocarray(to->items, room, sizeof(void *));

		if (grown == NULL)
			return -ENOMEM;
		to->items = grown;
		to->room = room;
	}
	to->items[to->count++] = item;
	return 0;
}

static size_t find_index(const struct manifest_node *map, const char *key)
{
	size_t i = 0;

	while (i < map->count && strcmp(map->items[i]->key, key) != 0)
		i++;
	return i;
}

struct manifest_node *manifest_node_find(const struct manifest_node *map, const char *key)
{
	size_t i = find_index(map, key);

	return i < map->count ? map->items[i] : NULL;
}

struct manifest_node *manifest_node_take(struct manifest_node *map, const char *key)
{
	size_t i = find_index(map, key);
	struct manifest_node *found;

	if (i == map->count)
		return NULL;
	found = map->items[i];
	map->count--;
	memmove(&map->items[i], &map->items[i + 1],
		(map->count - i) * sizeof(struct manifest_node *));
	return found;
}

static unsigned line_of(const struct builder *b, const yaml_mark_t *mark)
{
	return b->first_line + (unsigned)mark->line;
}

static int refuse(const struct builder *b, unsigned line, const char *what)
{
	return bb_err_set(b->err, BB_E_USAGE, "manifest '%s':%u: %s", b->file, line, what);
}

static int next_event(struct builder *b, yaml_event_t *ret)
{
	const yaml_parser_t *p = &b->parser;
	unsigned line;

	if (yaml_parser_parse(&b->parser, ret))
		return 0;
	line = line_of(b, p->problem_mark.line > 0 ? &p->problem_mark : &p->mark);
	return bb_err_set(b->err, BB_E_USAGE, "manifest '%s':%u: not valid YAML: %s", b->file, line,
			  p->problem != NULL ? p->problem : "it cannot be read");
}

static int node_new(struct builder *b, enum manifest_kind kind, const yaml_event_t *e,
		    struct manifest_node **ret)
{
	unsigned line = line_of(b, &e->start_mark);

	if (++b->nodes > LIMIT_MANIFEST_NODES)
		return bb_err_set(b->err, BB_E_USAGE,
				  "manifest '%s':%u: more than %d values and keys in one file",
				  b->file, line, LIMIT_MANIFEST_NODES);
	*ret = calloc(1, sizeof(**ret));
	if (*ret == NULL)
		return bb_err_set(b->err, -ENOMEM, "out of memory");
	(*ret)->kind = kind;
	(*ret)->file = b->file;
	(*ret)->line = line;
	return 0;
}

static int add_item(struct builder *b, struct manifest_node *to, struct manifest_node *item)
{
	return manifest_node_add(to, item) < 0 ? bb_err_set(b->err, -ENOMEM, "out of memory") : 0;
}

static int build(struct builder *b, const yaml_event_t *e, unsigned depth,
		 struct manifest_node **ret);

/* Reads nodes up to the end event of the list; the items are owned by list. */
static int build_list(struct builder *b, unsigned depth, struct manifest_node *list)
{
	for (;;) {
		BB_AUTO(manifest_node) struct manifest_node *item = NULL;
		yaml_event_t e;
		int r = next_event(b, &e);

		if (r < 0)
			return r;
		if (e.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&e);
			return 0;
		}
		r = build(b, &e, depth + 1, &item);
		yaml_event_delete(&e);
		if (r < 0)
			return r;
		assert(item != NULL);
		r = add_item(b, list, item);
		if (r < 0)
			return r;
		item = NULL;
	}
}

static int take_key(struct builder *b, const struct manifest_node *map, const yaml_event_t *e,
		    char **ret_key)
{
	unsigned line = line_of(b, &e->start_mark);
	const char *text;

	if (e->type != YAML_SCALAR_EVENT)
		return refuse(b, line, "a key must be a plain word");
	if (e->data.scalar.anchor != NULL || e->data.scalar.tag != NULL)
		return refuse(b, line, "anchors and tags are not part of this format");
	text = (const char *)e->data.scalar.value;
	if (e->data.scalar.length == 0 || strlen(text) != e->data.scalar.length)
		return refuse(b, line, "a key must be a plain word");
	if (strcmp(text, "<<") == 0)
		return refuse(b, line, "merge keys ('<<') are not part of this format");
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->items[i]->key, text) == 0)
			return bb_err_set(b->err, BB_E_USAGE,
					  "manifest '%s':%u: key '%s' is given twice, first in "
					  "line %u",
					  b->file, line, BB_ESCAPED(bb_view_str(text)),
					  map->items[i]->key_line);
	*ret_key = strdup(text);
	if (*ret_key == NULL)
		return bb_err_set(b->err, -ENOMEM, "out of memory");
	return 0;
}

static int build_map(struct builder *b, unsigned depth, struct manifest_node *map)
{
	for (;;) {
		BB_AUTO(manifest_node) struct manifest_node *value = NULL;
		BB_AUTO_FREE char *key = NULL;
		unsigned key_line;
		yaml_event_t e;
		int r = next_event(b, &e);

		if (r < 0)
			return r;
		if (e.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&e);
			return 0;
		}
		key_line = line_of(b, &e.start_mark);
		r = take_key(b, map, &e, &key);
		yaml_event_delete(&e);
		if (r < 0 || (r = next_event(b, &e)) < 0)
			return r;
		r = build(b, &e, depth + 1, &value);
		yaml_event_delete(&e);
		if (r < 0)
			return r;
		assert(value != NULL);
		value->key = bb_take_ptr(&key);
		value->key_line = key_line;
		r = add_item(b, map, value);
		if (r < 0)
			return r;
		value = NULL;
	}
}

static int build_scalar(struct builder *b, const yaml_event_t *e, struct manifest_node **ret)
{
	const char *text = (const char *)e->data.scalar.value;
	int r;

	if (strlen(text) != e->data.scalar.length)
		return refuse(b, line_of(b, &e->start_mark), "a value may not hold a NUL byte");
	r = node_new(b, MANIFEST_SCALAR, e, ret);
	if (r < 0)
		return r;
	assert(*ret != NULL);
	(*ret)->is_quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	(*ret)->text = strdup(text);
	if ((*ret)->text == NULL)
		return bb_err_set(b->err, -ENOMEM, "out of memory");
	/* Escapes of quoted scalars ("\u202e") come out here and not in the file's own bytes. */
	return manifest_check_text(bb_view_str(text), b->file, line_of(b, &e->start_mark), b->err);
}

static int refuse_decoration(struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor,
			     const yaml_char_t *tag)
{
	unsigned line = line_of(b, &e->start_mark);

	if (anchor != NULL)
		return refuse(b, line, "anchors ('&name') are not part of this format");
	if (tag != NULL)
		return refuse(b, line, "tags ('!name') are not part of this format");
	return 0;
}

/* One node whose first event is e. */
static int build(struct builder *b, const yaml_event_t *e, unsigned depth,
		 struct manifest_node **ret)
{
	int r;

	if (depth > LIMIT_MANIFEST_DEPTH)
		return bb_err_set(b->err, BB_E_USAGE,
				  "manifest '%s':%u: nested deeper than %d levels", b->file,
				  line_of(b, &e->start_mark), LIMIT_MANIFEST_DEPTH);
	switch ((int)e->type) {
	case YAML_SCALAR_EVENT:
		r = refuse_decoration(b, e, e->data.scalar.anchor, e->data.scalar.tag);
		return r < 0 ? r : build_scalar(b, e, ret);
	case YAML_SEQUENCE_START_EVENT:
		r = refuse_decoration(b, e, e->data.sequence_start.anchor,
				      e->data.sequence_start.tag);
		if (r == 0)
			r = node_new(b, MANIFEST_LIST, e, ret);
		if (r < 0)
			return r;
		assert(*ret != NULL);
		return build_list(b, depth, *ret);
	case YAML_MAPPING_START_EVENT:
		r = refuse_decoration(b, e, e->data.mapping_start.anchor,
				      e->data.mapping_start.tag);
		if (r == 0)
			r = node_new(b, MANIFEST_MAP, e, ret);
		if (r < 0)
			return r;
		assert(*ret != NULL);
		return build_map(b, depth, *ret);
	case YAML_ALIAS_EVENT:
		return refuse(b, line_of(b, &e->start_mark),
			      "aliases ('*name') are not part of this format");
	default:
		return refuse(b, line_of(b, &e->start_mark), "a value is missing here");
	}
}

/* The event must be of this type and carries nothing of use. */
static int expect(struct builder *b, yaml_event_type_t type, const char *otherwise)
{
	yaml_event_t e;
	int r = next_event(b, &e);

	if (r < 0)
		return r;
	if (e.type != type)
		r = refuse(b, line_of(b, &e.start_mark), otherwise);
	yaml_event_delete(&e);
	return r;
}

static int build_document(struct builder *b, struct manifest_node **ret)
{
	yaml_event_t e;
	int r = expect(b, YAML_STREAM_START_EVENT, "the front matter cannot be read");

	if (r < 0 || (r = next_event(b, &e)) < 0)
		return r;
	if (e.type == YAML_STREAM_END_EVENT) {
		r = node_new(b, MANIFEST_MAP, &e, ret);
		yaml_event_delete(&e);
		return r;
	}
	if (e.data.document_start.version_directive != NULL ||
	    e.data.document_start.tag_directives.start != e.data.document_start.tag_directives.end)
		r = refuse(b, line_of(b, &e.start_mark),
			   "directives ('%') are not part of this "
			   "format");
	yaml_event_delete(&e);
	if (r < 0 || (r = next_event(b, &e)) < 0)
		return r;
	r = build(b, &e, 1, ret);
	yaml_event_delete(&e);
	if (r == 0)
		r = expect(b, YAML_DOCUMENT_END_EVENT, "more than one value at the top");
	if (r == 0)
		r = expect(b, YAML_STREAM_END_EVENT, "more than one document in the front matter");
	return r;
}

int manifest_node_read(struct bb_view yaml, const char *file, unsigned first_line,
		       struct manifest_node **ret, struct bb_err *err)
{
	BB_AUTO(manifest_node) struct manifest_node *root = NULL;
	struct builder b = { .file = file, .first_line = first_line, .err = err };
	int r;

	if (!yaml_parser_initialize(&b.parser))
		return bb_err_set(err, -ENOMEM, "out of memory");
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, yaml.p, yaml.n);
	r = build_document(&b, &root);
	yaml_parser_delete(&b.parser);
	if (r < 0)
		return r;
	assert(root != NULL);
	if (root->kind == MANIFEST_SCALAR && !root->is_quoted && root->text[0] == '\0') {
		root->kind = MANIFEST_MAP; /* only comments */
	} else if (root->kind != MANIFEST_MAP) {
		return bb_err_set(err, BB_E_USAGE,
				  "manifest '%s':%u: the front matter is %s; it must be a block of "
				  "keys ('key: value')",
				  file, root->line, manifest_kind_word(root->kind));
	}
	*ret = bb_take_ptr(&root);
	return 0;
}
