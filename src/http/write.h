/* Writing messages: every byte of a head comes from parsed parts. Pure. 0 or the buffer's error. */
#ifndef BB_HTTP_WRITE_H
#define BB_HTTP_WRITE_H

#include "base/buf.h"
#include "http/head.h"

int http_put_request_line(struct bb_buf *out, struct bb_view method, struct bb_view target);
int http_put_status_line(struct bb_buf *out, unsigned status, struct bb_view reason);
int http_put_field(struct bb_buf *out, const char *name, struct bb_view value);
/* NONE and CLOSE write nothing. */
int http_put_framing(struct bb_buf *out, enum http_framing framing, uint64_t length);
int http_put_end(struct bb_buf *out); /* of the head */

#define HTTP_CHUNK_OVERHEAD 20 /* most bytes that http_put_chunk() adds */
int http_put_chunk(struct bb_buf *out, struct bb_view data); /* data is not empty */
int http_put_last_chunk(struct bb_buf *out);

/* The standard phrase, or "". */
const char *http_reason(unsigned status);

#endif
