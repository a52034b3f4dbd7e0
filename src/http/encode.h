/* The encodings in which servers give a value back. Pure. */
#ifndef BB_HTTP_ENCODE_H
#define BB_HTTP_ENCODE_H

#include "base/buf.h"

enum http_encoding {
	HTTP_ENCODE_RAW,
	HTTP_ENCODE_BASE64_0, /* with so many bytes in front of it, in a larger value */
	HTTP_ENCODE_BASE64_1,
	HTTP_ENCODE_BASE64_2,
	HTTP_ENCODE_BASE64URL_0,
	HTTP_ENCODE_BASE64URL_1,
	HTTP_ENCODE_BASE64URL_2,
	HTTP_ENCODE_BASE32,
	HTTP_ENCODE_HEX_LOWER,
	HTTP_ENCODE_HEX_UPPER,
	HTTP_ENCODE_PERCENT_UPPER, /* of all but unreserved characters */
	HTTP_ENCODE_PERCENT_LOWER,
	HTTP_ENCODE_PERCENT_ALL_UPPER,
	HTTP_ENCODE_PERCENT_ALL_LOWER,
	HTTP_ENCODE_JSON,         /* what must be escaped */
	HTTP_ENCODE_JSON_SLASH,   /* and '/' */
	HTTP_ENCODE_JSON_UNICODE, /* and '<', '>', '&', "'" as \u003c */
	HTTP_ENCODE_HTML,
};
#define HTTP_NUM_ENCODINGS 18

/*
 * Appends v as it stands in that encoding, without padding and without what depends on neighbours:
 * of base64 only the characters that v alone decides. 0 or the buffer's error.
 */
int http_encode(struct bb_buf *out, struct bb_view v, enum http_encoding how);

#endif
