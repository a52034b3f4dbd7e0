/*
 * The stream's promise: whatever the interleaving of opens, writes, reads, half-closes and resets,
 * and however the bytes are cut on their way, each stream's bytes arrive once, in order and
 * complete, and nobody passes its credit. Two ends are joined by byte pipes that deliver random
 * pieces.
 */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "mux/mux.h"

#define STREAMS_MAX 24
#define ROUNDS      400

/* One direction of a stream: byte i of the flow is a function of its id and i. */
struct flow {
	uint64_t written, read, to_write;
	bool is_finished, has_seen_end;
};

struct pair {
	uint32_t id;
	struct mux_stream *end[2];
	struct flow flow[2]; /* [i]: what end i sends */
	bool was_reset;
};

struct world {
	struct mux *mux[2];
	struct bb_buf wire[2]; /* [i]: bytes that end i has sent */
	struct pair pairs[STREAMS_MAX];
	unsigned seed;
};

struct side {
	struct world *w;
	int i;
};

static uint8_t flow_byte(uint32_t id, int from, uint64_t i)
{
	return (uint8_t)(i * 131u + id * 7u + (unsigned)from * 53u + (i >> 8));
}

static struct pair *pair_of(struct world *w, uint32_t id)
{
	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (w->pairs[i].id == id)
			return &w->pairs[i];
	return NULL;
}

static int on_open(void *arg, struct mux_stream *s)
{
	struct side *side = arg;
	struct pair *p = pair_of(side->w, mux_stream_id(s));

	if (p == NULL)
		return -1; /* its opener dropped it before this arrived */
	p->end[side->i] = s;
	mux_stream_set_owner(s, p);
	return 0;
}

static void on_event(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)s;
	assert_non_null(owner);
}

static void on_reset(void *arg, struct mux_stream *s, void *owner)
{
	struct side *side = arg;
	struct pair *p = owner;

	assert_true(p->was_reset); /* only what somebody reset is reset */
	mux_stream_release(s);
	p->end[side->i] = NULL;
}

static void on_output(void *arg)
{
	(void)arg;
}

static const struct mux_handlers handlers = { on_open, on_event, on_event, on_reset, on_output };

static void check_read(struct pair *p, int i, size_t most)
{
	struct flow *f = &p->flow[!i];
	struct bb_view v = mux_stream_peek(p->end[i]);

	if (v.n > most)
		v.n = most;
	for (size_t k = 0; k < v.n; k++)
		if (v.p[k] != flow_byte(p->id, !i, f->read + k))
			fail_msg("stream %u: byte %llu is wrong", p->id,
				 (unsigned long long)(f->read + k));
	f->read += v.n;
	mux_stream_consume(p->end[i], v.n);
	if (mux_stream_at_eof(p->end[i])) {
		assert_true(f->is_finished);
		assert_true(f->read == f->written);
		f->has_seen_end = true;
	}
}

static void write_some(struct pair *p, int i, size_t most)
{
	static uint8_t chunk[100000];
	struct flow *f = &p->flow[i];
	size_t n = f->to_write - f->written < most ? (size_t)(f->to_write - f->written) : most;

	if (f->is_finished)
		return;
	for (size_t k = 0; k < n; k++)
		chunk[k] = flow_byte(p->id, i, f->written + k);
	f->written += mux_stream_write(p->end[i], chunk, n);
	if (f->written == f->to_write && random() % 2 == 0) {
		mux_stream_finish(p->end[i]);
		f->is_finished = true;
	}
}

static void deliver(struct world *w, int i, size_t most)
{
	struct bb_err err = { 0 };
	struct bb_view v = mux_output(w->mux[i]);

	if (v.n > most)
		v.n = most;
	if (v.n == 0)
		return;
	assert_int_equal(bb_buf_append_view(&w->wire[i], v), 0);
	mux_output_consume(w->mux[i], v.n);
	v = bb_buf_peek(&w->wire[i]);
	if (v.n > most)
		v.n = 1 + (size_t)random() % v.n;
	if (mux_input(w->mux[!i], v.p, v.n, &err) < 0)
		fail_msg("end %d: %s", !i, err.msg);
	bb_buf_consume(&w->wire[i], v.n);
}

static void open_one(struct world *w)
{
	for (size_t i = 0; i < STREAMS_MAX; i++) {
		struct pair *p = &w->pairs[i];
		int side = (int)(random() % 2);

		if (p->id != 0)
			continue;
		*p = (struct pair){ 0 };
		assert_int_equal(mux_open(w->mux[side], p, &p->end[side]), 0);
		p->id = mux_stream_id(p->end[side]);
		for (int k = 0; k < 2; k++)
			p->flow[k].to_write = random() % 20 == 0 ? (uint64_t)random() % 2000000
								 : (uint64_t)random() % 3000;
		return;
	}
}

static void drop(struct pair *p, int i)
{
	p->was_reset = true;
	mux_stream_release(p->end[i]);
	p->end[i] = NULL;
}

static bool is_done(const struct pair *p)
{
	return p->flow[0].has_seen_end && p->flow[1].has_seen_end;
}

static void step(struct world *w, struct pair *p)
{
	int i = (int)(random() % 2);

	if (p->end[i] == NULL) {
		if (p->end[!i] == NULL && p->was_reset)
			p->id = 0;
		return;
	}
	switch (random() % 40) {
	case 0:
		if (random() % 10 == 0)
			drop(p, i);
		break;
	default:
		if (random() % 2 == 0)
			write_some(p, i, (size_t)random() % 100000);
		else
			check_read(p, i, (size_t)random() % 100000);
	}
	if (is_done(p) && p->end[0] != NULL && p->end[1] != NULL) {
		mux_stream_release(p->end[0]);
		mux_stream_release(p->end[1]);
		p->id = 0;
	}
	(void)w;
}

static void run_world(unsigned seed)
{
	struct world w = { .seed = seed };
	struct side sides[2] = { { &w, 0 }, { &w, 1 } };

	srandom(seed);
	for (int i = 0; i < 2; i++) {
		const struct mux_config config = { .side = i == 0 ? MUX_GUEST : MUX_HOST };

		w.mux[i] = mux_new(&config, &handlers, &sides[i]);
		assert_non_null(w.mux[i]);
		bb_buf_init(&w.wire[i], 8u << 20);
	}
	for (int round = 0; round < ROUNDS; round++) {
		if (random() % 8 == 0)
			open_one(&w);
		for (size_t k = 0; k < STREAMS_MAX; k++)
			if (w.pairs[k].id != 0 && random() % 3 == 0)
				step(&w, &w.pairs[k]);
		deliver(&w, (int)(random() % 2),
			1 + (size_t)random() % (random() % 4 == 0 ? 20 : 70000));
	}
	/* Drain: with both ends reading and writing everything, all that was not reset completes.
	 */
	for (int round = 0; round < 100000; round++) {
		bool is_busy = false;

		for (size_t k = 0; k < STREAMS_MAX; k++) {
			struct pair *p = &w.pairs[k];

			if (p->id == 0 || p->was_reset || is_done(p))
				continue;
			is_busy = true;
			for (int i = 0; i < 2; i++) {
				if (p->end[i] == NULL)
					continue;
				write_some(p, i, 100000);
				check_read(p, i, SIZE_MAX);
			}
		}
		for (int i = 0; i < 2; i++)
			deliver(&w, i, SIZE_MAX);
		if (!is_busy)
			break;
	}
	for (size_t k = 0; k < STREAMS_MAX; k++)
		if (w.pairs[k].id != 0 && !w.pairs[k].was_reset)
			assert_true(is_done(&w.pairs[k]));
	for (int i = 0; i < 2; i++) {
		mux_free(w.mux[i]);
		bb_buf_done(&w.wire[i]);
	}
}

static void nothing_is_lost_or_reordered(void **state)
{
	const char *wanted = getenv("BB_SEED");
	unsigned seed = wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : (unsigned)getpid();

	(void)state;
	for (unsigned i = 0; i < (wanted != NULL ? 1 : 100); i++) {
		print_message("# seed %u (BB_SEED=%u repeats it)\n", seed + i, seed + i);
		run_world(seed + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_is_lost_or_reordered) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
