/* Openings and frames of the guest protocol; see proto.h. Pure: bytes in, views out. */
#include "mux/proto.h"

#include "base/limit.h"
#include "base/num.h"

int proto_put_open(struct bb_buf *b, enum proto_service service, struct bb_view fields)
{
	uint8_t head[PROTO_OPEN_HEAD];

	if (fields.n > LIMIT_PROTO_OPEN || bb_buf_room(b) < sizeof(head) ||
	    fields.n > bb_buf_room(b) - sizeof(head))
		return -EMSGSIZE;
	bb_put_be16(head, PROTO_MAGIC);
	head[2] = PROTO_VERSION;
	head[3] = (uint8_t)service;
	bb_put_be32(head + 4, (uint32_t)fields.n);
	if (bb_buf_reserve(b, sizeof(head) + fields.n) == NULL)
		return -ENOMEM;
	(void)bb_buf_append(b, head, sizeof(head)); /* room was reserved */
	(void)bb_buf_append_view(b, fields);
	return 0;
}

int proto_put_frame(struct bb_buf *b, uint8_t type, const void *body, size_t n)
{
	uint8_t head[PROTO_FRAME_HEAD] = { type };

	if (n > LIMIT_PROTO_FRAME || bb_buf_room(b) < sizeof(head) ||
	    n > bb_buf_room(b) - sizeof(head))
		return -EMSGSIZE;
	bb_put_be32(head + 4, (uint32_t)n);
	if (bb_buf_reserve(b, sizeof(head) + n) == NULL)
		return -ENOMEM;
	(void)bb_buf_append(b, head, sizeof(head)); /* room was reserved */
	(void)bb_buf_append(b, body, n);
	return 0;
}

static bool is_service(uint8_t value)
{
	switch ((enum proto_service)value) {
	case PROTO_EGRESS:
	case PROTO_GIT:
	case PROTO_SUPERVISE:
	case PROTO_EXEC:
	case PROTO_FILE:
	case PROTO_LIFECYCLE:
	case PROTO_FORWARD:
		return true;
	}
	return false;
}

int proto_get_open(struct bb_view in, struct proto_open *ret, struct bb_err *err)
{
	uint32_t n;

	if (in.n < PROTO_OPEN_HEAD)
		return 0;
	if (bb_be16(in.p) != PROTO_MAGIC)
		return bb_err_set(err, -EPROTO, "a stream opens with 0x%04x instead of 0x%04x",
				  bb_be16(in.p), PROTO_MAGIC);
	if (in.p[2] != PROTO_VERSION)
		return bb_err_set(err, -EPROTO, "a stream speaks protocol version %u, this side %d",
				  in.p[2], PROTO_VERSION);
	if (!is_service(in.p[3]))
		return bb_err_set(err, -EPROTO, "stream service %u is unknown", in.p[3]);
	n = bb_be32(in.p + 4);
	if (n > LIMIT_PROTO_OPEN)
		return bb_err_set(err, -EMSGSIZE, "a stream's opening has %u bytes, limit %d", n,
				  LIMIT_PROTO_OPEN);
	if (n > in.n - PROTO_OPEN_HEAD)
		return 0;
	ret->service = (enum proto_service)in.p[3];
	ret->fields = bb_view_of(in.p + PROTO_OPEN_HEAD, n);
	return (int)(PROTO_OPEN_HEAD + n);
}

int proto_get_frame(struct bb_view in, struct proto_frame *ret, struct bb_err *err)
{
	uint32_t n;

	if (in.n < PROTO_FRAME_HEAD)
		return 0;
	if (in.p[1] != 0 || bb_be16(in.p + 2) != 0)
		return bb_err_set(err, -EPROTO, "reserved bytes of a frame are not zero");
	n = bb_be32(in.p + 4);
	if (n > LIMIT_PROTO_FRAME)
		return bb_err_set(err, -EMSGSIZE, "a frame has %u bytes, limit %d", n,
				  LIMIT_PROTO_FRAME);
	if (n > in.n - PROTO_FRAME_HEAD)
		return 0;
	ret->type = in.p[0];
	ret->body = bb_view_of(in.p + PROTO_FRAME_HEAD, n);
	return (int)(PROTO_FRAME_HEAD + n);
}
