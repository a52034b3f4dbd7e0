/*
 * The alternatives of a route: how they are built, checked and copied. A rule that could never
 * match, or that readers could understand differently, is refused when it is written.
 */
#include "policy/policy_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "policy/regex.h"

const char *const policy_compare_names[] = {
	[POLICY_EXACT] = "exact",
	[POLICY_PREFIX] = "prefix",
	[POLICY_REGEX] = "regex",
};
_Static_assert(BB_ARRAY_LEN(policy_compare_names) == POLICY_NUM_COMPARES, "one name each");

static void values_done(struct policy_values *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].text);
		policy_regex_free(list->items[i].regex);
	}
	free(list->items);
}

void policy_match_done(struct policy_match *m)
{
	bb_strv_free(m->methods);
	values_done(&m->paths);
	values_done(&m->headers);
	values_done(&m->query);
}

struct policy_match *policy_match_add(struct policy_route *r)
{
	struct policy_match *grown = reallocarray(r->matches, r->match_count + 1, sizeof(*grown));

	if (grown == NULL)
		return NULL;
	r->matches = grown;
	grown[r->match_count] = (struct policy_match){ 0 };
	return &grown[r->match_count++];
}

struct policy_value *policy_value_add(struct policy_values *list, enum policy_compare how,
				      const char *name, const char *text)
{
	struct policy_value *grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
	struct policy_value *v;

	if (grown == NULL)
		return NULL;
	list->items = grown;
	v = &grown[list->count++];
	*v = (struct policy_value){ .how = how,
				    .name = name == NULL ? NULL : strdup(name),
				    .text = strdup(text) };
	return v->text == NULL || (name != NULL && v->name == NULL) ? NULL : v;
}

static bool is_visible(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s > 0x7e)
			return false;
	return true;
}

/* A path must be written in the canonical form that requests are brought to, or it never matches.
 */
static bool is_canonical_path(const char *path)
{
	if (path[0] != '/')
		return false;
	if (path[strspn(path, "/-._~!$&'()*+,;=:@0123456789"
			      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0')
		return false;
	for (const char *p = path; p != NULL; p = strchr(p + 1, '/')) {
		size_t n = strcspn(p + 1, "/;");

		if (n == 0 && p[1] == '/')
			return false; /* an empty segment */
		if ((n == 1 && p[1] == '.') || (n == 2 && p[1] == '.' && p[2] == '.'))
			return false;
	}
	return true;
}

static int check_name(const struct policy_value *v, enum policy_place place, struct bb_err *err)
{
	if ((place == POLICY_PATHS) != (v->name == NULL))
		return bb_err_set(err, -EINVAL, "a name belongs to headers and query parameters");
	if (v->name == NULL)
		return 0;
	if (place == POLICY_HEADERS && (!policy_is_token(v->name) || policy_has_upper(v->name)))
		return bb_err_set(err, -EINVAL, "'%s' is not a header name",
				  BB_ESCAPED(bb_view_str(v->name)));
	if (v->name[0] == '\0' || strlen(v->name) > LIMIT_MATCH_NAME || !is_visible(v->name))
		return bb_err_set(err, -EINVAL,
				  "'%s' is not a name: 1 to %d bytes of visible ASCII",
				  BB_ESCAPED(bb_view_str(v->name)), LIMIT_MATCH_NAME);
	return 0;
}

static int check_regex(const char *text, struct bb_err *err)
{
	struct policy_regex *re = NULL;
	int r = policy_regex_new(text, &re, err);

	policy_regex_free(re);
	return r;
}

int policy_check_value(const struct policy_value *v, enum policy_place place, struct bb_err *err)
{
	int r = check_name(v, place, err);

	if (r < 0)
		return r;
	if (v->text == NULL || strlen(v->text) > LIMIT_MATCH_TEXT || !is_visible(v->text))
		return bb_err_set(
			err, -EINVAL, "'%s' can never match: write visible ASCII, at most %d bytes",
			v->text == NULL ? "" : BB_ESCAPED(bb_view_str(v->text)), LIMIT_MATCH_TEXT);
	switch (v->how) {
	case POLICY_REGEX:
		r = check_regex(v->text, err);
		return r < 0 ? bb_err_wrap(err, "'%s'", BB_ESCAPED(bb_view_str(v->text))) : 0;
	case POLICY_EXACT:
	case POLICY_PREFIX:
		if (place == POLICY_PATHS && !is_canonical_path(v->text))
			return bb_err_set(err, -EINVAL,
					  "path '%s' can never match: write it from '/', without "
					  "'//', '.', '..', '%%', '?' or '#'",
					  BB_ESCAPED(bb_view_str(v->text)));
		if (place != POLICY_PATHS && v->how == POLICY_PREFIX)
			return bb_err_set(err, -EINVAL, "only a path can be a prefix; use a regex");
		return 0;
	}
	return bb_err_set(err, -EINVAL, "comparison %u is unknown", (unsigned)v->how);
}

static int check_values(const struct policy_values *list, enum policy_place place, size_t limit,
			struct bb_err *err)
{
	static const char *const words[] = { "paths", "headers", "query parameters" };

	_Static_assert(BB_ARRAY_LEN(words) == POLICY_NUM_PLACES, "one word each");
	if (list->count > limit)
		return bb_err_set(err, -EINVAL, "more than %zu %s in one alternative", limit,
				  words[place]);
	for (size_t i = 0; i < list->count; i++) {
		int r = policy_check_value(&list->items[i], place, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_methods(char *const *methods, struct bb_err *err)
{
	if (bb_strv_len(methods) > LIMIT_MATCH_METHODS)
		return bb_err_set(err, -EINVAL, "more than %d methods in one alternative",
				  LIMIT_MATCH_METHODS);
	for (size_t k = 0; methods != NULL && methods[k] != NULL; k++) {
		bool has_lower = methods[k][strcspn(methods[k], "abcdefghijklmnopqrstuvwxyz")];

		if (!policy_is_token(methods[k]) || has_lower || strlen(methods[k]) > 32)
			return bb_err_set(err, -EINVAL, "'%s' is not a method",
					  BB_ESCAPED(bb_view_str(methods[k])));
	}
	return 0;
}

static int check_match(const struct policy_match *m, struct bb_err *err)
{
	int r = check_methods(m->methods, err);

	if (r == 0)
		r = check_values(&m->paths, POLICY_PATHS, LIMIT_MATCH_PATHS, err);
	if (r == 0)
		r = check_values(&m->headers, POLICY_HEADERS, LIMIT_MATCH_FIELDS, err);
	if (r == 0)
		r = check_values(&m->query, POLICY_QUERY, LIMIT_MATCH_FIELDS, err);
	return r;
}

int policy_check_matches(const struct policy_route *r, struct bb_err *err)
{
	if (r->match_count > LIMIT_ROUTE_MATCHES)
		return bb_err_set(err, -EINVAL, "host '%s' has more than %d alternatives", r->host,
				  LIMIT_ROUTE_MATCHES);
	for (size_t i = 0; i < r->match_count; i++)
		if (check_match(&r->matches[i], err) < 0)
			return bb_err_wrap(err, "host '%s': alternative %zu", r->host, i + 1);
	return 0;
}

static int copy_values(struct policy_values *dst, const struct policy_values *src,
		       struct bb_err *err)
{
	for (size_t i = 0; i < src->count; i++) {
		const struct policy_value *from = &src->items[i];
		struct policy_value *v = policy_value_add(dst, from->how, from->name, from->text);
		int r;

		if (v == NULL)
			return bb_err_set(err, -ENOMEM, "out of memory");
		r = v->how == POLICY_REGEX ? policy_regex_new(v->text, &v->regex, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int policy_copy_matches(struct policy_route *dst, const struct policy_route *src,
			struct bb_err *err)
{
	for (size_t i = 0; i < src->match_count; i++) {
		const struct policy_match *from = &src->matches[i];
		struct policy_match *m = policy_match_add(dst);
		int r;

		if (m == NULL)
			return bb_err_set(err, -ENOMEM, "out of memory");
		for (size_t k = 0; from->methods != NULL && from->methods[k] != NULL; k++)
			if (bb_strv_push(&m->methods, strdup(from->methods[k])) < 0)
				return bb_err_set(err, -ENOMEM, "out of memory");
		r = copy_values(&m->paths, &from->paths, err);
		if (r == 0)
			r = copy_values(&m->headers, &from->headers, err);
		if (r == 0)
			r = copy_values(&m->query, &from->query, err);
		if (r < 0)
			return r;
	}
	return 0;
}
