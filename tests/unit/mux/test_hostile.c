/*
 * A hostile peer: every broken or greedy input ends the session with a sentence, in bounded memory,
 * and what is merely late (frames that cross with a reset) does not.
 */
#include "../unit.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/num.h"
#include "mux/codec.h"

static struct mux_stream *opened;
static int resets;

static int on_open(void *arg, struct mux_stream *s)
{
	(void)arg;
	opened = s;
	return 0;
}

static void on_event(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)s;
	(void)owner;
}

static void on_reset(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)owner;
	resets++;
	mux_stream_release(s);
}

static void on_output(void *arg)
{
	(void)arg;
}

static const struct mux_handlers handlers = { on_open, on_event, on_event, on_reset, on_output };

static struct mux *host(void)
{
	const struct mux_config config = { .side = MUX_HOST };
	struct mux *m = mux_new(&config, &handlers, NULL);

	assert_non_null(m);
	return m;
}

static int feed(struct mux *m, enum mux_type type, uint16_t flags, uint32_t id, uint32_t length,
		struct bb_err *err)
{
	const struct mux_header h = { type, flags, id, length };
	uint8_t raw[MUX_HEADER];

	mux_codec_put(raw, &h);
	return mux_input(m, raw, sizeof(raw), err);
}

static void drain(struct mux *m)
{
	mux_output_consume(m, mux_output(m).n);
}

static void broken_headers_end_the_session(void **state)
{
	static const uint8_t cases[][MUX_HEADER] = {
		{ 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0 },             /* version 1 */
		{ 0, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0 },             /* type 4 */
		{ 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0 },            /* unknown flag */
		{ 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 },             /* data on stream 0 */
		{ 0, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0 },             /* ping on a stream */
		{ 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff }, /* giant length */
		{ 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0 },             /* opens one of our ids */
		{ 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4 }, /* data for a stream never opened */
		{ 0, 1, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0 }, /* reset of a stream never opened */
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct mux *m = host();
		struct bb_err err = { 0 };
		int r = mux_input(m, cases[i], MUX_HEADER, &err);

		assert_error(r, -EPROTO, err);
		assert_int_equal(feed(m, MUX_PING, MUX_SYN, 0, 1, &err),
				 -EPROTO); /* dead for good */
		mux_free(m);
	}
}

static void credit_overrun_ends_the_session(void **state)
{
	static uint8_t chunk[LIMIT_MUX_FRAME];
	struct mux *m = host();
	struct bb_err err = { 0 };
	int r = 0;

	(void)state;
	assert_int_equal(feed(m, MUX_WINDOW, MUX_SYN, 1, 0, &err), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(feed(m, MUX_DATA, 0, 1, sizeof(chunk), &err), 0);
		assert_int_equal(mux_input(m, chunk, sizeof(chunk), &err), 0);
	}
	r = feed(m, MUX_DATA, 0, 1, 1, &err);
	assert_error(r, -EPROTO, err);
	mux_free(m);
}

static void credit_overflow_and_double_end_are_refused(void **state)
{
	struct mux *m = host();
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(feed(m, MUX_WINDOW, MUX_SYN, 1, 0, &err), 0);
	assert_error(feed(m, MUX_WINDOW, 0, 1, UINT32_MAX, &err), -EPROTO, err);
	mux_free(m);
	m = host();
	assert_int_equal(feed(m, MUX_WINDOW, MUX_SYN, 1, 0, &err), 0);
	assert_int_equal(feed(m, MUX_DATA, MUX_FIN, 1, 0, &err), 0);
	assert_error(feed(m, MUX_DATA, MUX_FIN, 1, 0, &err), -EPROTO, err);
	mux_free(m);
}

static void a_million_opens_end_in_bounded_memory(void **state)
{
	struct mux *m = host();
	struct bb_err err = { 0 };
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	int r = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000000 && r == 0; i++) {
		r = feed(m, MUX_WINDOW, MUX_SYN, 2 * i + 1, 0, &err);
		drain(m);
		assert_true(mux_open_streams(m) <= LIMIT_MUX_STREAMS);
	}
	assert_error(r, -EPROTO, err);
	assert_true(mallinfo2().uordblks + mallinfo2().hblkhd - before < 2u << 20);
	mux_free(m);
}

static void answers_nobody_takes_end_in_bounded_memory(void **state)
{
	struct mux *m = host();
	struct bb_err err = { 0 };
	int r = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000000 && r == 0; i++)
		r = feed(m, MUX_PING, MUX_SYN, 0, i, &err);
	assert_error(r, -ENOBUFS, err);
	assert_true(mux_output(m).n < 4u << 20);
	mux_free(m);
}

static void late_frames_are_dropped_but_not_for_ever(void **state)
{
	static uint8_t chunk[LIMIT_MUX_FRAME];
	struct mux *m = host();
	struct bb_err err = { 0 };
	int frames = 0, r = 0;

	(void)state;
	assert_int_equal(feed(m, MUX_WINDOW, MUX_SYN, 1, 0, &err), 0);
	mux_stream_release(opened);
	while (r == 0 && frames < 1000) {
		r = feed(m, MUX_DATA, 0, 1, sizeof(chunk), &err);
		if (r == 0)
			r = mux_input(m, chunk, sizeof(chunk), &err);
		frames++;
	}
	assert_error(r, -EPROTO, err);
	assert_in_range(frames, 4, 10); /* the whole window that was on its way, not more */
	mux_free(m);
}

static void one_stream_gives_way_when_the_session_holds_too_much(void **state)
{
	const struct mux_config config = { .side = MUX_HOST, .max_buffered = 100000 };
	static uint8_t chunk[60000];
	struct mux *m = mux_new(&config, &handlers, NULL);
	struct bb_err err = { 0 };

	(void)state;
	resets = 0;
	for (uint32_t id = 1; id <= 3; id += 2) {
		assert_int_equal(feed(m, MUX_WINDOW, MUX_SYN, id, 0, &err), 0);
		assert_int_equal(feed(m, MUX_DATA, 0, id, sizeof(chunk), &err), 0);
		assert_int_equal(mux_input(m, chunk, sizeof(chunk), &err), 0);
	}
	assert_int_equal(resets, 1);
	assert_int_equal(mux_open_streams(m), 1);
	mux_free(m);
}

/* One byte left in each of many buffers that were once large. */
static void nearly_empty_buffers_stay_within_bounds(void **state)
{
	static uint8_t chunk[LIMIT_MUX_FRAME];
	struct mux *m = host();
	struct bb_err err = { 0 };
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;

	(void)state;
	resets = 0;
	for (uint32_t i = 0; i < LIMIT_MUX_STREAMS; i++) {
		struct mux_stream *s;

		assert_int_equal(feed(m, MUX_WINDOW, MUX_SYN, 2 * i + 1, 0, &err), 0);
		s = opened;
		for (int k = 0; k < 4; k++) {
			int before_resets = resets;

			assert_int_equal(feed(m, MUX_DATA, 0, 2 * i + 1, sizeof(chunk), &err), 0);
			assert_int_equal(mux_input(m, chunk, sizeof(chunk), &err), 0);
			if (resets != before_resets)
				break;
			if (k == 3)
				mux_stream_consume(s, mux_stream_peek(s).n - 1);
		}
		drain(m);
	}
	assert_true(resets > 0);
	assert_true(mallinfo2().uordblks + mallinfo2().hblkhd - before < 5u * LIMIT_MUX_BUFFERED);
	mux_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_headers_end_the_session),
		cmocka_unit_test(credit_overrun_ends_the_session),
		cmocka_unit_test(credit_overflow_and_double_end_are_refused),
		cmocka_unit_test(a_million_opens_end_in_bounded_memory),
		cmocka_unit_test(answers_nobody_takes_end_in_bounded_memory),
		cmocka_unit_test(late_frames_are_dropped_but_not_for_ever),
		cmocka_unit_test(one_stream_gives_way_when_the_session_holds_too_much),
		cmocka_unit_test(nearly_empty_buffers_stay_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
