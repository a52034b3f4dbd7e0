/* base/tlv.h: strict reading of typed fields. */
#include "../unit.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/tlv.h"

struct got {
	uint32_t number;
	uint64_t big;
	struct bb_view name, words[2];
	size_t word_count;
};

static int read_all(const struct bb_buf *b, struct got *ret, struct bb_err *err)
{
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &ret->number },
		{ .tag = 2, .type = BB_TLV_U64, .out = &ret->big },
		{ .tag = 3, .type = BB_TLV_STR, .max = 8, .out = &ret->name },
		{ .tag = 4,
		  .type = BB_TLV_BYTES,
		  .max = 8,
		  .out = ret->words,
		  .count = &ret->word_count,
		  .repeat_max = 2 },
	};

	return bb_tlv_read(bb_buf_peek(b), fields, BB_ARRAY_LEN(fields), err);
}

static void fields_come_back_in_any_order(void **state)
{
	struct got got = { 0 };
	struct bb_err err = { 0 };
	struct bb_buf b;

	(void)state;
	bb_buf_init(&b, 1024);
	assert_int_equal(bb_tlv_put_str(&b, 4, "one"), 0);
	assert_int_equal(bb_tlv_put_str(&b, 3, "name"), 0);
	assert_int_equal(bb_tlv_put_u32(&b, 1, 77), 0);
	assert_int_equal(bb_tlv_put(&b, 4, "t\0o", 3), 0);
	assert_int_equal(bb_tlv_put_u64(&b, 2, 1ull << 40), 0);
	assert_int_equal(read_all(&b, &got, &err), 0);
	assert_int_equal(got.number, 77);
	assert_true(got.big == 1ull << 40);
	assert_true(bb_view_eq_str(got.name, "name"));
	assert_int_equal(got.word_count, 2);
	assert_int_equal(got.words[1].n, 3);
	bb_buf_done(&b);
}

enum fault {
	MISSING,
	TWICE,
	UNKNOWN,
	SHORT_NUMBER,
	NUL_IN_STRING,
	TOO_LONG,
	TOO_MANY,
	CUT_OFF,
	NUM_FAULTS
};

static void write_fault(struct bb_buf *b, enum fault fault)
{
	if (fault != MISSING)
		(void)bb_tlv_put_u32(b, 1, 1);
	switch (fault) {
	case MISSING:
		break;
	case TWICE:
		(void)bb_tlv_put_u32(b, 1, 1);
		break;
	case UNKNOWN:
		(void)bb_tlv_put_u32(b, 9, 1);
		break;
	case SHORT_NUMBER:
		(void)bb_tlv_put(b, 2, "abc", 3);
		break;
	case NUL_IN_STRING:
		(void)bb_tlv_put(b, 3, "a\0b", 3);
		break;
	case TOO_LONG:
		(void)bb_tlv_put_str(b, 3, "123456789");
		break;
	case TOO_MANY:
		for (int i = 0; i < 3; i++)
			(void)bb_tlv_put_str(b, 4, "x");
		break;
	case CUT_OFF:
		(void)bb_tlv_put_str(b, 3, "abc");
		b->len--;
		break;
	case NUM_FAULTS:
		break;
	}
}

static void every_fault_is_refused_with_a_sentence(void **state)
{
	(void)state;
	for (int fault = 0; fault < NUM_FAULTS; fault++) {
		struct got got = { 0 };
		struct bb_err err = { 0 };
		struct bb_buf b;
		int r;

		bb_buf_init(&b, 1024);
		write_fault(&b, (enum fault)fault);
		r = read_all(&b, &got, &err);
		assert_error(r, -EPROTO, err);
		bb_buf_done(&b);
	}
}

static void put_leaves_the_buffer_whole_when_it_is_full(void **state)
{
	struct bb_buf b;

	(void)state;
	bb_buf_init(&b, 10);
	assert_int_equal(bb_tlv_put(&b, 1, "12345", 5), -EMSGSIZE);
	assert_int_equal(bb_buf_size(&b), 0);
	assert_int_equal(bb_tlv_put(&b, 1, "1234", 4), 0);
	bb_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_come_back_in_any_order),
		cmocka_unit_test(every_fault_is_refused_with_a_sentence),
		cmocka_unit_test(put_leaves_the_buffer_whole_when_it_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
