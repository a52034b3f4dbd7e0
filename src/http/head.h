/*
 * Heads of HTTP/1.1 messages (RFC 9112), strictly: what two readers could understand differently is
 * refused, never repaired. Pure; views point into the input. The result does not say how the
 * message was framed on the wire beyond what a writer needs, so that another version of the
 * protocol can fill the same struct.
 */
#ifndef BB_HTTP_HEAD_H
#define BB_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limit.h"
#include "base/view.h"

enum http_framing {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_CLOSE, /* responses: to the end of the connection */
};

struct http_head {
	struct bb_view method, target; /* requests */
	unsigned status;               /* responses: 100..599 */
	struct bb_view reason;
	unsigned minor; /* of HTTP/1.minor: 0 or 1 */

	struct bb_field fields[LIMIT_HTTP_HEADERS]; /* values without white space around them */
	size_t field_count;

	/* Derived from the fields, each checked for contradictions. */
	struct bb_view host; /* requests: the one Host field */
	enum http_framing framing;
	uint64_t length;       /* HTTP_BODY_LENGTH */
	bool is_persistent;    /* the connection may carry another message */
	bool expects_continue; /* Expect: 100-continue */
	bool wants_upgrade;    /* an Upgrade field is there */
};

/*
 * Finds the end of a head. *scanned says how much was looked at before (0 at first; kept by the
 * caller), so that bytes that come one by one are looked at once. Bytes of the head; 0: incomplete;
 * -EMSGSIZE above LIMIT_HTTP_HEAD; -EPROTO for a bare CR or LF, a NUL, or an empty first line.
 */
int http_head_end(struct bb_view in, size_t *scanned, struct bb_err *err);

/* head: exactly the bytes http_head_end() counted. 0, or -EPROTO (answer 400) or -EMSGSIZE (431)
 * with a sentence. */
int http_parse_request(struct bb_view head, struct http_head *ret, struct bb_err *err);
/* request_is_head: it answers a HEAD request, so no body follows. */
int http_parse_response(struct bb_view head, bool request_is_head, struct http_head *ret,
			struct bb_err *err);

/* The first field of that name (any case), or NULL. */
const struct bb_field *http_find(const struct http_head *h, const char *name);

#endif
