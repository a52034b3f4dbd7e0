/* Routes as the lines of a manifest: for the preflight, and for refusals, which show what a route
 * does allow. What is written here, the parser reads back as the same route. */
#include "policy/policy_impl.h"

#include <string.h>

#include "base/cleanup.h"

/* May it stand in a flow sequence or mapping without quotes? Digits first could be a number. */
static bool is_plain(const char *s)
{
	static const char *const words[] = { "null", "Null", "NULL", "true", "false",
					     "yes",  "no",   "on",   "off",  "~" };

	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-~+")] !=
	    '\0')
		return false;
	for (size_t i = 0; i < BB_ARRAY_LEN(words); i++)
		if (strcmp(s, words[i]) == 0)
			return false;
	return s[0] != '\0' && strchr("-~+.0123456789", s[0]) == NULL;
}

static int put_text(struct bb_buf *out, const char *s)
{
	int r;

	if (is_plain(s))
		return bb_buf_append_str(out, s);
	r = bb_buf_append_byte(out, '"');
	for (; r == 0 && *s != '\0'; s++) {
		uint8_t c = (uint8_t)*s;

		if (c == '"' || c == '\\')
			r = bb_buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f) /* above: UTF-8, which stands as it is */
			r = bb_buf_printf(out, "\\x%02x", c);
		else
			r = bb_buf_append_byte(out, c);
	}
	return r < 0 ? r : bb_buf_append_byte(out, '"');
}

static int put_indent(struct bb_buf *out, unsigned indent)
{
	return bb_buf_printf(out, "%*s", (int)indent, "");
}

/* "KEY: [a, b]" */
static int put_list(struct bb_buf *out, unsigned indent, const char *key, char *const *items)
{
	int r = bb_buf_printf(out, "%*s%s: [", (int)indent, "", key);

	for (size_t i = 0; r == 0 && items[i] != NULL; i++) {
		if (i > 0)
			r = bb_buf_append_str(out, ", ");
		if (r == 0)
			r = put_text(out, items[i]);
	}
	return r < 0 ? r : bb_buf_append_str(out, "]\n");
}

static int put_ports(struct bb_buf *out, unsigned indent, const char *key, const uint16_t *ports,
		     size_t count)
{
	int r;

	if (count == 0)
		return 0;
	r = bb_buf_printf(out, "%*s%s: [", (int)indent, "", key);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = bb_buf_printf(out, "%s%u", i > 0 ? ", " : "", (unsigned)ports[i]);
	return r < 0 ? r : bb_buf_append_str(out, "]\n");
}

static int put_value(struct bb_buf *out, const struct policy_value *v)
{
	int r = bb_buf_append_str(out, "{");

	if (r == 0 && v->name != NULL) {
		r = bb_buf_append_str(out, "name: ");
		if (r == 0)
			r = put_text(out, v->name);
		if (r == 0)
			r = bb_buf_append_str(out, ", ");
	}
	if (r == 0)
		r = bb_buf_printf(out, "type: %s, value: ", policy_compare_names[v->how]);
	if (r == 0)
		r = put_text(out, v->text);
	return r < 0 ? r : bb_buf_append_str(out, "}\n");
}

/* "KEY:" and one line a value. The first line of an entry begins with "- ". */
static int put_values(struct bb_buf *out, unsigned indent, const char *key,
		      const struct policy_values *list)
{
	int r = bb_buf_printf(out, "%s:\n", key);

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		r = bb_buf_printf(out, "%*s- ", (int)indent + 2, "");
		if (r == 0)
			r = put_value(out, &list->items[i]);
	}
	return r;
}

static int put_match(struct bb_buf *out, unsigned indent, const struct policy_match *m)
{
	const struct {
		const char *key;
		const struct policy_values *list;
	} parts[] = { { "paths", &m->paths }, { "headers", &m->headers }, { "query", &m->query } };
	bool is_first = true;
	int r = bb_buf_printf(out, "%*s- ", (int)indent, "");

	if (r == 0 && m->methods != NULL && m->methods[0] != NULL) {
		r = put_list(out, 0, "methods", m->methods);
		is_first = false;
	}
	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(parts); i++) {
		if (parts[i].list->count == 0)
			continue;
		if (!is_first)
			r = put_indent(out, indent + 2);
		if (r == 0)
			r = put_values(out, indent + 2, parts[i].key, parts[i].list);
		is_first = false;
	}
	/* Every request: no manifest says it so, but the page must show it. */
	if (r == 0 && is_first)
		r = bb_buf_append_str(out, "paths:\n");
	if (r == 0 && is_first)
		r = bb_buf_printf(out, "%*s- {type: prefix, value: /}\n", (int)indent + 4, "");
	return r;
}

int policy_put_matches(const struct policy_route *r, unsigned indent, struct bb_buf *out)
{
	int result;

	if (r->match_count == 0)
		return 0;
	result = bb_buf_printf(out, "%*smatches:\n", (int)indent, "");
	for (size_t i = 0; result == 0 && i < r->match_count; i++)
		result = put_match(out, indent + 2, &r->matches[i]);
	return result;
}

static int put_auth(struct bb_buf *out, unsigned indent, const struct policy_route *r)
{
	const struct {
		const char *key, *value;
	} names[] = { { "user", r->auth_user },
		      { "header", r->auth_header },
		      { "query", r->auth_query } };
	int result;

	if (r->auth == POLICY_AUTH_NONE)
		return 0;
	result = bb_buf_printf(out, "%*sauth: {", (int)indent, "");
	if (result == 0 && policy_auth_scheme(r->auth) != NULL)
		result = bb_buf_printf(out, "scheme: %s, ", policy_auth_scheme(r->auth));
	for (size_t i = 0; i < BB_ARRAY_LEN(names) && result == 0; i++) {
		if (names[i].value == NULL)
			continue;
		result = bb_buf_printf(out, "%s: ", names[i].key);
		if (result == 0)
			result = put_text(out, names[i].value);
		if (result == 0)
			result = bb_buf_append_str(out, ", ");
	}
	if (result == 0)
		result = bb_buf_append_str(out, "token_ref: ");
	if (result == 0)
		result = put_text(out, r->token_ref);
	return result < 0 ? result : bb_buf_append_str(out, "}\n");
}

static int put_rest(struct bb_buf *out, unsigned indent, const struct policy_route *r)
{
	const struct policy_rate *rate = &r->rate;
	int result = 0;

	if (r->private != POLICY_PRIVATE_NONE)
		result = bb_buf_printf(out, "%*sprivate: %s\n", (int)indent, "",
				       r->private == POLICY_PRIVATE_LOOPBACK ? "loopback" : "true");
	if (result == 0 && r->may_git_fetch)
		result = bb_buf_printf(out, "%*sgit: {fetch: true}\n", (int)indent, "");
	if (result == 0 && rate->requests > 0 && rate->bytes_out > 0)
		result = bb_buf_printf(out, "%*srate: {requests: %u, bytes_out: %llu}\n",
				       (int)indent, "", rate->requests,
				       (unsigned long long)rate->bytes_out);
	else if (result == 0 && rate->requests > 0)
		result = bb_buf_printf(out, "%*srate: {requests: %u}\n", (int)indent, "",
				       rate->requests);
	else if (result == 0 && rate->bytes_out > 0)
		result = bb_buf_printf(out, "%*srate: {bytes_out: %llu}\n", (int)indent, "",
				       (unsigned long long)rate->bytes_out);
	return result;
}

int policy_put_yaml(const struct policy_route *r, unsigned indent, struct bb_buf *out)
{
	int result = bb_buf_printf(out, r->is_wildcard ? "%*s- host: \"*.%s\"" : "%*s- host: %s",
				   (int)indent, "", r->host);

	if (result == 0 && r->origin != NULL)
		result = bb_buf_printf(out, "  # %s", r->origin);
	if (result == 0)
		result = bb_buf_append_str(out, "\n");
	indent += 2;
	if (result == 0)
		result = put_ports(out, indent, "ports", r->tls_ports, r->tls_port_count);
	if (result == 0)
		result = put_ports(out, indent, "plain_ports", r->plain_ports, r->plain_port_count);
	if (result == 0)
		result = put_auth(out, indent, r);
	if (result == 0)
		result = put_rest(out, indent, r);
	return result < 0 ? result : policy_put_matches(r, indent, out);
}
