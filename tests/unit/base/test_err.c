/* base/err.h: one sentence, wrapped on its way up, never longer than its buffer. */
#include "../unit.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void wrap_puts_context_in_front(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(bb_err_set(&err, BB_E_USAGE, "port %d is above 65535", 70000), BB_E_USAGE);
	assert_int_equal(bb_err_wrap(&err, "manifest '%s':%d", "dev.md", 12), BB_E_USAGE);
	assert_string_equal(err.msg, "manifest 'dev.md':12: port 70000 is above 65535");
}

static void errno_form_keeps_the_code_and_names_it(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	errno = ENOENT;
	assert_error(bb_err_errno(&err, "state directory 'x'"), -ENOENT, err);
	assert_string_equal(err.msg, "state directory 'x': No such file or directory");
	errno = EACCES;
	assert_int_equal(bb_err_errno(NULL, "x"), -EACCES);
}

static void long_messages_are_cut_not_overrun(void **state)
{
	static char big[3 * BB_ERR_MSG_MAX];
	struct bb_err err = { 0 };

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	(void)bb_err_set(&err, -EINVAL, "%s", big);
	assert_int_equal(strlen(err.msg), BB_ERR_MSG_MAX - 1);
	(void)bb_err_wrap(&err, "%s", big);
	assert_int_equal(strlen(err.msg), BB_ERR_MSG_MAX - 1);
}

static void every_code_has_a_name(void **state)
{
	(void)state;
	for (int code = BB_E_FIRST; code <= BB_E_LAST; code++)
		assert_non_null(bb_err_name(code));
	assert_string_equal(bb_err_name(-ENOENT), strerror(ENOENT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrap_puts_context_in_front),
		cmocka_unit_test(errno_form_keeps_the_code_and_names_it),
		cmocka_unit_test(long_messages_are_cut_not_overrun),
		cmocka_unit_test(every_code_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
