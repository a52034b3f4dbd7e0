/* policy/meter.c: in no 60 minutes more than the rate. */
#include "../unit.h"

#include "base/cleanup.h"
#include "policy/meter.h"

#define MINUTE 60000ull

static void requests_are_counted_over_an_hour(void **state)
{
	const struct policy_rate rate = { .requests = 3 };
	struct policy_meter m = { 0 };
	uint64_t start = 1234567 * MINUTE;

	(void)state;
	assert_true(policy_meter_take(&m, &rate, start, 1000));
	assert_true(policy_meter_take(&m, &rate, start + 30 * MINUTE, 0));
	assert_true(policy_meter_take(&m, &rate, start + 30 * MINUTE, 0));
	for (uint64_t t = start + 30 * MINUTE; t < start + 60 * MINUTE; t += MINUTE / 2)
		assert_false(policy_meter_take(&m, &rate, t, 0)); /* refused ones do not count */
	assert_int_equal(policy_meter_wait(&m, start + 59 * MINUTE), 120);
	assert_true(policy_meter_take(&m, &rate, start + 61 * MINUTE, 0));
	assert_false(policy_meter_take(&m, &rate, start + 61 * MINUTE, 0));
	assert_true(policy_meter_take(&m, &rate, start + 91 * MINUTE, 0));
	assert_true(policy_meter_take(&m, &rate, start + 1000000 * MINUTE, 0));
}

static void bytes_are_counted_as_they_come(void **state)
{
	const struct policy_rate rate = { .bytes_out = 1000 };
	struct policy_meter m = { 0 };

	(void)state;
	assert_false(policy_meter_take(&m, &rate, 0, 1001));
	assert_false(policy_meter_take(&m, &rate, 0, UINT64_MAX)); /* no overflow */
	assert_true(policy_meter_take(&m, &rate, 0, 600));
	assert_true(policy_meter_add(&m, &rate, 0, 400));
	assert_false(policy_meter_add(&m, &rate, 0, 1));
	assert_true(policy_meter_take(&m, &rate, 0, 0));
	assert_false(policy_meter_add(&m, &rate, 60 * MINUTE, 1));
	assert_true(policy_meter_add(&m, &rate, 61 * MINUTE, 1000));
}

/* Against every request's time, kept in a list. */
static void no_hour_holds_more_than_the_rate(void **state)
{
	const struct policy_rate rate = { .requests = 20 };
	struct policy_meter m = { 0 };
	static uint64_t taken[20000];
	size_t count = 0, first = 0;
	uint64_t now = 77 * MINUTE;
	unsigned seed = 4711;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		seed = seed * 1103515245 + 12345;
		now += (seed >> 16) % 200000;
		if (!policy_meter_take(&m, &rate, now, 0))
			continue;
		taken[count++] = now;
		while (taken[first] + 60 * MINUTE <= now)
			first++;
		assert_true(count - first <= 20);
	}
	assert_true(count > 1000); /* and what the rate allows passes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_counted_over_an_hour),
		cmocka_unit_test(bytes_are_counted_as_they_come),
		cmocka_unit_test(no_hour_holds_more_than_the_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
