/* http/chunked.c: the chunked coding, in any division of its bytes. */
#include "../unit.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "http/chunked.h"

/* Feeds step bytes at a time. 1 done, 0 not yet, or the error. */
static int decode(const char *text, size_t step, bool allows_trailers, struct bb_buf *out)
{
	struct bb_view in = bb_view_str(text);
	struct bb_err err = { 0 };
	struct http_chunked c;

	http_chunked_init(&c, allows_trailers);
	while (in.n > 0 && c.state != HTTP_CHUNK_DONE) {
		struct bb_view part = bb_view_of(in.p, in.n < step ? in.n : step), data;
		ssize_t n = http_chunked_read(&c, part, &data, &err);

		if (n < 0) {
			assert_true(err.msg[0] != '\0');
			return (int)n;
		}
		assert_true(n > 0 && (size_t)n <= part.n);
		assert_int_equal(bb_buf_append_view(out, data), 0);
		in = bb_view_from(in, (size_t)n);
	}
	return c.state == HTTP_CHUNK_DONE;
}

static void bodies_come_whole_in_any_division(void **state)
{
	(void)state;
	for (size_t step = 1; step < 40; step++) {
		BB_AUTO_BUF struct bb_buf out = { 0 };

		bb_buf_init(&out, 1024);
		assert_int_equal(
			decode("5\r\nhello\r\n00b\r\n, my world!\r\n0\r\n\r\n", step, false, &out),
			1);
		assert_true(bb_view_eq_str(bb_buf_peek(&out), "hello, my world!"));
	}
}

static void what_is_not_a_chunk_is_refused(void **state)
{
	static const char *const rows[] = {
		"5;ext=1\r\nhello\r\n0\r\n\r\n",
		"5 \r\nhello\r\n",
		" 5\r\nhello\r\n",
		"\r\n",
		"0x5\r\n",
		"-1\r\n",
		"g\r\n",
		"5\nhello\r\n",
		"5\r\rhello",
		"5\r\nhello0\r\n\r\n",
		"5\r\nhello\n0\r\n",
		"10000000000000000\r\n",
		"0\r\nTrailer: x\r\n\r\n",
		"0\r\n\n",
		"0\r\n\rx",
		"0\n\n",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++)
		for (size_t step = 1; step < 20; step += 18) {
			BB_AUTO_BUF struct bb_buf out = { 0 };

			bb_buf_init(&out, 1024);
			if (decode(rows[i], step, false, &out) != -EPROTO)
				fail_msg("'%s' passes", rows[i]);
		}
}

static void trailers_are_dropped_where_they_are_allowed(void **state)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };

	(void)state;
	bb_buf_init(&out, 1024);
	assert_int_equal(decode("1\r\na\r\n0\r\nX: 1\r\nY: 2\r\n\r\n", 3, true, &out), 1);
	assert_true(bb_view_eq_str(bb_buf_peek(&out), "a"));
	bb_buf_reset(&out);
	assert_int_equal(decode("0\r\nX: 1\nY: 2\r\n\r\n", 3, true, &out), -EPROTO);
}

static void an_unfinished_body_is_not_done(void **state)
{
	static const char text[] = "5\r\nhello\r\n0\r\n\r\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		BB_AUTO_BUF struct bb_buf out = { 0 };
		char cut[sizeof(text)] = { 0 };

		bb_buf_init(&out, 1024);
		memcpy(cut, text, n);
		assert_int_equal(decode(cut, 100, false, &out), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_come_whole_in_any_division),
		cmocka_unit_test(what_is_not_a_chunk_is_refused),
		cmocka_unit_test(trailers_are_dropped_where_they_are_allowed),
		cmocka_unit_test(an_unfinished_body_is_not_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
