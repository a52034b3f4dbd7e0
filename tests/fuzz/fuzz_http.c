/*
 * Heads and targets of HTTP. Oracles: the end of a head does not depend on how the bytes arrive; a
 * head that is accepted, written anew and parsed again means the same (so nothing that was accepted
 * could be read in two ways); a canonical path is canonical, and holds nothing that it must not.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "http/field.h"
#include "http/query.h"
#include "http/target.h"
#include "http/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int find_end(struct bb_view in)
{
	struct bb_err err = { 0 };
	size_t whole = 0, piecewise = 0;
	int r = http_head_end(in, &whole, &err), s = 0;

	assert(r >= 0 || (err.code == r && err.msg[0] != '\0'));
	if (in.n > 4096)
		return r;
	for (size_t n = 0; n <= in.n && s == 0; n++)
		s = http_head_end(bb_view_of(in.p, n), &piecewise, &err);
	assert(s == r);
	return r;
}

static void rewrite(const struct http_head *h, struct bb_buf *out)
{
	int r = http_put_request_line(out, h->method, h->target);

	r |= http_put_field(out, "Host", h->host);
	for (size_t i = 0; i < h->field_count; i++) {
		BB_AUTO_FREE char *name =
			strndup((const char *)h->fields[i].name.p, h->fields[i].name.n);

		if (!http_is_hop_field(h, h->fields[i].name))
			r |= http_put_field(out, name, h->fields[i].value);
	}
	r |= http_put_framing(out, h->framing, h->length);
	r |= http_put_end(out);
	assert(r == 0);
}

static void check_request(struct bb_view head)
{
	BB_AUTO_FREE struct http_head *h = calloc(1, sizeof(*h)), *g = calloc(1, sizeof(*g));
	BB_AUTO_BUF struct bb_buf out = { 0 };
	struct bb_err err = { 0 };
	size_t scanned = 0;
	int r = http_parse_request(head, h, &err);

	if (r < 0) {
		assert(err.code == r && err.msg[0] != '\0');
		return;
	}
	bb_buf_init(&out, 4 * LIMIT_HTTP_HEAD);
	rewrite(h, &out);
	if (bb_buf_size(&out) >= LIMIT_HTTP_HEAD)
		return;
	r = http_head_end(bb_buf_peek(&out), &scanned, &err);
	assert(r == (int)bb_buf_size(&out));
	assert(http_parse_request(bb_buf_peek(&out), g, &err) == 0);
	assert(bb_view_eq(h->method, g->method) && bb_view_eq(h->target, g->target));
	assert(bb_view_eq(h->host, g->host));
	assert(h->framing == g->framing && h->length == g->length);
	assert(!g->wants_upgrade && g->is_persistent);
}

static void check_response(struct bb_view head)
{
	BB_AUTO_FREE struct http_head *h = calloc(1, sizeof(*h));
	struct bb_err err = { 0 };
	int r = http_parse_response(head, false, h, &err);

	if (r < 0)
		assert(err.code == r && err.msg[0] != '\0');
	else
		assert(h->status >= 100 && h->status <= 599);
}

static void check_path(struct bb_view target)
{
	BB_AUTO_BUF struct bb_buf out = { 0 }, again = { 0 };
	struct bb_err err = { 0 };
	struct http_path p, q;

	bb_buf_init(&out, 4 * LIMIT_HTTP_TARGET);
	bb_buf_init(&again, 4 * LIMIT_HTTP_TARGET);
	if (target.n > LIMIT_HTTP_TARGET || http_canonical_path(target, &out, &p, &err) < 0)
		return;
	assert(p.path.n > 0 && p.path.p[0] == '/');
	for (size_t i = 0; i < p.path.n; i++) {
		assert(p.path.p[i] > 0x20 && p.path.p[i] < 0x7f && p.path.p[i] != '\\');
		if (p.path.p[i] == '/' && i + 1 < p.path.n && p.path.p[i + 1] == '.') {
			size_t n = i + 1;

			while (n < p.path.n && p.path.p[n] == '.')
				n++;
			/* ".", "..", and both with a parameter, are never a segment. */
			assert(n - i - 1 > 2 ||
			       (n < p.path.n && p.path.p[n] != '/' && p.path.p[n] != ';'));
		}
	}
	assert(http_canonical_path(bb_buf_peek(&out), &again, &q, &err) == 0);
	assert(bb_view_eq(bb_buf_peek(&out), bb_buf_peek(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bb_view in = bb_view_of(data, size);
	int n = find_end(in);

	if (n > 0) {
		check_request(bb_view_of(data, (size_t)n));
		check_response(bb_view_of(data, (size_t)n));
	}
	check_path(in);
	(void)http_has_credential_query(in, NULL);
	return 0;
}
