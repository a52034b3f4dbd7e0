/*
 * A hostile peer of the stream, and an owner that does whatever the input says, inside callbacks
 * too. Input: a byte for the side, then operations of a code and operands; raw bytes or well-formed
 * headers are fed. Oracle: limits hold after every step; a dead session stays dead; a callback
 * comes only for a stream that its owner has not released; our own output always parses, and as
 * long as the peer was fed well-formed frames only, never passes the credit that the peer gave.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "mux/codec.h"
#include "mux/mux.h"

#define STREAMS    8
#define WINDOW     4096
#define BUFFERED   24576
#define IDS        256
#define OUTPUT_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct slot {
	struct mux_stream *stream; /* NULL: free */
	uint32_t id;
	bool is_finished, is_dead;
};

struct world {
	struct mux *mux;
	struct slot slots[STREAMS + 4]; /* released ones may still be counted in a callback */
	uint64_t credit[IDS];           /* what the peer gave, less what we sent */
	bool has_raw;                   /* raw bytes were fed: the credit is not known any more */
	bool is_dead;
	struct bb_view in;
	uint8_t part[MUX_HEADER]; /* of a header of our output */
	size_t part_len, payload_left;
};

static uint8_t next(struct world *w)
{
	uint8_t c = w->in.n > 0 ? w->in.p[0] : 0;

	w->in = bb_view_from(w->in, 1);
	return c;
}

static struct slot *slot_new(struct world *w, struct mux_stream *s)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(w->slots); i++) {
		if (w->slots[i].stream != NULL)
			continue;
		w->slots[i] = (struct slot){ .stream = s };
		if (s != NULL)
			w->slots[i].id = mux_stream_id(s);
		return &w->slots[i];
	}
	return NULL;
}

static void slot_release(struct slot *p)
{
	struct mux_stream *s = p->stream;

	*p = (struct slot){ 0 };
	mux_stream_release(s);
}

static void slot_write(struct slot *p, size_t n)
{
	static const uint8_t bytes[8192];

	if (p->is_finished)
		return;
	if (n % 64 == 32) {
		size_t room = 0;
		uint8_t *dst = mux_stream_reserve(p->stream, &room);

		if (dst == NULL)
			return;
		n = n < room ? n : room;
		memset(dst, 'r', n);
		mux_stream_commit(p->stream, n);
		return;
	}
	assert(mux_stream_write(p->stream, bytes, n) <= n);
}

static int on_open(void *arg, struct mux_stream *s)
{
	struct world *w = arg;
	struct slot *p = mux_stream_id(s) % 7 == 0 ? NULL : slot_new(w, s);

	if (p == NULL)
		return -ENOMEM;
	mux_stream_set_owner(s, p);
	if (p->id % 11 == 5)
		slot_write(p, 100);
	return 0;
}

static void on_readable(void *arg, struct mux_stream *s, void *owner)
{
	struct slot *p = owner;

	(void)arg;
	assert(p->stream == s && !p->is_dead);
	switch (p->id % 8) {
	case 1:
	case 2:
		mux_stream_consume(s, mux_stream_peek(s).n);
		break;
	case 3:
		if (mux_stream_peek(s).n > 1000)
			slot_release(p);
		break;
	case 4:
		mux_stream_reset(s);
		p->is_dead = true;
		break;
	case 5:
		if (mux_stream_at_eof(s))
			slot_release(p);
		break;
	default:
		break;
	}
}

static void on_writable(void *arg, struct mux_stream *s, void *owner)
{
	struct slot *p = owner;

	(void)arg;
	assert(p->stream == s && !p->is_dead && mux_stream_writable(s) > 0);
	if (p->id % 3 == 0)
		slot_write(p, 5000);
	else if (p->id % 3 == 1)
		slot_release(p);
}

static void on_reset(void *arg, struct mux_stream *s, void *owner)
{
	struct slot *p = owner;

	(void)arg;
	assert(p->stream == s && !p->is_dead);
	p->is_dead = true;
	if (p->id % 2 == 0 || p->id % 3 == 0)
		slot_release(p);
}

static void on_output(void *arg)
{
	(void)arg;
}

static const struct mux_handlers handlers = { on_open, on_readable, on_writable, on_reset,
					      on_output };

static void feed(struct world *w, const void *p, size_t n)
{
	struct bb_err err = { 0 };
	int r = mux_input(w->mux, p, n, &err);

	assert(r <= 0 && (r == 0 || (err.code == r && err.msg[0] != '\0')));
	assert(!w->is_dead || r < 0);
	w->is_dead = r < 0;
}

static void feed_header(struct world *w)
{
	static const uint8_t zeros[LIMIT_MUX_FRAME];
	struct mux_header h = { .type = (enum mux_type)(next(w) % MUX_NUM_TYPES) };
	uint8_t raw[MUX_HEADER], size;

	h.flags = next(w) & MUX_FLAGS;
	h.id = h.type == MUX_DATA || h.type == MUX_WINDOW ? next(w) : 0;
	size = next(w);
	h.length = size < 224 ? size * 16u : 1u << (size - 224);
	if (h.type == MUX_WINDOW && h.id != 0)
		w->credit[h.id] += h.length;
	mux_codec_put(raw, &h);
	feed(w, raw, sizeof(raw));
	if (h.type == MUX_DATA && !w->is_dead)
		feed(w, zeros, h.length);
}

/* What we send must be frames, and data within the peer's credit. */
static void check_output(struct world *w, struct bb_view out)
{
	while (out.n > 0) {
		struct mux_header h;
		size_t take = w->payload_left;

		if (take > 0) {
			take = take < out.n ? take : out.n;
			w->payload_left -= take;
			out = bb_view_from(out, take);
			continue;
		}
		w->part[w->part_len++] = out.p[0];
		out = bb_view_from(out, 1);
		if (w->part_len < MUX_HEADER)
			continue;
		w->part_len = 0;
		assert(mux_codec_get(w->part, &h, NULL) == 0);
		if (h.type != MUX_DATA)
			continue;
		w->payload_left = h.length;
		if (w->has_raw || h.id >= IDS)
			continue;
		assert(h.length <= w->credit[h.id]);
		w->credit[h.id] -= h.length;
	}
}

static void drain(struct world *w, size_t most)
{
	struct bb_view out = mux_output(w->mux);

	if (out.n > most)
		out.n = most;
	check_output(w, out);
	mux_output_consume(w->mux, out.n);
}

static void open_one(struct world *w)
{
	struct slot *p = slot_new(w, NULL);

	if (p == NULL || mux_open(w->mux, p, &p->stream) < 0)
		return;
	p->id = mux_stream_id(p->stream);
}

static void use_stream(struct world *w, uint8_t op)
{
	struct slot *p = &w->slots[next(w) % BB_ARRAY_LEN(w->slots)];
	size_t n = next(w) * 32u;

	if (p->stream == NULL)
		return;
	switch (op) {
	case 0:
		slot_write(p, n);
		break;
	case 1:
		if (!p->is_dead) {
			size_t held = mux_stream_peek(p->stream).n;

			mux_stream_consume(p->stream, n < held ? n : held);
		}
		break;
	case 2:
		mux_stream_finish(p->stream);
		p->is_finished = true;
		break;
	case 3:
		mux_stream_reset(p->stream);
		p->is_dead = true;
		break;
	default:
		slot_release(p);
		break;
	}
}

static void check_limits(struct world *w)
{
	size_t held = 0;

	for (size_t i = 0; i < BB_ARRAY_LEN(w->slots); i++)
		if (w->slots[i].stream != NULL)
			held += mux_stream_peek(w->slots[i].stream).n;
	assert(held <= BUFFERED);
	assert(mux_open_streams(w->mux) <= STREAMS);
	assert(mux_output(w->mux).n <= OUTPUT_MAX);
}

static void step(struct world *w)
{
	uint8_t op = next(w) % 16;

	if (op < 6) {
		feed_header(w);
	} else if (op == 6) {
		size_t n = next(w);

		if (n > w->in.n)
			n = w->in.n;
		w->has_raw = true;
		feed(w, w->in.p, n);
		w->in = bb_view_from(w->in, n);
	} else if (op == 7) {
		open_one(w);
	} else if (op == 8) {
		drain(w, next(w) % 2 == 0 ? SIZE_MAX : 100);
	} else if (op == 9) {
		mux_go_away(w->mux);
	} else {
		use_stream(w, op - 10);
	}
	check_limits(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .in = bb_view_of(data, size) };
	const struct mux_config config = { .side = next(&w) % 2 == 0 ? MUX_HOST : MUX_GUEST,
					   .max_streams = STREAMS,
					   .window = WINDOW,
					   .window_max = 4 * WINDOW,
					   .max_buffered = BUFFERED };

	w.mux = mux_new(&config, &handlers, &w);
	if (w.mux == NULL)
		return 0;
	for (size_t i = 0; i < IDS; i++)
		w.credit[i] = WINDOW;
	while (w.in.n > 0)
		step(&w);
	drain(&w, SIZE_MAX);
	mux_free(w.mux);
	return 0;
}
