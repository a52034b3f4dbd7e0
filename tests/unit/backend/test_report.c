/* The report of a preflight: all rows, in order, and the first failure as the error. */
#include "../unit.h"

#include <string.h>

#include "backend/report.h"
#include "base/cleanup.h"

static void check_well(void *arg, struct backend_check *c)
{
	report_found(c, BACKEND_CHECK_OK, "found %d", *(const int *)arg);
}

static void check_slow(void *arg, struct backend_check *c)
{
	(void)arg;
	report_found(c, BACKEND_CHECK_WARN, "slow");
	report_mend(c, "buy a faster one");
}

static void check_gone(void *arg, struct backend_check *c)
{
	(void)arg;
	report_found(c, BACKEND_CHECK_FAIL, "gone");
	report_mend(c, "run: %s", "apt");
}

static void check_broken(void *arg, struct backend_check *c)
{
	(void)arg;
	report_found(c, BACKEND_CHECK_FAIL, "broken");
}

static void report_holds_all_rows_and_names_the_first_failure(void **state)
{
	const struct report_row rows[] = {
		{ "a", check_well }, { "b", check_gone }, { "c", check_broken }, { "d", check_slow }
	};
	struct backend_report report;
	struct bb_err err = { 0 };
	int number = 7;

	(void)state;
	memset(&report, 0xff, sizeof(report)); /* nothing of it may remain */
	assert_int_equal(report_run(rows, BB_ARRAY_LEN(rows), &number, &report, &err),
			 BB_E_MISSING);
	assert_string_equal(err.msg, "gone; run: apt");
	assert_int_equal(report.count, 4);
	assert_string_equal(report.checks[0].text, "found 7");
	assert_string_equal(report.checks[0].mend, "");
	assert_int_equal(report.checks[2].state, BACKEND_CHECK_FAIL);
	assert_string_equal(report.checks[3].name, "d");
	assert_int_equal(report.checks[3].state, BACKEND_CHECK_WARN);
	assert_string_equal(report.checks[3].mend, "buy a faster one");
}

static void report_without_advice_is_the_finding_alone(void **state)
{
	const struct report_row rows[] = { { "c", check_broken } };
	struct backend_report report;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(report_run(rows, 1, NULL, &report, &err), BB_E_MISSING);
	assert_string_equal(err.msg, "broken");
}

static void report_with_warnings_only_is_a_success(void **state)
{
	const struct report_row rows[] = { { "d", check_slow } };
	struct backend_report report;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(report_run(rows, 1, NULL, &report, &err), 0);
}

static void report_cuts_what_is_too_long(void **state)
{
	char text[2 * sizeof(((struct backend_check *)0)->text)];
	struct backend_check c = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	report_found(&c, BACKEND_CHECK_OK, "%s", text);
	assert_int_equal(strlen(c.text), sizeof(c.text) - 1);
	assert_string_equal(c.mend, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(report_holds_all_rows_and_names_the_first_failure),
		cmocka_unit_test(report_without_advice_is_the_finding_alone),
		cmocka_unit_test(report_with_warnings_only_is_a_success),
		cmocka_unit_test(report_cuts_what_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
