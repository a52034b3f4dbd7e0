/* The chunked coding (RFC 9112 7.1), decoded as a stream. Pure. */
#ifndef BB_HTTP_CHUNKED_H
#define BB_HTTP_CHUNKED_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/view.h"

enum http_chunk_state {
	HTTP_CHUNK_SIZE,    /* hex digits */
	HTTP_CHUNK_SIZE_LF, /* CR came */
	HTTP_CHUNK_DATA,    /* left bytes follow */
	HTTP_CHUNK_DATA_CR, /* the data's own end of line */
	HTTP_CHUNK_DATA_LF,
	HTTP_CHUNK_TRAILER, /* at the start of a line behind the last chunk */
	HTTP_CHUNK_LINE,    /* inside a trailer line */
	HTTP_CHUNK_LINE_LF, /* CR of a trailer line came */
	HTTP_CHUNK_END_LF,  /* CR of the empty line came */
	HTTP_CHUNK_DONE,
};

struct http_chunked {
	enum http_chunk_state state;
	uint64_t left;
	unsigned digits;
	bool allows_trailers; /* responses: read and dropped; requests: refused */
	size_t trailer_bytes;
};

void http_chunked_init(struct http_chunked *c, bool allows_trailers);

/*
 * Reads from in and stops at the first piece of data. Bytes used (0 when in is empty or it is
 * done); *ret_data is the piece, a part of in, or empty. -EPROTO: extensions, bad digits, more than
 * 16 of them, bare LF, trailers where they are refused.
 */
ssize_t http_chunked_read(struct http_chunked *c, struct bb_view in, struct bb_view *ret_data,
			  struct bb_err *err);

#endif
