/* http/head.c: strict heads; every refusal has a legitimate neighbour. */
#include "../unit.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "http/head.h"

struct row {
	const char *text;
	size_t n; /* 0: strlen */
};

static struct http_head *parse(const char *text, size_t n, bool is_request, int *ret)
{
	struct http_head *h = calloc(1, sizeof(*h));
	struct bb_view in = bb_view_of(text, n == 0 ? strlen(text) : n);
	struct bb_err err = { 0 };
	size_t scanned = 0;
	int r = http_head_end(in, &scanned, &err);

	if (r > 0)
		r = is_request ? http_parse_request(bb_view_of(in.p, (size_t)r), h, &err)
			       : http_parse_response(bb_view_of(in.p, (size_t)r), false, h, &err);
	else if (r == 0)
		r = -EAGAIN;
	if (r < 0 && r != -EAGAIN)
		assert_true(err.msg[0] != '\0');
	*ret = r;
	return h;
}

static void ambiguous_requests_are_refused(void **state)
{
	static const struct row rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nX: a\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\nHost: a\n\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 33 },
		{ "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\tX: b\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 60\r\n\r\n",
		  0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
		  0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n",
		  0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 0 },
		{ "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 0 },
		{ "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 0 },
		{ "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 0 },
		{ "GET / http/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "GET /\r\nHost: a\r\n\r\n", 0 },
		{ "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 0 },
		{ "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nExpect: something\r\n\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		int r;

		free(parse(rows[i].text, rows[i].n, true, &r));
		if (r != -EPROTO)
			fail_msg("row %zu gives %d", i, r);
	}
}

static void an_ordinary_request_is_read(void **state)
{
	int r;
	struct http_head *h = parse("POST /a?b HTTP/1.1\r\nhOST: allowed.test\r\nX-Empty:\r\n"
				    "X-Text: \t some text\xe9 \r\nContent-Length: 7\r\n"
				    "Connection: a, Close\r\nExpect: 100-Continue\r\n\r\nbody",
				    0, true, &r);

	(void)state;
	assert_int_equal(r, 0);
	assert_true(bb_view_eq_str(h->method, "POST"));
	assert_true(bb_view_eq_str(h->target, "/a?b"));
	assert_true(bb_view_eq_str(h->host, "allowed.test"));
	assert_int_equal(h->field_count, 6);
	assert_int_equal(h->fields[1].value.n, 0);
	assert_true(bb_view_eq_str(h->fields[2].value, "some text\xe9"));
	assert_int_equal(h->framing, HTTP_BODY_LENGTH);
	assert_int_equal(h->length, 7);
	assert_false(h->is_persistent);
	assert_true(h->expects_continue);
	assert_false(h->wants_upgrade);
	free(h);
}

static void persistence_follows_version_and_connection(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nHost: a\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: "
		  "close\r\n\r\n",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		int r;
		struct http_head *h = parse(rows[i].text, 0, true, &r);

		assert_int_equal(r, 0);
		assert_int_equal(h->is_persistent, rows[i].want);
		free(h);
	}
}

static void the_end_is_found_however_the_bytes_arrive(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
	size_t head = sizeof(text) - 1 - 4;
	struct bb_err err = { 0 };
	size_t scanned = 0;

	(void)state;
	for (size_t n = 0; n < head; n++) {
		assert_int_equal(http_head_end(bb_view_of(text, n), &scanned, &err), 0);
		assert_int_equal(scanned, n); /* nothing is looked at twice */
	}
	assert_int_equal(http_head_end(bb_view_of(text, sizeof(text) - 1), &scanned, &err), head);
	assert_int_equal(scanned, 0);
}

static void heads_have_limits(void **state)
{
	BB_AUTO_FREE char *text = calloc(1, LIMIT_HTTP_HEAD + 1);
	struct bb_err err = { 0 };
	size_t scanned = 0, n;
	int r;

	(void)state;
	memset(text, 'a', LIMIT_HTTP_HEAD);
	assert_int_equal(http_head_end(bb_view_of(text, LIMIT_HTTP_HEAD - 1), &scanned, &err), 0);
	assert_error(http_head_end(bb_view_of(text, LIMIT_HTTP_HEAD), &scanned, &err), -EMSGSIZE,
		     err);
	n = (size_t)snprintf(text, LIMIT_HTTP_HEAD, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < LIMIT_HTTP_HEADERS; i++)
		n += (size_t)snprintf(text + n, LIMIT_HTTP_HEAD - n, "X: %d\r\n", i);
	(void)snprintf(text + n, LIMIT_HTTP_HEAD - n, "\r\n");
	free(parse(text, 0, true, &r));
	assert_int_equal(r, -EMSGSIZE);
	n = (size_t)snprintf(text, LIMIT_HTTP_HEAD, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n",
			     LIMIT_HTTP_TARGET, 1);
	free(parse(text, 0, true, &r));
	assert_int_equal(r, -EMSGSIZE);
}

static void responses_are_framed_without_doubt_or_refused(void **state)
{
	static const struct {
		const char *text;
		bool is_to_head;
		int want;
		enum http_framing framing;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 0, HTTP_BODY_LENGTH },
		{ "HTTP/1.1 200\r\n\r\n", false, 0, HTTP_BODY_CLOSE },
		{ "HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n", false, 0,
		  HTTP_BODY_CHUNKED },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 0, HTTP_BODY_NONE },
		{ "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, 0,
		  HTTP_BODY_NONE },
		{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 0,
		  HTTP_BODY_NONE },
		{ "HTTP/1.1 103 Early Hints\r\n\r\n", false, 0, HTTP_BODY_NONE },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", false,
		  -EPROTO, 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		  false, -EPROTO, 0 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", false, -EPROTO,
		  0 },
		{ "HTTP/1.1 99 Low\r\n\r\n", false, -EPROTO, 0 },
		{ "HTTP/1.1 600 High\r\n\r\n", false, -EPROTO, 0 },
		{ "HTTP/1.1 2000 OK\r\n\r\n", false, -EPROTO, 0 },
		{ "HTTP/2 200\r\n\r\n", false, -EPROTO, 0 },
		{ "ICY 200 OK\r\n\r\n", false, -EPROTO, 0 },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		BB_AUTO_FREE struct http_head *h = calloc(1, sizeof(*h));
		struct bb_err err = { 0 };
		int r = http_parse_response(bb_view_str(rows[i].text), rows[i].is_to_head, h, &err);

		if (r != rows[i].want || (r == 0 && h->framing != rows[i].framing))
			fail_msg("row %zu gives %d, framing %d", i, r, (int)h->framing);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ambiguous_requests_are_refused),
		cmocka_unit_test(an_ordinary_request_is_read),
		cmocka_unit_test(persistence_follows_version_and_connection),
		cmocka_unit_test(the_end_is_found_however_the_bytes_arrive),
		cmocka_unit_test(heads_have_limits),
		cmocka_unit_test(responses_are_framed_without_doubt_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
