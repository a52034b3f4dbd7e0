/* image/cpio.c: archives that a kernel, and cpio itself, can read. */
#include "../unit.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "image/cpio.h"

static uint32_t field(struct bb_view v, size_t index)
{
	char digits[9] = { 0 };

	memcpy(digits, v.p + 6 + index * 8, 8);
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* Checks one entry at the front of v; gives what follows. */
static struct bb_view expect(struct bb_view v, const char *name, uint32_t mode, struct bb_view body)
{
	size_t head = 110 + strlen(name) + 1, at;

	assert_true(v.n >= head);
	assert_memory_equal(v.p, "070701", 6);
	assert_int_equal(field(v, 1), mode);
	assert_int_equal(field(v, 6), body.n);
	assert_int_equal(field(v, 11), strlen(name) + 1);
	assert_memory_equal(v.p + 110, name, strlen(name) + 1);
	at = (head + 3) / 4 * 4;
	assert_true(v.n >= at + body.n);
	if (body.n > 0)
		assert_memory_equal(v.p + at, body.p, body.n);
	return bb_view_from(v, at + (body.n + 3) / 4 * 4);
}

static void entries_are_padded_to_four_bytes(void **state)
{
	static const char *const names[] = { "a", "ab", "abc", "abcd", "abcde" };
	BB_AUTO_BUF struct bb_buf b = { .cap = 65536 };
	struct bb_view rest;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		for (size_t n = 0; n < 5; n++)
			assert_int_equal(
				cpio_put(&b, names[i], CPIO_FILE, bb_view_of("12345", n), 0), 0);
	assert_int_equal(cpio_end(&b), 0);
	rest = bb_buf_peek(&b);
	for (size_t i = 0; i < 5; i++)
		for (size_t n = 0; n < 5; n++)
			rest = expect(rest, names[i], CPIO_FILE, bb_view_of("12345", n));
	rest = expect(rest, "TRAILER!!!", 0, bb_view_of(NULL, 0));
	assert_int_equal(rest.n, 0);
}

static void devices_carry_their_numbers(void **state)
{
	BB_AUTO_BUF struct bb_buf b = { .cap = 4096 };

	(void)state;
	assert_int_equal(
		cpio_put(&b, "dev/console", CPIO_CHARACTER, bb_view_of(NULL, 0), 5u << 8 | 1u), 0);
	assert_int_equal(field(bb_buf_peek(&b), 9), 5);
	assert_int_equal(field(bb_buf_peek(&b), 10), 1);
}

static void names_that_would_break_the_archive_are_refused(void **state)
{
	static const char *const names[] = { "", "/init", "TRAILER!!!" };
	BB_AUTO_BUF struct bb_buf b = { .cap = 4096 };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(cpio_put(&b, names[i], CPIO_FILE, bb_view_of(NULL, 0), 0),
				 -EINVAL);
}

static void a_full_buffer_is_reported(void **state)
{
	BB_AUTO_BUF struct bb_buf b = { .cap = 130 };

	(void)state;
	assert_int_equal(cpio_put(&b, "init", CPIO_PROGRAM, bb_view_str("too long a body"), 0),
			 -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_padded_to_four_bytes),
		cmocka_unit_test(devices_carry_their_numbers),
		cmocka_unit_test(names_that_would_break_the_archive_are_refused),
		cmocka_unit_test(a_full_buffer_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
