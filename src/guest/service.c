/*
 * The first bytes of each stream of the host name its service. Only those bytes are taken from the
 * stream: what follows stays there for the service. A wrong opening resets the stream.
 */
#include "guest/service.h"

#include <stdlib.h>

#include "base/limit.h"
#include "base/num.h"
#include "guest/copy.h"
#include "guest/forward.h"
#include "guest/lifecycle.h"
#include "guest/session.h"

struct opening {
	struct peer peer;
	struct guest *guest;
	size_t size;
	uint8_t bytes[PROTO_OPEN_HEAD + LIMIT_PROTO_OPEN];
};

static void opening_drop(void *peer)
{
	struct opening *o = peer;

	mux_stream_release(o->peer.stream); /* resets what is open */
	free(o);
}

/* The bytes the opening has in all, as far as is known yet. */
static size_t opening_want(const struct opening *o)
{
	uint32_t n;

	if (o->size < PROTO_OPEN_HEAD)
		return PROTO_OPEN_HEAD;
	n = bb_be32(o->bytes + 4);
	return PROTO_OPEN_HEAD + (n > LIMIT_PROTO_OPEN ? 0 : n);
}

static int opening_dispatch(struct guest *g, struct mux_stream *s, const struct proto_open *open)
{
	switch (open->service) {
	case PROTO_EXEC:
		return exec_accept(g, s);
	case PROTO_FILE:
		return copy_accept(g, s, open->fields);
	case PROTO_LIFECYCLE:
		return lifecycle_accept(g, s);
	case PROTO_FORWARD:
		return forward_accept(g, s, open->fields);
	case PROTO_EGRESS:
	case PROTO_GIT:
	case PROTO_SUPERVISE:
		break; /* ours to open, not the host's */
	}
	return -EPROTO;
}

static void opening_readable(void *peer)
{
	struct opening *o = peer;
	struct mux_stream *s = o->peer.stream;
	struct proto_open open;
	int r;

	while (o->size < opening_want(o)) {
		struct bb_view v = mux_stream_peek(s);
		size_t n = opening_want(o) - o->size;

		if (v.n == 0) {
			if (mux_stream_at_eof(s))
				opening_drop(o);
			return;
		}
		if (n > v.n)
			n = v.n;
		memcpy(o->bytes + o->size, v.p, n);
		o->size += n;
		mux_stream_consume(s, n);
	}
	r = proto_get_open(bb_view_of(o->bytes, o->size), &open, NULL);
	if (r > 0)
		r = opening_dispatch(o->guest, s, &open);
	else
		r = -EPROTO;
	if (r < 0)
		mux_stream_release(s);
	free(o);
}

static void opening_writable(void *peer)
{
	(void)peer; /* nothing is sent before the service is known */
}

static const struct peer_ops opening_ops = {
	.readable = opening_readable,
	.writable = opening_writable,
	.reset = opening_drop,
};

int service_accept(struct guest *g, struct mux_stream *s)
{
	struct opening *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->peer = (struct peer){ .ops = &opening_ops, .stream = s };
	o->guest = g;
	mux_stream_set_owner(s, o);
	return 0;
}
