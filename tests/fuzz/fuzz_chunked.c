/*
 * The chunked coding. Oracle: the decoded bytes and the outcome do not depend on how the input is
 * divided, and what was decoded, encoded by our writer, decodes to the same.
 */
#include <assert.h>

#include "base/cleanup.h"
#include "http/chunked.h"
#include "http/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 1 done, 0 incomplete, negative broken. */
static int decode(struct bb_view in, size_t step, bool allows_trailers, struct bb_buf *out)
{
	struct http_chunked c;

	http_chunked_init(&c, allows_trailers);
	while (in.n > 0 && c.state != HTTP_CHUNK_DONE) {
		struct bb_view part = bb_view_of(in.p, in.n < step ? in.n : step), piece;
		struct bb_err err = { 0 };
		ssize_t n = http_chunked_read(&c, part, &piece, &err);

		if (n < 0) {
			assert(err.code == n && err.msg[0] != '\0');
			return -1;
		}
		assert(n > 0 && (size_t)n <= part.n && piece.n <= (size_t)n);
		assert(bb_buf_append_view(out, piece) == 0);
		in = bb_view_from(in, (size_t)n);
	}
	return c.state == HTTP_CHUNK_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool allows_trailers = size > 0 && (data[0] & 1) != 0;
	struct bb_view in = bb_view_from(bb_view_of(data, size), 1);
	BB_AUTO_BUF struct bb_buf whole = { 0 }, bytes = { 0 }, encoded = { 0 }, again = { 0 };
	int r;

	bb_buf_init(&whole, size + 1);
	bb_buf_init(&bytes, size + 1);
	bb_buf_init(&encoded, size + 64);
	bb_buf_init(&again, size + 1);
	r = decode(in, SIZE_MAX, allows_trailers, &whole);
	assert(decode(in, 1, allows_trailers, &bytes) == r);
	assert(bb_view_eq(bb_buf_peek(&whole), bb_buf_peek(&bytes)));
	if (bb_buf_size(&whole) > 0)
		assert(http_put_chunk(&encoded, bb_buf_peek(&whole)) == 0);
	assert(http_put_last_chunk(&encoded) == 0);
	assert(decode(bb_buf_peek(&encoded), SIZE_MAX, false, &again) == 1);
	assert(bb_view_eq(bb_buf_peek(&whole), bb_buf_peek(&again)));
	return 0;
}
