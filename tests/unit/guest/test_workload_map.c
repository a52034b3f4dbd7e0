/* Which ids a user namespace knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "unit/unit.h"

#include "base/cleanup.h"
#include "guest/workload.h"

static void map_knows_the_ids_of_its_ranges(void **state)
{
	static const struct {
		const char *map;
		unsigned long id;
		bool has;
	} cases[] = {
		{ "         0          0 4294967295\n", 1000, true },
		{ "0 1000 1\n", 1000, false },
		{ "0 1000 1\n", 0, true },
		{ "0 1000 1\n1 100000 65535\n", 1000, true },
		{ "0 1000 1\n1 100000 999\n", 1000, false },
		{ "0 1000 1\n1 100000 1000\n", 1000, true },
		{ "0 1000 1\n1001 100000 65535\n", 1000, false },
		{ "1000 1000 1\n", 1000, true },
		{ "", 1000, false },
		{ "\n", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++)
		if (workload_map_has(cases[i].map, cases[i].id) != cases[i].has)
			fail_msg("case %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_knows_the_ids_of_its_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
