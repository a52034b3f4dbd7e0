/*
 * The strict parser of heads; see head.h. Where RFC 9112 lets a recipient choose, the choice is to
 * refuse: obsolete folding, white space before the colon, a bare LF as the end of a line, repeated
 * Host or Content-Length (equal or not), Content-Length beside Transfer-Encoding, any
 * Transfer-Encoding but exactly "chunked". These are what request smuggling is made of (attacks P1
 * to P3), and no client that matters sends one.
 */
#include "http/head.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "base/text.h"
#include "http/field.h"

#define HTTP_METHOD_MAX 32

int http_head_end(struct bb_view in, size_t *scanned, struct bb_err *err)
{
	size_t i = *scanned;

	for (; i < in.n && i < LIMIT_HTTP_HEAD; i++) {
		uint8_t c = in.p[i];

		if (c == '\0')
			return bb_err_set(err, -EPROTO, "a NUL in the head");
		if (c == '\n' && (i == 0 || in.p[i - 1] != '\r'))
			return bb_err_set(err, -EPROTO, "a line that ends in a bare LF");
		if (i > 0 && in.p[i - 1] == '\r' && c != '\n')
			return bb_err_set(err, -EPROTO, "a CR without LF in the head");
		if (c != '\n')
			continue;
		if (i == 1)
			return bb_err_set(err, -EPROTO, "an empty line in front of the head");
		if (i >= 3 && in.p[i - 2] == '\n') { /* CR LF CR LF */
			*scanned = 0;
			return (int)(i + 1);
		}
	}
	*scanned = i;
	if (in.n >= LIMIT_HTTP_HEAD)
		return bb_err_set(err, -EMSGSIZE, "a head of more than %d bytes", LIMIT_HTTP_HEAD);
	return 0;
}

/* Takes the next line without its CR LF; lines are known to end so. */
static struct bb_view next_line(struct bb_view *in)
{
	const uint8_t *lf = memchr(in->p, '\n', in->n);
	size_t n = lf == NULL ? in->n : (size_t)(lf - in->p);
	struct bb_view line = bb_view_of(in->p, n > 0 && lf != NULL ? n - 1 : n);

	*in = bb_view_from(*in, lf == NULL ? n : n + 1);
	return line;
}

static int parse_version(struct bb_view v, unsigned *ret_minor, struct bb_err *err)
{
	if (v.n != 8 || memcmp(v.p, "HTTP/1.", 7) != 0 || (v.p[7] != '0' && v.p[7] != '1'))
		return bb_err_set(err, -EPROTO, "'%s' is not HTTP/1.1", BB_ESCAPED(v));
	*ret_minor = v.p[7] - '0';
	return 0;
}

static int parse_request_line(struct bb_view line, struct http_head *h, struct bb_err *err)
{
	const uint8_t *first = memchr(line.p, ' ', line.n);
	struct bb_view rest;
	const uint8_t *second;

	if (first == NULL)
		return bb_err_set(err, -EPROTO, "'%s' is not a request line", BB_ESCAPED(line));
	h->method = bb_view_of(line.p, (size_t)(first - line.p));
	rest = bb_view_from(line, h->method.n + 1);
	second = memchr(rest.p, ' ', rest.n);
	if (second == NULL)
		return bb_err_set(err, -EPROTO, "'%s' is not a request line", BB_ESCAPED(line));
	h->target = bb_view_of(rest.p, (size_t)(second - rest.p));
	if (!http_is_token(h->method) || h->method.n > HTTP_METHOD_MAX)
		return bb_err_set(err, -EPROTO, "'%s' is not a method", BB_ESCAPED(h->method));
	if (h->target.n == 0)
		return bb_err_set(err, -EPROTO, "the request line has no target");
	if (h->target.n > LIMIT_HTTP_TARGET)
		return bb_err_set(err, -EMSGSIZE, "a target of more than %d bytes",
				  LIMIT_HTTP_TARGET);
	for (size_t i = 0; i < h->target.n; i++)
		if (h->target.p[i] <= 0x20 || h->target.p[i] >= 0x7f)
			return bb_err_set(err, -EPROTO, "byte 0x%02x in the target",
					  h->target.p[i]);
	return parse_version(bb_view_from(rest, h->target.n + 1), &h->minor, err);
}

static int parse_status_line(struct bb_view line, struct http_head *h, struct bb_err *err)
{
	uint64_t status = 0;

	if (line.n < 12 || line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' ') ||
	    bb_num_parse_u64(bb_view_of(line.p + 9, 3), 599, &status) < 0 || status < 100)
		return bb_err_set(err, -EPROTO, "'%s' is not a status line", BB_ESCAPED(line));
	h->status = (unsigned)status;
	h->reason = bb_view_from(line, 13);
	if (!http_is_field_value(h->reason))
		return bb_err_set(err, -EPROTO, "a control byte in the status line");
	return parse_version(bb_view_of(line.p, 8), &h->minor, err);
}

static int parse_fields(struct bb_view in, struct http_head *h, struct bb_err *err)
{
	for (;;) {
		struct bb_view line = next_line(&in);
		struct bb_field *f = &h->fields[h->field_count];
		const uint8_t *colon;

		if (line.n == 0)
			break;
		if (line.p[0] == ' ' || line.p[0] == '\t')
			return bb_err_set(err, -EPROTO, "a folded line");
		if (h->field_count == LIMIT_HTTP_HEADERS)
			return bb_err_set(err, -EMSGSIZE, "more than %d fields",
					  LIMIT_HTTP_HEADERS);
		colon = memchr(line.p, ':', line.n);
		if (colon == NULL)
			return bb_err_set(err, -EPROTO, "a line without a colon");
		f->name = bb_view_of(line.p, (size_t)(colon - line.p));
		f->value = http_trim(bb_view_from(line, f->name.n + 1));
		/* A space before the colon is no token byte, so it is refused here as well. */
		if (!http_is_token(f->name))
			return bb_err_set(err, -EPROTO, "'%s' is not a field name",
					  BB_ESCAPED(f->name));
		if (!http_is_field_value(f->value))
			return bb_err_set(err, -EPROTO, "a control byte in field '%s'",
					  BB_ESCAPED(f->name));
		h->field_count++;
	}
	if (in.n > 0)
		return bb_err_set(err, -EPROTO, "bytes behind the head");
	return 0;
}

const struct bb_field *http_find(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->field_count; i++)
		if (bb_view_ieq_str(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

/* The only field of that name: 1 found, 0 absent, -EPROTO when there are several. */
static int find_only(const struct http_head *h, const char *name, const struct bb_field **ret,
		     struct bb_err *err)
{
	const struct bb_field *found = NULL;

	for (size_t i = 0; i < h->field_count; i++) {
		if (!bb_view_ieq_str(h->fields[i].name, name))
			continue;
		if (found != NULL)
			return bb_err_set(err, -EPROTO, "more than one %s field", name);
		found = &h->fields[i];
	}
	*ret = found;
	return found != NULL;
}

static int read_framing(struct http_head *h, struct bb_err *err)
{
	const struct bb_field *length = NULL, *coding = NULL;
	int has_length = find_only(h, "Content-Length", &length, err);
	int has_coding =
		has_length < 0 ? has_length : find_only(h, "Transfer-Encoding", &coding, err);

	if (has_coding < 0)
		return has_coding;
	if (length != NULL && coding != NULL)
		return bb_err_set(err, -EPROTO, "both Content-Length and Transfer-Encoding");
	if (coding != NULL) {
		if (h->minor == 0 || !bb_view_ieq_str(coding->value, "chunked"))
			return bb_err_set(err, -EPROTO, "Transfer-Encoding '%s'",
					  BB_ESCAPED(coding->value));
		h->framing = HTTP_BODY_CHUNKED;
	}
	if (length != NULL) {
		if (bb_num_parse_u64(length->value, INT64_MAX, &h->length) < 0)
			return bb_err_set(err, -EPROTO, "Content-Length '%s'",
					  BB_ESCAPED(length->value));
		h->framing = HTTP_BODY_LENGTH;
	}
	return 0;
}

static void read_connection(struct http_head *h)
{
	h->is_persistent = h->minor == 1;
	for (size_t i = 0; i < h->field_count; i++) {
		struct bb_view list = h->fields[i].value, member;

		if (!bb_view_ieq_str(h->fields[i].name, "connection"))
			continue;
		while (http_next_member(&list, &member)) {
			if (bb_view_ieq_str(member, "close")) {
				h->is_persistent = false;
				return;
			}
			if (bb_view_ieq_str(member, "keep-alive"))
				h->is_persistent = true;
		}
	}
}

static int read_host(struct http_head *h, struct bb_err *err)
{
	const struct bb_field *host;
	int r = find_only(h, "Host", &host, err);

	if (r < 0)
		return r;
	if (r == 0 || host->value.n == 0)
		return bb_err_set(err, -EPROTO, r == 0 ? "no Host field" : "an empty Host field");
	h->host = host->value;
	return 0;
}

static int read_expect(struct http_head *h, struct bb_err *err)
{
	const struct bb_field *expect;
	int r = find_only(h, "Expect", &expect, err);

	if (r <= 0)
		return r;
	if (!bb_view_ieq_str(expect->value, "100-continue"))
		return bb_err_set(err, -EPROTO, "Expect '%s'", BB_ESCAPED(expect->value));
	h->expects_continue = h->minor == 1;
	return 0;
}

int http_parse_request(struct bb_view head, struct http_head *ret, struct bb_err *err)
{
	int r;

	memset(ret, 0, offsetof(struct http_head, fields));
	memset(&ret->field_count, 0, sizeof(*ret) - offsetof(struct http_head, field_count));
	r = parse_request_line(next_line(&head), ret, err);
	if (r == 0)
		r = parse_fields(head, ret, err);
	if (r == 0)
		r = read_framing(ret, err);
	if (r == 0)
		r = read_host(ret, err);
	if (r == 0)
		r = read_expect(ret, err);
	if (r < 0)
		return r;
	read_connection(ret);
	ret->wants_upgrade = http_find(ret, "Upgrade") != NULL;
	return 0;
}

int http_parse_response(struct bb_view head, bool request_is_head, struct http_head *ret,
			struct bb_err *err)
{
	int r;

	memset(ret, 0, offsetof(struct http_head, fields));
	memset(&ret->field_count, 0, sizeof(*ret) - offsetof(struct http_head, field_count));
	r = parse_status_line(next_line(&head), ret, err);
	if (r == 0)
		r = parse_fields(head, ret, err);
	if (r == 0)
		r = read_framing(ret, err);
	if (r < 0)
		return r;
	read_connection(ret);
	if (ret->framing == HTTP_BODY_NONE)
		ret->framing = HTTP_BODY_CLOSE;
	if (request_is_head || ret->status < 200 || ret->status == 204 || ret->status == 304)
		ret->framing = HTTP_BODY_NONE;
	if (ret->framing == HTTP_BODY_CLOSE)
		ret->is_persistent = false;
	return 0;
}
