/*
 * The first bytes of a stream that the guest opened: which service it wants. The bytes after the
 * opening go to that service's process, over a socket pair made here; its end travels over the
 * service's link.
 */
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "role/channel/channel_impl.h"

struct opening {
	struct owner owner; /* first */
	struct channel *c;
	struct mux_stream *stream;
	struct opening *next;
};

static void opening_free(struct opening *o)
{
	struct opening **at = &o->c->openings;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	free(o);
}

/* Hands one end of a new pair to the service; the other, or negative. */
static int connect_service(struct channel *c, enum proto_service service, uint32_t path)
{
	BB_AUTO_CLOSE int ours = -1;
	BB_AUTO_CLOSE int theirs = -1;
	BB_AUTO_BUF struct bb_buf body = { 0 };
	int link = c->services[service - PROTO_EGRESS];
	int pair[2];
	int r;

	if (link < 0)
		return -ENOTCONN;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	bb_buf_init(&body, 64);
	r = bb_tlv_put_u32(&body, 1, path);
	if (r == 0)
		r = ipc_send(link, IPC_STREAM, 0, bb_buf_peek(&body), &theirs, 1);
	return r < 0 ? r : bb_take_fd(&ours);
}

/* 0: handed on or reset; negative: the guest broke the protocol. */
static int hand_on(struct channel *c, struct mux_stream *s, const struct proto_open *open,
		   struct bb_err *err)
{
	uint32_t path = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = PROTO_EGRESS_PATH, .type = BB_TLV_U32, .out = &path },
	};
	struct relay_plan plan = { .stream = s };
	int r;

	if (open->service < PROTO_EGRESS || open->service >= PROTO_EGRESS + CHANNEL_SERVICES)
		return bb_err_set(err, -EPROTO,
				  "the guest opens service %d, which is the host's to open",
				  (int)open->service);
	r = bb_tlv_read(open->fields, fields, BB_ARRAY_LEN(fields), err);
	if (r < 0)
		return r;
	plan.fd = connect_service(c, open->service, path);
	if (plan.fd < 0 || relay_new(c, &plan) < 0)
		mux_stream_release(s); /* the guest sees a reset */
	return 0;
}

static void on_readable(struct channel *c, struct owner *owner)
{
	struct opening *o = (struct opening *)owner;
	struct mux_stream *s = o->stream;
	struct proto_open open;
	struct bb_err err = { 0 };
	int n;

	if (c->state == CHANNEL_ENDING)
		return;
	n = proto_get_open(mux_stream_peek(s), &open, &err);
	if (n == 0 && mux_stream_at_eof(s)) {
		opening_free(o);
		mux_stream_release(s);
		return;
	}
	if (n == 0)
		return;
	if (n > 0) {
		/* The views point into the stream's buffer: use them before the bytes are consumed.
		 * The relay reads what follows the opening, so the opening goes first. */
		uint8_t fields[LIMIT_PROTO_OPEN];

		memcpy(fields, open.fields.p, open.fields.n);
		open.fields.p = fields;
		mux_stream_consume(s, (size_t)n);
		opening_free(o);
		mux_stream_set_owner(s, NULL);
		if (hand_on(c, s, &open, &err) == 0)
			return;
	}
	channel_lost(c, "the guest broke the protocol of a stream: %s", err.msg);
}

static void on_reset(struct channel *c, struct owner *owner)
{
	struct opening *o = (struct opening *)owner;
	struct mux_stream *s = o->stream;

	(void)c;
	opening_free(o);
	mux_stream_release(s);
}

static const struct owner_ops opening_ops = { on_readable, NULL, on_reset };

int opening_new(struct channel *c, struct mux_stream *s)
{
	struct opening *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->owner.ops = &opening_ops;
	o->c = c;
	o->stream = s;
	o->next = c->openings;
	c->openings = o;
	mux_stream_set_owner(s, &o->owner);
	return 0;
}

void opening_free_all(struct channel *c)
{
	while (c->openings != NULL)
		opening_free(c->openings);
}
