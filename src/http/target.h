/*
 * Request targets: authorities, and paths brought to one canonical form. What is judged is what is
 * sent: a path that a server could read differently is either rewritten here or refused. Pure.
 */
#ifndef BB_HTTP_TARGET_H
#define BB_HTTP_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/view.h"

/* "host", "host:port", "[v6]:port"; default_port 0: a port is required. The host is not normalised.
 * 0, or -EPROTO (user information, empty host, bad port). */
int http_parse_authority(struct bb_view text, uint16_t default_port, struct bb_view *ret_host,
			 uint16_t *ret_port, struct bb_err *err);

/* "http://authority/path?query" -> authority and the rest ("/" when empty). -EPROTO: another
 * scheme, or not absolute. */
int http_split_absolute(struct bb_view target, struct bb_view *ret_authority,
			struct bb_view *ret_rest, struct bb_err *err);

struct http_path {
	struct bb_view path;  /* canonical; points into the buffer */
	struct bb_view query; /* with its '?', or empty: not judged, forwarded as it came */
	bool has_encoded_slash;
};

/*
 * Canonical form of "/path?query", appended to out (path and query): percent-encodings of
 * unreserved characters decoded, others in upper case, what must be encoded encoded, "." and ".."
 * resolved. Refused: climbing above the root, "..;" (some servers strip the parameter and climb),
 * backslash raw or encoded, NUL and controls, '#', bytes above 0x7e, a broken '%'. -EPROTO with a
 * sentence. Applying it twice changes nothing.
 */
int http_canonical_path(struct bb_view target, struct bb_buf *out, struct http_path *ret,
			struct bb_err *err);

#endif
