/*
 * `matches` of an egress route: a list of alternatives, each of them a block whose keys must all
 * hold. What each value may be is policy/'s business; here it is read and, where it is refused, the
 * line is named.
 */
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

/* One path, header or query parameter under construction. */
struct value_reading {
	struct policy_value value;
	enum policy_place place;
	bool has_type;
};

static void value_done(struct value_reading *t)
{
	free(t->value.name);
	free(t->value.text);
}

static int take_name(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct value_reading *t = target;
	int result = manifest_take_text(r, value, &t->value.name);

	if (result == 0 && t->place == POLICY_HEADERS)
		for (char *p = t->value.name; *p != '\0'; p++)
			*p = (char)bb_ascii_lower((uint8_t)*p);
	if (result == 0 && t->place == POLICY_HEADERS && manifest_is_hop_header(t->value.name))
		return manifest_refuse(r, value->line,
				       "header '%s' is written anew on the way out, so no rule can "
				       "judge it",
				       t->value.name);
	return result;
}

static int take_type(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct value_reading *t = target;
	int how =
		bb_table_index(policy_compare_names, POLICY_NUM_COMPARES, bb_view_str(value->text));

	t->has_type = true;
	if (how < 0)
		return manifest_refuse(r, value->line,
				       "type '%s' is not known; there are exact, prefix and regex",
				       BB_ESCAPED(bb_view_str(value->text)));
	t->value.how = (enum policy_compare)how;
	return 0;
}

static int take_value(const struct manifest_reader *r, const struct manifest_node *value,
		      void *target)
{
	struct value_reading *t = target;

	return manifest_take_text(r, value, &t->value.text);
}

static const struct manifest_key path_keys[] = {
	{ "type", MANIFEST_SCALAR, take_type, "exact, prefix (up to a '/') or regex (whole path)",
	  MANIFEST_WORDS("exact", "prefix", "regex") },
	{ "value", MANIFEST_SCALAR, take_value, "/v1/messages" },
};
static const struct manifest_key field_keys[] = {
	{ "name", MANIFEST_SCALAR, take_name, "of the header or query parameter" },
	{ "type", MANIFEST_SCALAR, take_type, "exact (when left out) or regex (whole value)",
	  MANIFEST_WORDS("exact", "regex") },
	{ "value", MANIFEST_SCALAR, take_value, "what it must be, each time it comes" },
};
static const struct manifest_block path_block = { "a path of 'matches'", path_keys,
						  BB_ARRAY_LEN(path_keys), "type value" };
static const struct manifest_block header_block = { "a header of 'matches'", field_keys,
						    BB_ARRAY_LEN(field_keys), "name value" };
static const struct manifest_block query_block = { "a query parameter of 'matches'", field_keys,
						   BB_ARRAY_LEN(field_keys), "name value" };

/* How each kind of value is read. */
static const struct {
	const struct manifest_block *block;
	const char *example;
	size_t limit;
} places[] = {
	[POLICY_PATHS] = { &path_block, "{type: prefix, value: /v1}", LIMIT_MATCH_PATHS },
	[POLICY_HEADERS] = { &header_block, "{name: accept, value: application/json}",
			     LIMIT_MATCH_FIELDS },
	[POLICY_QUERY] = { &query_block, "{name: state, value: open}", LIMIT_MATCH_FIELDS },
};
_Static_assert(BB_ARRAY_LEN(places) == POLICY_NUM_PLACES, "one row each");

static int take_entry(const struct manifest_reader *r, const struct manifest_node *entry,
		      enum policy_place place, struct policy_values *list)
{
	__attribute__((cleanup(value_done))) struct value_reading t = { .place = place };
	struct bb_err inner = { 0 };
	int result;

	if (entry->kind != MANIFEST_MAP)
		return manifest_refuse(r, entry->line, "%s is written %s",
				       places[place].block->place, places[place].example);
	result = manifest_take_block(r, places[place].block, entry, &t);
	if (result < 0)
		return result;
	if (place == POLICY_PATHS && !t.has_type)
		return manifest_refuse(r, entry->line,
				       "a path needs 'type: exact', 'type: prefix' or "
				       "'type: regex'");
	if (place != POLICY_PATHS && t.value.name == NULL)
		return manifest_refuse(r, entry->line, "%s needs 'name'",
				       places[place].block->place);
	if (t.value.text == NULL)
		return manifest_refuse(r, entry->line, "%s needs 'value'",
				       places[place].block->place);
	if (policy_check_value(&t.value, place, &inner) < 0)
		return manifest_refuse(r, entry->line, "%s", inner.msg);
	if (policy_value_add(list, t.value.how, t.value.name, t.value.text) == NULL)
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	return 0;
}

static int check_list(const struct manifest_reader *r, const struct manifest_node *list,
		      size_t limit)
{
	if (list->count == 0)
		return manifest_refuse(r, list->line, "'%s' is empty; an empty list allows nothing",
				       list->key);
	if (list->count > limit)
		return manifest_refuse(r, list->line, "'%s' has %zu entries, limit %zu", list->key,
				       list->count, limit);
	return 0;
}

static int take_values(const struct manifest_reader *r, const struct manifest_node *list,
		       enum policy_place place, struct policy_values *to)
{
	int result = check_list(r, list, places[place].limit);

	for (size_t i = 0; result == 0 && i < list->count; i++)
		result = take_entry(r, list->items[i], place, to);
	return result;
}

static int take_paths(const struct manifest_reader *r, const struct manifest_node *value,
		      void *target)
{
	struct policy_match *m = target;

	return take_values(r, value, POLICY_PATHS, &m->paths);
}

static int take_headers(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	struct policy_match *m = target;

	return take_values(r, value, POLICY_HEADERS, &m->headers);
}

static int take_query(const struct manifest_reader *r, const struct manifest_node *value,
		      void *target)
{
	struct policy_match *m = target;

	return take_values(r, value, POLICY_QUERY, &m->query);
}

static int take_method(const struct manifest_reader *r, const struct manifest_node *value,
		       struct policy_match *m)
{
	BB_AUTO_FREE char *method = NULL;
	int result = manifest_take_text(r, value, &method);

	if (result < 0)
		return result;
	for (char *p = method; *p != '\0'; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
		if (!((*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '_') || p - method >= 32)
			return manifest_refuse(r, value->line, "'%s' is not a method",
					       BB_ESCAPED(bb_view_str(value->text)));
	}
	for (size_t i = 0; m->methods != NULL && m->methods[i] != NULL; i++)
		if (strcmp(m->methods[i], method) == 0)
			return manifest_refuse(r, value->line, "method %s is listed twice", method);
	if (bb_strv_push(&m->methods, bb_take_ptr(&method)) < 0)
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	return 0;
}

static int take_methods(const struct manifest_reader *r, const struct manifest_node *list,
			void *target)
{
	int result = check_list(r, list, LIMIT_MATCH_METHODS);

	for (size_t i = 0; result == 0 && i < list->count; i++)
		result = take_method(r, list->items[i], target);
	return result;
}

static const struct manifest_key match_keys[] = {
	{ "paths", MANIFEST_LIST, take_paths, "one of these; any path when left out",
	  MANIFEST_LIST_OF(path_block) },
	{ "methods", MANIFEST_LIST, take_methods, "one of these; any method when left out",
	  MANIFEST_TEXTS },
	{ "headers", MANIFEST_LIST, take_headers, "all of these", MANIFEST_LIST_OF(header_block) },
	{ "query", MANIFEST_LIST, take_query, "all of these parameters",
	  MANIFEST_LIST_OF(query_block) },
};
const struct manifest_block manifest_match_block = { "an entry of 'matches'", match_keys,
						     BB_ARRAY_LEN(match_keys) };

int manifest_take_matches(const struct manifest_reader *r, const struct manifest_node *list,
			  struct policy_route *route)
{
	int result = check_list(r, list, LIMIT_ROUTE_MATCHES);

	for (size_t i = 0; result == 0 && i < list->count; i++) {
		const struct manifest_node *entry = list->items[i];
		struct policy_match *m;

		if (entry->kind != MANIFEST_MAP || entry->count == 0)
			return manifest_refuse(
				r, entry->line,
				"an entry of 'matches' says at least one of 'paths', "
				"'methods', 'headers' and 'query'");
		m = policy_match_add(route);
		if (m == NULL)
			return bb_err_set(r->err, -ENOMEM, "out of memory");
		result = manifest_take_block(r, &manifest_match_block, entry, m);
	}
	return result;
}
