/* base/num.h: what counts as a number. */
#include "../unit.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/num.h"

static void parse_u64_takes_plain_decimals_only(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int r;
		uint64_t value;
	} cases[] = {
		{ "0", 10, 0, 0 },
		{ "10", 10, 0, 10 },
		{ "11", 10, -ERANGE, 0 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
		{ "", 10, -EINVAL, 0 },
		{ "01", 10, -EINVAL, 0 },
		{ "+1", 10, -EINVAL, 0 },
		{ "-1", 10, -EINVAL, 0 },
		{ " 1", 10, -EINVAL, 0 },
		{ "1 ", 10, -EINVAL, 0 },
		{ "0x1", 10, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		uint64_t value = 0;

		assert_int_equal(bb_num_parse_u64(bb_view_str(cases[i].text), cases[i].max, &value),
				 cases[i].r);
		assert_true(value == cases[i].value);
	}
}

static void parse_size_knows_units_and_overflow(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t value;
	} cases[] = {
		{ "512", 0, 512 },
		{ "1K", 0, 1024 },
		{ "2m", 0, 2u << 20 },
		{ "3G", 0, 3ull << 30 },
		{ "G", -EINVAL, 0 },
		{ "1T", -EINVAL, 0 },
		{ "17179869184G", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		uint64_t value = 0;

		assert_int_equal(bb_num_parse_size(bb_view_str(cases[i].text), UINT64_MAX, &value),
				 cases[i].r);
		assert_true(value == cases[i].value);
	}
}

static void big_endian_stores_load_again(void **state)
{
	uint8_t raw[8];

	(void)state;
	bb_put_be64(raw, 0x0102030405060708ull);
	assert_int_equal(raw[0], 1);
	assert_int_equal(raw[7], 8);
	assert_true(bb_be64(raw) == 0x0102030405060708ull);
	assert_int_equal(bb_be32(raw), 0x01020304);
	assert_int_equal(bb_be16(raw), 0x0102);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_u64_takes_plain_decimals_only),
		cmocka_unit_test(parse_size_knows_units_and_overflow),
		cmocka_unit_test(big_endian_stores_load_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
