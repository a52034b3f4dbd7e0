/* The chunked coding; see chunked.h. */
#include "http/chunked.h"

#include "base/num.h"

#define CHUNK_DIGITS      15 /* of a size: more cannot be meant, and 2^60 cannot overflow */
#define CHUNK_TRAILER_MAX 8192

void http_chunked_init(struct http_chunked *c, bool allows_trailers)
{
	*c = (struct http_chunked){ .allows_trailers = allows_trailers };
}

static int size_byte(struct http_chunked *c, uint8_t byte, struct bb_err *err)
{
	int digit = bb_hex_digit(byte);

	if (digit >= 0 && c->digits < CHUNK_DIGITS) {
		c->left = c->left << 4 | (unsigned)digit;
		c->digits++;
		return 0;
	}
	if (byte == '\r' && c->digits > 0) {
		c->state = HTTP_CHUNK_SIZE_LF;
		return 0;
	}
	/* An extension's ';' too: nothing uses them, and readers disagree about them. */
	return bb_err_set(err, -EPROTO, "byte 0x%02x in the size of a chunk", byte);
}

static int expect_byte(struct http_chunked *c, uint8_t byte, uint8_t want,
		       enum http_chunk_state next, struct bb_err *err)
{
	if (byte != want)
		return bb_err_set(err, -EPROTO, "byte 0x%02x where a chunk's line ends", byte);
	c->state = next;
	return 0;
}

static int trailer_byte(struct http_chunked *c, uint8_t byte, struct bb_err *err)
{
	if (byte == '\r') {
		c->state = c->state == HTTP_CHUNK_TRAILER ? HTTP_CHUNK_END_LF : HTTP_CHUNK_LINE_LF;
		return 0;
	}
	if (!c->allows_trailers)
		return bb_err_set(err, -EPROTO, "fields behind the last chunk");
	if (byte == '\n' || byte == '\0' || ++c->trailer_bytes > CHUNK_TRAILER_MAX)
		return bb_err_set(err, -EPROTO, "malformed fields behind the last chunk");
	c->state = HTTP_CHUNK_LINE;
	return 0;
}

static int step(struct http_chunked *c, uint8_t byte, struct bb_err *err)
{
	switch (c->state) {
	case HTTP_CHUNK_SIZE:
		return size_byte(c, byte, err);
	case HTTP_CHUNK_SIZE_LF:
		c->digits = 0;
		return expect_byte(c, byte, '\n',
				   c->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER, err);
	case HTTP_CHUNK_DATA_CR:
		return expect_byte(c, byte, '\r', HTTP_CHUNK_DATA_LF, err);
	case HTTP_CHUNK_DATA_LF:
		return expect_byte(c, byte, '\n', HTTP_CHUNK_SIZE, err);
	case HTTP_CHUNK_TRAILER:
	case HTTP_CHUNK_LINE:
		return trailer_byte(c, byte, err);
	case HTTP_CHUNK_LINE_LF:
		return expect_byte(c, byte, '\n', HTTP_CHUNK_TRAILER, err);
	case HTTP_CHUNK_END_LF:
		return expect_byte(c, byte, '\n', HTTP_CHUNK_DONE, err);
	case HTTP_CHUNK_DATA:
	case HTTP_CHUNK_DONE:
		break;
	}
	return 0;
}

ssize_t http_chunked_read(struct http_chunked *c, struct bb_view in, struct bb_view *ret_data,
			  struct bb_err *err)
{
	size_t used = 0;

	*ret_data = bb_view_of(in.p, 0);
	while (used < in.n && c->state != HTTP_CHUNK_DONE) {
		int r;

		if (c->state == HTTP_CHUNK_DATA) {
			size_t n = in.n - used;

			if (n > c->left)
				n = (size_t)c->left;
			*ret_data = bb_view_of(in.p + used, n);
			c->left -= n;
			if (c->left == 0)
				c->state = HTTP_CHUNK_DATA_CR;
			return (ssize_t)(used + n);
		}
		r = step(c, in.p[used], err);
		if (r < 0)
			return r;
		used++;
	}
	return (ssize_t)used;
}
