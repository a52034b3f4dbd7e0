/*
 * Bodies that a server compressed although it was asked not to: decoded as a stream, so that they
 * can be looked at. gzip and deflate (zlib or raw) only. Pure but for memory.
 */
#ifndef BB_HTTP_INFLATE_H
#define BB_HTTP_INFLATE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/view.h"

enum http_coding {
	HTTP_CODING_IDENTITY,
	HTTP_CODING_GZIP, /* also x-gzip */
	HTTP_CODING_DEFLATE,
	HTTP_CODING_UNKNOWN, /* another, or several */
};

/* The value of a Content-Encoding field. */
enum http_coding http_coding_of(struct bb_view value);

struct http_inflate; /* opaque, heap */

/* coding: GZIP or DEFLATE. NULL: out of memory. */
struct http_inflate *http_inflate_new(enum http_coding coding);
void http_inflate_free(struct http_inflate *f);

/*
 * Decodes from in into out, as far as either reaches. *ret_used, *ret_made: bytes of each. 0, or
 * -EPROTO: not valid, or more than LIMIT_INFLATE_RATIO times as much comes out as went in (a
 * bomb).
 */
int http_inflate_run(struct http_inflate *f, struct bb_view in, uint8_t *out, size_t cap,
		     size_t *ret_used, size_t *ret_made, struct bb_err *err);
/* Was the last byte so far the end of a whole body? */
bool http_inflate_is_whole(const struct http_inflate *f);

#endif
