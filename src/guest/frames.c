/* Assembling and sending frames over a mux stream. */
#include "guest/frames.h"

#include "base/limit.h"
#include "base/num.h"

void frames_init(struct frames *f)
{
	bb_buf_init(&f->in, PROTO_FRAME_HEAD + LIMIT_PROTO_FRAME);
}

void frames_done(struct frames *f)
{
	bb_buf_done(&f->in);
}

/* Moves bytes until `want` are there; false when the stream has no more for now. */
static bool frames_fill(struct frames *f, struct mux_stream *s, size_t want)
{
	while (bb_buf_size(&f->in) < want) {
		struct bb_view v = mux_stream_peek(s);
		size_t n = want - bb_buf_size(&f->in);

		if (v.n == 0)
			return false;
		if (n > v.n)
			n = v.n;
		if (bb_buf_append(&f->in, v.p, n) < 0)
			return false;
		mux_stream_consume(s, n);
	}
	return true;
}

int frames_next(struct frames *f, struct mux_stream *s, struct proto_frame *ret, struct bb_err *err)
{
	uint32_t n;
	int r;

	if (!frames_fill(f, s, PROTO_FRAME_HEAD))
		return 0;
	n = bb_be32(bb_buf_peek(&f->in).p + 4);
	if (n > LIMIT_PROTO_FRAME)
		return bb_err_set(err, -EPROTO, "frame body is %u bytes, limit %d", n,
				  LIMIT_PROTO_FRAME);
	if (!frames_fill(f, s, PROTO_FRAME_HEAD + (size_t)n))
		return 0;
	r = proto_get_frame(bb_buf_peek(&f->in), ret, err);
	return r > 0 ? 1 : r;
}

void frames_pop(struct frames *f)
{
	bb_buf_reset(&f->in);
}

bool frames_flush(struct bb_buf *b, struct mux_stream *s)
{
	while (bb_buf_size(b) > 0) {
		struct bb_view v = bb_buf_peek(b);
		size_t n = mux_stream_write(s, v.p, v.n);

		if (n == 0)
			return false;
		bb_buf_consume(b, n);
	}
	return true;
}

void frames_discard(struct mux_stream *s)
{
	for (;;) {
		struct bb_view v = mux_stream_peek(s);

		if (v.n == 0)
			return;
		mux_stream_consume(s, v.n);
	}
}
