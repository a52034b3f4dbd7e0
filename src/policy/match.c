/*
 * The verdict on a request by the alternatives of its route. Pure and without allocation; the time
 * is bounded by the sizes of the request and of the rules. What servers could read differently
 * fails instead of matching: a header or parameter whose name some server takes for that of a rule
 * must be that rule's, letter for letter, each time it comes.
 */
#include "policy/policy_impl.h"

#include <string.h>

#include "base/num.h"
#include "policy/regex.h"

static bool match_text(const struct policy_value *v, struct bb_view text)
{
	if (v->how == POLICY_REGEX)
		return v->regex != NULL && policy_regex_match(v->regex, text);
	return v->how == POLICY_EXACT && bb_view_eq_str(text, v->text);
}

static bool match_path(const struct policy_value *v, struct bb_view path)
{
	size_t n;

	if (v->how != POLICY_PREFIX)
		return match_text(v, path);
	n = strlen(v->text);
	if (n == 0 || path.n < n || memcmp(path.p, v->text, n) != 0)
		return false;
	return path.n == n || v->text[n - 1] == '/' || path.p[n] == '/';
}

static bool match_paths(const struct policy_values *list, struct bb_view path)
{
	for (size_t i = 0; i < list->count; i++)
		if (match_path(&list->items[i], path))
			return true;
	return list->count == 0;
}

static bool match_methods(char *const *methods, struct bb_view method)
{
	if (methods == NULL || methods[0] == NULL)
		return true;
	for (size_t i = 0; methods[i] != NULL; i++)
		if (bb_view_eq_str(method, methods[i]))
			return true;
	return false;
}

/* Is it the same header for some server? CGI and its heirs take '_' for '-'. */
static bool is_alike_header(struct bb_view name, const char *want)
{
	if (name.n != strlen(want))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t a = bb_ascii_lower(name.p[i]), b = (uint8_t)want[i];

		if ((a == '_' ? '-' : a) != (b == '_' ? '-' : b))
			return false;
	}
	return true;
}

static bool match_header(const struct policy_value *v, const struct policy_request *q)
{
	bool is_there = false;

	for (size_t i = 0; i < q->header_count; i++) {
		const struct bb_field *f = &q->headers[i];

		if (!is_alike_header(f->name, v->name))
			continue;
		if (!bb_view_ieq_str(f->name, v->name) || !match_text(v, f->value))
			return false;
		is_there = true;
	}
	return is_there;
}

/* Form decoding; false: broken, or with a control byte. dst has room for v. */
static bool decode(struct bb_view v, uint8_t *dst, struct bb_view *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i] == '+' ? ' ' : v.p[i];

		if (c == '%') {
			int high = i + 2 < v.n ? bb_hex_digit(v.p[i + 1]) : -1;
			int low = i + 2 < v.n ? bb_hex_digit(v.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (uint8_t)(high << 4 | low);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return false;
		dst[n++] = c;
	}
	*ret = bb_view_of(dst, n);
	return true;
}

/* PHP drops white space in front, ends a name at '[' and takes '.' and ' ' for '_'; others ignore
 * case. */
static uint8_t fold(uint8_t c)
{
	return c == '.' || c == ' ' ? '_' : bb_ascii_lower(c);
}

static bool is_alike_parameter(struct bb_view name, const char *want)
{
	size_t i = 0;

	while (name.n > 0 && name.p[0] == ' ')
		name = bb_view_from(name, 1);
	for (; i < name.n && want[i] != '\0'; i++)
		if (fold(name.p[i]) != fold((uint8_t)want[i]))
			return false;
	return want[i] == '\0' && (i == name.n || name.p[i] == '[');
}

/* The next "name=value" of a query, decoded into dst. 1, 0 at the end, -1: readers disagree. */
static int next_parameter(struct bb_view *query, uint8_t *dst, struct bb_field *ret)
{
	struct bb_view pair, value = { 0 };
	const uint8_t *end, *mark;

	if (query->n == 0)
		return 0;
	end = memchr(query->p, '&', query->n);
	pair = bb_view_of(query->p, end == NULL ? query->n : (size_t)(end - query->p));
	*query = bb_view_from(*query, end == NULL ? pair.n : pair.n + 1);
	if (pair.n > 0 && memchr(pair.p, ';', pair.n) != NULL)
		return -1; /* a separator for some */
	mark = pair.n == 0 ? NULL : memchr(pair.p, '=', pair.n);
	if (mark != NULL) {
		value = bb_view_from(pair, (size_t)(mark - pair.p) + 1);
		pair.n = (size_t)(mark - pair.p);
	}
	if (!decode(pair, dst, &ret->name) || !decode(value, dst + pair.n, &ret->value))
		return -1;
	return 1;
}

static bool match_parameter(const struct policy_value *v, struct bb_view query)
{
	uint8_t decoded[LIMIT_HTTP_TARGET];
	bool is_there = false;
	struct bb_field f;
	int r;

	if (query.n > sizeof(decoded))
		return false;
	while ((r = next_parameter(&query, decoded, &f)) == 1) {
		if (!is_alike_parameter(f.name, v->name))
			continue;
		if (!bb_view_eq_str(f.name, v->name) || !match_text(v, f.value))
			return false;
		is_there = true;
	}
	return r == 0 && is_there;
}

static enum policy_reason decide_match(const struct policy_match *m, const struct policy_request *q)
{
	if (!match_paths(&m->paths, q->path))
		return POLICY_PATH_NOT_ALLOWED;
	if (!match_methods(m->methods, q->method))
		return POLICY_METHOD_NOT_ALLOWED;
	for (size_t i = 0; i < m->headers.count; i++)
		if (!match_header(&m->headers.items[i], q))
			return POLICY_HEADER_NOT_ALLOWED;
	for (size_t i = 0; i < m->query.count; i++)
		if (!match_parameter(&m->query.items[i], q->query))
			return POLICY_QUERY_NOT_ALLOWED;
	return POLICY_ALLOWED;
}

/* How far an alternative came before it failed. */
static unsigned progress(enum policy_reason r)
{
	return r == POLICY_QUERY_NOT_ALLOWED    ? 3
	       : r == POLICY_HEADER_NOT_ALLOWED ? 2
	       : r == POLICY_METHOD_NOT_ALLOWED ? 1
						: 0;
}

enum policy_reason policy_decide_request(const struct policy_route *route,
					 const struct policy_request *q)
{
	enum policy_reason furthest = POLICY_PATH_NOT_ALLOWED;

	if (q->path.n == 0 || q->path.p[0] != '/')
		return POLICY_PATH_INVALID;
	switch (policy_git_of(q)) {
	case POLICY_GIT_PUSH:
		return POLICY_GIT_PUSH_REFUSED;
	case POLICY_GIT_FETCH:
		if (!route->may_git_fetch)
			return POLICY_GIT_FETCH_NOT_ALLOWED;
		break;
	case POLICY_GIT_NONE:
		break;
	}
	if (route->match_count == 0)
		return POLICY_ALLOWED;
	for (size_t i = 0; i < route->match_count; i++) {
		enum policy_reason r = decide_match(&route->matches[i], q);

		if (r == POLICY_ALLOWED)
			return r;
		if (progress(r) > progress(furthest))
			furthest = r;
	}
	return furthest;
}
