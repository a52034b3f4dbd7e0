/*
 * Takes a secret out of what comes back: each byte of it, in each of the encodings that servers
 * echo, becomes a '*'. The length stays, so that framing, JSON and offsets stay right. Bodies pass
 * as streams: held back is only what may be the beginning of a secret, so an event that is
 * complete goes on at once. Pure.
 *
 * Looked for are: the bytes themselves, base64 and base64url at each of the three offsets (so
 * inside a larger value such as "user:password" too), base32, hex in both cases, percent-encoding
 * (of what needs it, and of every byte), and the escapes of JSON and HTML. Not found is what a
 * server computed from it in another way: reversed, encrypted, compressed inside of the body.
 */
#ifndef BB_HTTP_SCRUB_H
#define BB_HTTP_SCRUB_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_SCRUB_MIN 4 /* a shorter secret cannot be told from text */

struct http_scrub; /* opaque, heap; the encodings are in locked memory */

/* 0; -EINVAL: the secret is shorter than HTTP_SCRUB_MIN; -ENOMEM. */
int http_scrub_new(struct bb_view secret, struct http_scrub **ret, struct bb_err *err);
void http_scrub_free(struct http_scrub *s);

/* Masks in place, where all bytes are there: the head of a response. */
void http_scrub_mask(const struct http_scrub *s, uint8_t *p, size_t n);

/* A body on its way. */
struct http_scrub_stream {
	const struct http_scrub *scrub;
	struct bb_buf data, marks; /* held bytes; marks: 1 where a byte is to be masked */
	size_t ready;              /* handed out by the last push */
};

/* max: most bytes of one push. */
void http_scrub_stream_init(struct http_scrub_stream *t, const struct http_scrub *s, size_t max);
void http_scrub_stream_done(struct http_scrub_stream *t);
/* Takes the next piece; is_last: nothing comes behind it. *ret: what may go on, valid until the
 * next push. 0 or -ENOMEM. */
int http_scrub_push(struct http_scrub_stream *t, struct bb_view piece, bool is_last,
		    struct bb_view *ret);

#endif
