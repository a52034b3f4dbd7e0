/* base/buf.h: a randomised model test against a plain array, and the cap. */
#include "../unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

static void buf_behaves_like_a_plain_array(void **state)
{
	unsigned seed = (unsigned)getpid();
	static uint8_t model[8192];
	size_t model_len = 0;
	struct bb_buf b;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	bb_buf_init(&b, 4096);
	for (int step = 0; step < 20000; step++) {
		size_t n = (size_t)random() % 700;
		uint8_t chunk[700];

		if (random() % 2 == 0) {
			int r;

			for (size_t i = 0; i < n; i++)
				chunk[i] = (uint8_t)random();
			r = bb_buf_append(&b, chunk, n);
			assert_int_equal(r, n > 4096 - model_len ? -EMSGSIZE : 0);
			if (r == 0) {
				memcpy(model + model_len, chunk, n);
				model_len += n;
			}
		} else {
			if (n > model_len)
				n = model_len;
			bb_buf_consume(&b, n);
			memmove(model, model + n, model_len - n);
			model_len -= n;
		}
		assert_int_equal(bb_buf_size(&b), model_len);
		assert_int_equal(bb_buf_room(&b), 4096 - model_len);
		assert_true(bb_view_eq(bb_buf_peek(&b), bb_view_of(model, model_len)));
	}
	bb_buf_done(&b);
}

static void buf_append_leaves_content_when_cap_is_passed(void **state)
{
	struct bb_buf b;

	(void)state;
	bb_buf_init(&b, 4);
	assert_int_equal(bb_buf_append(&b, "abc", 3), 0);
	assert_int_equal(bb_buf_append(&b, "de", 2), -EMSGSIZE);
	assert_true(bb_view_eq_str(bb_buf_peek(&b), "abc"));
	assert_int_equal(bb_buf_append(&b, "d", 1), 0);
	assert_null(bb_buf_reserve(&b, 1));
	bb_buf_done(&b);
}

static void buf_printf_counts_without_the_nul(void **state)
{
	struct bb_buf b;
	char *s;

	(void)state;
	bb_buf_init(&b, 16);
	assert_int_equal(bb_buf_printf(&b, "%d-%s", 7, "x"), 0);
	assert_int_equal(bb_buf_size(&b), 3);
	s = bb_buf_dup_str(&b);
	assert_string_equal(s, "7-x");
	free(s);
	assert_int_equal(bb_buf_printf(&b, "%s", "0123456789abcdef"), -EMSGSIZE);
	bb_buf_wipe(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_behaves_like_a_plain_array),
		cmocka_unit_test(buf_append_leaves_content_when_cap_is_passed),
		cmocka_unit_test(buf_printf_counts_without_the_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
