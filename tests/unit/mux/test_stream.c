/* What an owner is promised: to be called when there is room again, and bytes put in place. */
#include "../unit.h"

#include <string.h>

#include "base/limit.h"
#include "mux/codec.h"
#include "mux/mux.h"

static int writable_calls;

static int on_open(void *arg, struct mux_stream *s)
{
	(void)arg;
	(void)s;
	return 0;
}

static void on_readable(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)s;
	(void)owner;
}

static void on_writable(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)owner;
	writable_calls++;
	assert_true(mux_stream_writable(s) > 0);
}

static void on_output(void *arg)
{
	(void)arg;
}

static const struct mux_handlers handlers = { on_open, on_readable, on_writable, on_readable,
					      on_output };

static struct mux *host_with_stream(struct mux_stream **ret)
{
	const struct mux_config config = { .side = MUX_HOST, .window = 65536 };
	struct mux *m = mux_new(&config, &handlers, NULL);

	assert_non_null(m);
	assert_int_equal(mux_open(m, NULL, ret), 0);
	writable_calls = 0;
	return m;
}

static void give_credit(struct mux *m, uint32_t id, uint32_t n)
{
	const struct mux_header h = { MUX_WINDOW, 0, id, n };
	uint8_t raw[MUX_HEADER];

	mux_codec_put(raw, &h);
	assert_int_equal(mux_input(m, raw, sizeof(raw), NULL), 0);
}

/* The owner that never writes more than fits is told as well as the one whose write was cut. */
static void credit_that_was_used_up_exactly_calls_the_owner(void **state)
{
	static const uint8_t bytes[65536];
	struct mux_stream *s;
	struct mux *m = host_with_stream(&s);

	(void)state;
	assert_int_equal(mux_stream_write(s, bytes, mux_stream_writable(s)), sizeof(bytes));
	assert_int_equal(mux_stream_writable(s), 0);
	mux_output_consume(m, mux_output(m).n);
	assert_int_equal(writable_calls, 0); /* room, but no credit */
	give_credit(m, mux_stream_id(s), 1000);
	assert_int_equal(writable_calls, 1);
	give_credit(m, mux_stream_id(s), 1000);
	assert_int_equal(writable_calls, 1); /* it was not 0 any more */
	mux_free(m);
}

static void a_full_output_calls_the_owner_when_it_drains(void **state)
{
	static const uint8_t bytes[65536];
	struct mux_stream *s;
	struct mux *m = host_with_stream(&s);

	(void)state;
	give_credit(m, mux_stream_id(s), 8u << 20);
	while (mux_stream_writable(s) > 0)
		(void)mux_stream_write(s, bytes, sizeof(bytes));
	writable_calls = 0;
	mux_output_consume(m, mux_output(m).n);
	assert_int_equal(writable_calls, 1);
	mux_free(m);
}

static void a_finished_stream_is_never_writable(void **state)
{
	static const uint8_t bytes[65536];
	struct mux_stream *s;
	struct mux *m = host_with_stream(&s);

	(void)state;
	give_credit(m, mux_stream_id(s), 8u << 20);
	while (mux_stream_writable(s) > 0)
		(void)mux_stream_write(s, bytes, sizeof(bytes));
	mux_stream_finish(s);
	writable_calls = 0;
	mux_output_consume(m, mux_output(m).n);
	give_credit(m, mux_stream_id(s), 1000);
	assert_int_equal(writable_calls, 0);
	mux_free(m);
}

static void bytes_put_in_place_are_one_frame(void **state)
{
	struct mux_header h;
	struct mux_stream *s;
	struct mux *m = host_with_stream(&s);
	size_t room = 0;
	uint8_t *dst;

	(void)state;
	mux_output_consume(m, mux_output(m).n);
	dst = mux_stream_reserve(s, &room);
	assert_non_null(dst);
	assert_in_range(room, 5, LIMIT_MUX_FRAME);
	memcpy(dst, "hello", 5);
	mux_stream_commit(s, 5);
	assert_int_equal(mux_output(m).n, MUX_HEADER + 5);
	assert_int_equal(mux_codec_get(mux_output(m).p, &h, NULL), 0);
	assert_true(h.type == MUX_DATA && h.length == 5 && h.id == mux_stream_id(s));
	assert_memory_equal(mux_output(m).p + MUX_HEADER, "hello", 5);
	mux_stream_commit(s, 0); /* nothing came: nothing is sent */
	assert_int_equal(mux_output(m).n, MUX_HEADER + 5);
	mux_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credit_that_was_used_up_exactly_calls_the_owner),
		cmocka_unit_test(a_full_output_calls_the_owner_when_it_drains),
		cmocka_unit_test(a_finished_stream_is_never_writable),
		cmocka_unit_test(bytes_put_in_place_are_one_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
