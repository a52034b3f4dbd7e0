/* See query.h. Both '&' and ';' part parameters here: some servers take either. */
#include "http/query.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "http/field.h"

#define NAME_MAX_BYTES 64 /* a longer name is cut: no name that is looked for is longer */

/* The next "name=value"; *query is advanced behind its separator. False at the end. */
static bool next_pair(struct bb_view *query, struct bb_view *ret)
{
	size_t n = 0;

	if (query->n == 0)
		return false;
	while (n < query->n && query->p[n] != '&' && query->p[n] != ';')
		n++;
	*ret = bb_view_of(query->p, n);
	*query = bb_view_from(*query, n < query->n ? n + 1 : n);
	return true;
}

/* Percent-decoded, so that "api%5fkey" is seen as what a server reads; without spaces in front and
 * without a "[...]" behind, as PHP does. */
static struct bb_view name_of(struct bb_view pair, uint8_t dst[NAME_MAX_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < pair.n && n < NAME_MAX_BYTES && pair.p[i] != '='; i++) {
		uint8_t c = pair.p[i] == '+' ? ' ' : pair.p[i];

		if (c == '%' && i + 2 < pair.n && bb_hex_byte(pair.p + i + 1) >= 0) {
			c = (uint8_t)bb_hex_byte(pair.p + i + 1);
			i += 2;
		}
		if (c == '[')
			break;
		if (c != ' ' || n > 0)
			dst[n++] = c;
	}
	return bb_view_of(dst, n);
}

/* '_' and '-' alike, in any case. */
static bool is_alike(struct bb_view name, const char *want)
{
	if (name.n != strlen(want))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t a = bb_ascii_lower(name.p[i]), b = bb_ascii_lower((uint8_t)want[i]);

		if ((a == '_' || a == '.' ? '-' : a) != (b == '_' || b == '.' ? '-' : b))
			return false;
	}
	return true;
}

static bool is_credential_name(struct bb_view name)
{
	static const char *const names[] = { "key", "token",     "auth", "oauth-token",
					     "sig", "signature", "jwt" };

	if (http_is_credential_field(name))
		return true;
	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++)
		if (is_alike(name, names[i]))
			return true;
	return false;
}

bool http_has_credential_query(struct bb_view query, const char *except)
{
	uint8_t raw[NAME_MAX_BYTES];
	struct bb_view pair;

	while (next_pair(&query, &pair)) {
		struct bb_view name = name_of(pair, raw);

		if (is_credential_name(name) && (except == NULL || !is_alike(name, except)))
			return true;
	}
	return false;
}

int http_put_query_without(struct bb_buf *out, struct bb_view query, const char *name)
{
	uint8_t raw[NAME_MAX_BYTES], mark = '?';
	struct bb_view pair;
	int r = 0;

	while (r == 0 && next_pair(&query, &pair)) {
		if (is_alike(name_of(pair, raw), name))
			continue;
		r = bb_buf_append_byte(out, mark);
		if (r == 0)
			r = bb_buf_append_view(out, pair);
		/* The separator that stood behind this one. */
		mark = query.p != NULL && pair.p + pair.n < query.p ? pair.p[pair.n] : '&';
	}
	return r;
}
