/* Names behind synthetic addresses. */
#include "../unit.h"

#include <sys/socket.h>

#include "base/limit.h"
#include "guest/names.h"

static void names_keep_their_number(void **state)
{
	struct names *t = names_new();
	uint32_t a = names_assign(t, "a.example"), b = names_assign(t, "b.example");

	(void)state;
	assert_int_not_equal(a, b);
	assert_int_equal(names_assign(t, "a.example"), a);
	assert_string_equal(names_find(t, b), "b.example");
	assert_null(names_find(t, b + 1));
	assert_null(names_find(t, 0));
	names_free(t);
}

static void names_forget_the_one_longest_unused(void **state)
{
	struct names *t = names_new();
	uint32_t first = names_assign(t, "first"), second = names_assign(t, "second");
	char name[32];

	(void)state;
	for (int i = 0; i < LIMIT_GUEST_NAMES - 2; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		names_assign(t, name);
	}
	assert_non_null(names_find(t, first)); /* used: now "second" is the oldest */
	names_assign(t, "one more");
	assert_string_equal(names_find(t, first), "first");
	assert_null(names_find(t, second));
	names_free(t);
}

/* A number comes back as late as the range allows, and never while a name has it. */
static void names_use_the_whole_range_before_a_number_returns(void **state)
{
	struct names *t = names_new();
	uint32_t kept = names_assign(t, "kept"), next;
	char name[32];

	(void)state;
	assert_int_equal(kept, 1);
	for (uint32_t i = 2; i < NAMES_NUMBERS; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(names_assign(t, name), i);
		if (i % 1000 == 0)
			assert_string_equal(names_find(t, kept), "kept");
	}
	next = names_assign(t, "around");
	assert_int_equal(next, 2); /* 1 is in use */
	assert_string_equal(names_find(t, kept), "kept");
	names_free(t);
}

static void names_and_addresses_are_each_others_inverse(void **state)
{
	static const uint32_t numbers[] = { 1, 255, 256, 65536, NAMES_NUMBERS - 1 };
	static const uint8_t foreign4[][4] = {
		{ 198, 18, 0, 0 }, { 198, 17, 255, 255 }, { 198, 20, 0, 0 }, { 127, 0, 0, 1 }
	};
	static const uint8_t foreign6[][16] = { { 0 }, { 0xfd, 0, 0xb, 0xb, [8] = 1, [15] = 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint8_t address[16];

		names_address(numbers[i], AF_INET, address);
		assert_int_equal(names_number(AF_INET, address), numbers[i]);
		names_address(numbers[i], AF_INET6, address);
		assert_int_equal(names_number(AF_INET6, address), numbers[i]);
	}
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(names_number(AF_INET, foreign4[i]), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(names_number(AF_INET6, foreign6[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_keep_their_number),
		cmocka_unit_test(names_forget_the_one_longest_unused),
		cmocka_unit_test(names_use_the_whole_range_before_a_number_returns),
		cmocka_unit_test(names_and_addresses_are_each_others_inverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
