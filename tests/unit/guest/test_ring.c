/* The ring of a session's output, against a model: what a reader gets is what was appended. */
#include "../unit.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/limit.h"
#include "guest/ring.h"
#include "mux/proto.h"

static void ring_joins_small_writes_of_one_kind(void **state)
{
	struct ring r;
	struct proto_frame f;

	(void)state;
	ring_init(&r);
	for (int i = 0; i < 100; i++) {
		assert_true(ring_make_room(&r, 1, UINT64_MAX));
		assert_int_equal(ring_append(&r, EXEC_STDOUT, "x", 1, 0), 0);
	}
	assert_int_equal(r.head, PROTO_FRAME_HEAD + 100);
	assert_int_equal(ring_append(&r, EXEC_STDERR, "e", 1, 0), 0);
	assert_int_equal(r.head, 2 * PROTO_FRAME_HEAD + 101);
	assert_true(proto_get_frame(ring_peek(&r, 0), &f, NULL) > 0);
	assert_int_equal(f.body.n, 100);
	ring_done(&r);
}

static void ring_does_not_extend_a_frame_a_reader_has_begun(void **state)
{
	struct ring r;

	(void)state;
	ring_init(&r);
	assert_int_equal(ring_append(&r, EXEC_STDOUT, "ab", 2, 0), 0);
	assert_int_equal(ring_append(&r, EXEC_STDOUT, "cd", 2, PROTO_FRAME_HEAD + 1), 0);
	assert_int_equal(r.head, 2 * PROTO_FRAME_HEAD + 4);
	ring_done(&r);
}

static void ring_waits_for_its_slowest_reader(void **state)
{
	static uint8_t chunk[RING_CHUNK];
	struct ring r;
	uint64_t floor = 0;
	int n = 0;

	(void)state;
	ring_init(&r);
	while (ring_make_room(&r, sizeof(chunk), floor)) {
		assert_int_equal(ring_append(&r, EXEC_STDOUT, chunk, sizeof(chunk), r.head), 0);
		n++;
	}
	assert_int_equal(n, LIMIT_EXEC_RING / (RING_CHUNK + PROTO_FRAME_HEAD));
	assert_int_equal(r.tail, 0);
	floor = PROTO_FRAME_HEAD + RING_CHUNK - 1; /* one byte of the first frame is missing */
	assert_false(ring_make_room(&r, sizeof(chunk), floor));
	assert_true(ring_make_room(&r, sizeof(chunk), floor + 1));
	ring_done(&r);
}

/* Random appends with one reader at a random pace; the model is a plain buffer of what was put in.
 */
static void ring_gives_a_reader_every_byte_in_order(void **state)
{
	unsigned seed = 20261125;
	static uint8_t chunk[RING_CHUNK];
	struct bb_buf in, out, frames;
	struct ring r;
	uint64_t at = 0;

	(void)state;
	print_message("# seed %u\n", seed);
	ring_init(&r);
	bb_buf_init(&in, 1u << 28);
	bb_buf_init(&out, 1u << 28);
	bb_buf_init(&frames, 1u << 28);
	for (int i = 0; i < 3000; i++) {
		size_t n = (size_t)rand_r(&seed) % (rand_r(&seed) % 2 == 0 ? 20 : RING_CHUNK) + 1;
		size_t take = (size_t)rand_r(&seed) % 40000;
		struct bb_view v;

		for (size_t k = 0; k < n; k++)
			chunk[k] = (uint8_t)rand_r(&seed);
		if (ring_make_room(&r, n, at)) {
			assert_int_equal(ring_append(&r, EXEC_STDOUT, chunk, n, at), 0);
			bb_buf_append(&in, chunk, n);
		}
		v = ring_peek(&r, at);
		if (v.n > take)
			v.n = take;
		bb_buf_append_view(&frames, v);
		at += v.n;
	}
	for (struct bb_view v; (v = ring_peek(&r, at)).n > 0; at += v.n)
		bb_buf_append_view(&frames, v);
	while (bb_buf_size(&frames) > 0) {
		struct proto_frame f;
		int n = proto_get_frame(bb_buf_peek(&frames), &f, NULL);

		assert_true(n > 0);
		bb_buf_append_view(&out, f.body);
		bb_buf_consume(&frames, (size_t)n);
	}
	assert_int_equal(bb_buf_size(&in), bb_buf_size(&out));
	assert_memory_equal(bb_buf_peek(&in).p, bb_buf_peek(&out).p, bb_buf_size(&in));
	bb_buf_done(&in);
	bb_buf_done(&out);
	bb_buf_done(&frames);
	ring_done(&r);
}

/* With no reader the tail is a frame boundary and what is left is the newest. */
static void ring_without_readers_keeps_the_newest_whole_frames(void **state)
{
	struct ring r;
	struct bb_buf all;
	char line[32];
	size_t off = 0;
	int n = 0;

	(void)state;
	ring_init(&r);
	bb_buf_init(&all, LIMIT_EXEC_RING);
	for (int i = 0; i < 200000; i++) {
		n = snprintf(line, sizeof(line), "line %d\n", i);
		assert_true(ring_make_room(&r, RING_CHUNK, UINT64_MAX));
		assert_int_equal(
			ring_append(&r, i % 7 == 0 ? EXEC_STDERR : EXEC_STDOUT, line, (size_t)n, 0),
			0);
	}
	for (uint64_t at = r.tail; at < r.head;) {
		struct bb_view v = ring_peek(&r, at);

		bb_buf_append_view(&all, v);
		at += v.n;
	}
	while (off < bb_buf_size(&all)) {
		struct proto_frame f;
		int used = proto_get_frame(bb_view_from(bb_buf_peek(&all), off), &f, NULL);

		assert_true(used > 0);
		off += (size_t)used;
	}
	assert_memory_equal(bb_buf_peek(&all).p + off - (size_t)n, line, (size_t)n);
	bb_buf_done(&all);
	ring_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_joins_small_writes_of_one_kind),
		cmocka_unit_test(ring_does_not_extend_a_frame_a_reader_has_begun),
		cmocka_unit_test(ring_waits_for_its_slowest_reader),
		cmocka_unit_test(ring_gives_a_reader_every_byte_in_order),
		cmocka_unit_test(ring_without_readers_keeps_the_newest_whole_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
