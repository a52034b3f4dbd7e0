/* http/write.c: what is written parses back to what was meant. */
#include "../unit.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "http/chunked.h"
#include "http/write.h"

static void a_written_request_parses_back(void **state)
{
	BB_AUTO_FREE struct http_head *h = calloc(1, sizeof(*h));
	BB_AUTO_BUF struct bb_buf out = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	bb_buf_init(&out, 4096);
	assert_int_equal(http_put_request_line(&out, bb_view_str("PUT"), bb_view_str("/a?b")), 0);
	assert_int_equal(http_put_field(&out, "Host", bb_view_str("a.test")), 0);
	assert_int_equal(http_put_framing(&out, HTTP_BODY_LENGTH, 12345678901ull), 0);
	assert_int_equal(http_put_end(&out), 0);
	assert_int_equal(http_parse_request(bb_buf_peek(&out), h, &err), 0);
	assert_true(bb_view_eq_str(h->method, "PUT"));
	assert_true(bb_view_eq_str(h->target, "/a?b"));
	assert_true(h->length == 12345678901ull);
}

static void written_chunks_decode_to_the_data(void **state)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	struct bb_view in, data;
	struct bb_err err = { 0 };
	struct http_chunked c;

	(void)state;
	bb_buf_init(&out, 4096);
	assert_int_equal(http_put_chunk(&out, bb_view_str("some data")), 0);
	assert_true(bb_buf_size(&out) <= 9 + HTTP_CHUNK_OVERHEAD);
	assert_int_equal(http_put_last_chunk(&out), 0);
	in = bb_buf_peek(&out);
	http_chunked_init(&c, false);
	in = bb_view_from(in, (size_t)http_chunked_read(&c, in, &data, &err));
	assert_true(bb_view_eq_str(data, "some data"));
	in = bb_view_from(in, (size_t)http_chunked_read(&c, in, &data, &err));
	assert_int_equal(in.n, 0);
	assert_int_equal(c.state, HTTP_CHUNK_DONE);
}

static void a_full_buffer_is_reported(void **state)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };

	(void)state;
	bb_buf_init(&out, 8);
	assert_int_equal(http_put_status_line(&out, 200, bb_view_str("OK")), -EMSGSIZE);
	assert_int_equal(http_put_chunk(&out, bb_view_str("123456789")), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_written_request_parses_back),
		cmocka_unit_test(written_chunks_decode_to_the_data),
		cmocka_unit_test(a_full_buffer_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
