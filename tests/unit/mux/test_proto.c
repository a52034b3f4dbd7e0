/* mux/proto.h: openings and frames, whole, cut off and broken. */
#include "../unit.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "mux/proto.h"

static void open_and_frame_come_back(void **state)
{
	struct proto_frame frame;
	struct proto_open open;
	struct bb_err err = { 0 };
	struct bb_view v;
	struct bb_buf b;

	(void)state;
	bb_buf_init(&b, 4096);
	assert_int_equal(proto_put_open(&b, PROTO_EXEC, bb_view_str("fields")), 0);
	assert_int_equal(proto_put_frame(&b, EXEC_STDIN, "abc", 3), 0);
	v = bb_buf_peek(&b);
	for (size_t n = 0; n < PROTO_OPEN_HEAD + 6; n++)
		assert_int_equal(proto_get_open(bb_view_of(v.p, n), &open, &err), 0);
	assert_int_equal(proto_get_open(v, &open, &err), PROTO_OPEN_HEAD + 6);
	assert_int_equal(open.service, PROTO_EXEC);
	assert_true(bb_view_eq_str(open.fields, "fields"));
	v = bb_view_from(v, PROTO_OPEN_HEAD + 6);
	for (size_t n = 0; n < PROTO_FRAME_HEAD + 3; n++)
		assert_int_equal(proto_get_frame(bb_view_of(v.p, n), &frame, &err), 0);
	assert_int_equal(proto_get_frame(v, &frame, &err), PROTO_FRAME_HEAD + 3);
	assert_int_equal(frame.type, EXEC_STDIN);
	assert_true(bb_view_eq_str(frame.body, "abc"));
	bb_buf_done(&b);
}

static void broken_openings_are_refused(void **state)
{
	static const struct {
		uint8_t raw[PROTO_OPEN_HEAD];
		int r;
	} cases[] = {
		{ { 0xB0, 0x78, 1, 1, 0, 0, 0, 0 }, -EPROTO },
		{ { 0xB0, 0x77, 2, 1, 0, 0, 0, 0 }, -EPROTO },
		{ { 0xB0, 0x77, 1, 9, 0, 0, 0, 0 }, -EPROTO },
		{ { 0xB0, 0x77, 1, 1, 0, 0, 0x10, 1 }, -EMSGSIZE },
		{ { 0xB0, 0x77, 1, 1, 0xff, 0xff, 0xff, 0xff }, -EMSGSIZE },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct proto_open open;
		struct bb_err err = { 0 };
		int r = proto_get_open(bb_view_of(cases[i].raw, PROTO_OPEN_HEAD), &open, &err);

		assert_error(r, cases[i].r, err);
	}
}

static void broken_frames_are_refused(void **state)
{
	static const struct {
		uint8_t raw[PROTO_FRAME_HEAD];
		int r;
	} cases[] = {
		{ { 1, 1, 0, 0, 0, 0, 0, 0 }, -EPROTO },
		{ { 1, 0, 0, 1, 0, 0, 0, 0 }, -EPROTO },
		{ { 1, 0, 0, 0, 0, 1, 0, 1 }, -EMSGSIZE },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct proto_frame frame;
		struct bb_err err = { 0 };
		int r = proto_get_frame(bb_view_of(cases[i].raw, PROTO_FRAME_HEAD), &frame, &err);

		assert_error(r, cases[i].r, err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_and_frame_come_back),
		cmocka_unit_test(broken_openings_are_refused),
		cmocka_unit_test(broken_frames_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
