/* Request targets; see target.h. */
#include "http/target.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "base/text.h"

int http_parse_authority(struct bb_view text, uint16_t default_port, struct bb_view *ret_host,
			 uint16_t *ret_port, struct bb_err *err)
{
	struct bb_view host = text, port = { 0 };
	uint64_t number = default_port;
	size_t end = 0;

	if (memchr(text.p, '@', text.n) != NULL)
		return bb_err_set(err, -EPROTO, "user information in '%s'", BB_ESCAPED(text));
	if (text.n > 0 && text.p[0] == '[') {
		const uint8_t *close = memchr(text.p, ']', text.n);

		end = close == NULL ? text.n : (size_t)(close - text.p) + 1;
	} else {
		while (end < text.n && text.p[end] != ':')
			end++;
	}
	host.n = end;
	if (end < text.n) {
		if (text.p[end] != ':')
			return bb_err_set(err, -EPROTO, "'%s' is not host:port", BB_ESCAPED(text));
		port = bb_view_from(text, end + 1);
		if (bb_num_parse_u64(port, UINT16_MAX, &number) < 0 || number == 0)
			return bb_err_set(err, -EPROTO, "port '%s'", BB_ESCAPED(port));
	}
	if (host.n == 0)
		return bb_err_set(err, -EPROTO, "'%s' has no host", BB_ESCAPED(text));
	if (number == 0)
		return bb_err_set(err, -EPROTO, "'%s' has no port", BB_ESCAPED(text));
	*ret_host = host;
	*ret_port = (uint16_t)number;
	return 0;
}

int http_split_absolute(struct bb_view target, struct bb_view *ret_authority,
			struct bb_view *ret_rest, struct bb_err *err)
{
	static const uint8_t root[] = { '/' };
	struct bb_view rest;
	size_t n = 0;

	if (target.n < 7 || !bb_view_ieq_str(bb_view_of(target.p, 7), "http://"))
		return bb_err_set(err, -EPROTO, "'%s' is not an http:// target",
				  BB_ESCAPED(target));
	rest = bb_view_from(target, 7);
	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
		n++;
	*ret_authority = bb_view_of(rest.p, n);
	*ret_rest = bb_view_from(rest, n);
	if (ret_rest->n == 0)
		*ret_rest = bb_view_of(root, 1);
	if (ret_rest->p[0] != '/')
		return bb_err_set(err, -EPROTO, "'%s' has no path", BB_ESCAPED(target));
	return 0;
}

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~", c) != NULL);
}

/* What may stand in a segment as it is (RFC 3986 3.3, pchar). */
static bool is_plain(uint8_t c)
{
	return is_unreserved(c) || (c != '\0' && strchr("!$&'()*+,;=:@", c) != NULL);
}

static int put_encoded(struct bb_buf *out, uint8_t c)
{
	return bb_buf_printf(out, "%%%02X", c);
}

/* One byte or one percent-encoding at p; returns how many bytes it was. */
static int put_char(struct bb_view v, size_t at, struct bb_buf *out, struct http_path *ret,
		    struct bb_err *err)
{
	uint8_t c = v.p[at];
	int high, low, r;

	if (c != '%') {
		if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '#')
			return bb_err_set(err, -EPROTO, "byte 0x%02x in the path", c);
		r = is_plain(c) ? bb_buf_append_byte(out, c) : put_encoded(out, c);
		return r < 0 ? r : 1;
	}
	high = at + 2 < v.n ? bb_hex_digit(v.p[at + 1]) : -1;
	low = at + 2 < v.n ? bb_hex_digit(v.p[at + 2]) : -1;
	if (high < 0 || low < 0)
		return bb_err_set(err, -EPROTO, "a '%%' in the path without two hex digits");
	c = (uint8_t)(high << 4 | low);
	if (c < 0x20 || c == 0x7f || c == '\\')
		return bb_err_set(err, -EPROTO, "an encoded byte 0x%02x in the path", c);
	ret->has_encoded_slash = ret->has_encoded_slash || c == '/';
	r = is_unreserved(c) ? bb_buf_append_byte(out, c) : put_encoded(out, c);
	return r < 0 ? r : 3;
}

/* Dots of a finished segment (from start, behind its '/'): 0 none, 1 ".", 2 "..". -EPROTO: with a
 * parameter behind it. */
static int dots(const struct bb_buf *out, size_t start, struct bb_err *err)
{
	const uint8_t *p = out->p + start;
	size_t n = out->len - start, count = 0;

	while (count < n && count < 3 && p[count] == '.')
		count++;
	if (count == 0 || count > 2)
		return 0;
	if (n > count && p[count] == ';')
		return bb_err_set(err, -EPROTO, "a dot segment with a parameter in the path");
	return n == count ? (int)count : 0;
}

/* Removes the last segment and its '/' in front of end. */
static int climb(struct bb_buf *out, size_t root, size_t end, struct bb_err *err)
{
	if (end == root)
		return bb_err_set(err, -EPROTO, "the path climbs above its root");
	do
		end--;
	while (out->p[end] != '/');
	out->len = end;
	return 0;
}

static int put_path(struct bb_view path, struct bb_buf *out, struct http_path *ret,
		    struct bb_err *err)
{
	size_t root = out->len;
	size_t at = 0;

	while (at < path.n) { /* at a '/' */
		size_t slash = out->len;
		bool is_last;
		int r;

		if (bb_buf_append_byte(out, '/') < 0)
			return bb_err_set(err, -EMSGSIZE, "the path is too long");
		for (at++; at < path.n && path.p[at] != '/';) {
			r = put_char(path, at, out, ret, err);
			if (r < 0)
				return r == -EPROTO ? r
						    : bb_err_set(err, r, "the path is too long");
			at += (size_t)r;
		}
		is_last = at == path.n;
		r = dots(out, slash + 1, err);
		if (r <= 0) {
			if (r < 0)
				return r;
			continue;
		}
		out->len = slash;
		if (r == 2)
			r = climb(out, root, slash, err);
		if (r < 0)
			return r;
		if (is_last && bb_buf_append_byte(out, '/') < 0)
			return bb_err_set(err, -EMSGSIZE, "the path is too long");
	}
	return 0;
}

int http_canonical_path(struct bb_view target, struct bb_buf *out, struct http_path *ret,
			struct bb_err *err)
{
	const uint8_t *mark = memchr(target.p, '?', target.n);
	struct bb_view path =
		bb_view_of(target.p, mark == NULL ? target.n : (size_t)(mark - target.p));
	struct bb_view query = bb_view_from(target, path.n);
	size_t start = out->len, end;
	int r;

	if (path.n == 0 || path.p[0] != '/')
		return bb_err_set(err, -EPROTO, "the target is not a path");
	for (size_t i = 0; i < query.n; i++)
		if (query.p[i] <= 0x20 || query.p[i] >= 0x7f || query.p[i] == '#')
			return bb_err_set(err, -EPROTO, "byte 0x%02x in the query", query.p[i]);
	*ret = (struct http_path){ 0 };
	r = put_path(path, out, ret, err);
	if (r < 0)
		return r;
	end = out->len;
	if (bb_buf_append_view(out, query) < 0)
		return bb_err_set(err, -EMSGSIZE, "the target is too long");
	ret->path = bb_view_of(out->p + start, end - start);
	ret->query = bb_view_of(out->p + end, query.n);
	return 0;
}
