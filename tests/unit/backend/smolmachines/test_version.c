/* backend/smolmachines/version.c: one format, and a gate that refuses what is not proven. */
#include "../../unit.h"

#include <string.h>

#include "backend/smolmachines/version.h"
#include "base/cleanup.h"

static void the_usual_line_is_read(void **state)
{
	struct smolvm_version v = { 0 };

	(void)state;
	assert_int_equal(smolvm_version_parse("smolvm 1.22.305\n", &v, NULL), 0);
	assert_int_equal(v.major, 1);
	assert_int_equal(v.minor, 22);
	assert_int_equal(v.patch, 305);
	assert_int_equal(smolvm_version_parse("smolvm 0.8.0", &v, NULL), 0);
	assert_int_equal(v.minor, 8);
}

static void every_other_format_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"smolvm",
		"smolvm ",
		"smolvm 1",
		"smolvm 1.8",
		"smolvm 1.8.",
		"smolvm 1.8.0.1",
		"smolvm 1.8.0-rc1",
		"smolvm 1.8.0+git",
		"smolvm v1.8.0",
		"smolvm  1.8.0",
		"smolvm 1.8.0 ",
		"smolvm 1.8.0\n\n",
		"smolvm 1.8.0\nsmolvm 0.8.0\n",
		"smolvm 01.8.0",
		"smolvm 1.-8.0",
		"smolvm 1.8.99999999999",
		"smolvm ..",
		"Smolvm 1.8.0",
		"1.8.0",
		"crun 1.8.1",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(texts); i++) {
		struct smolvm_version v = { 7, 7, 7 };
		struct bb_err err = { 0 };

		if (smolvm_version_parse(texts[i], &v, &err) != BB_E_REFUSED)
			fail_msg("'%s' was not refused", texts[i]);
		assert_int_equal(v.major, 7);
		assert_non_null(strstr(err.msg, "install smolvm 1.7.5 or later"));
	}
}

static void outsider_bytes_are_escaped(void **state)
{
	struct smolvm_version v;
	struct bb_err err = { 0 };

	(void)state;
	assert_error(smolvm_version_parse("smolvm \033[2J1.0.0", &v, &err), BB_E_REFUSED, err);
	assert_null(strchr(err.msg, '\033'));
}

static void each_version_has_its_mode_or_its_reason(void **state)
{
	static const struct {
		struct smolvm_version v;
		int want; /* enum smolvm_mode, or -1 */
		const char *reason;
	} cases[] = {
		{ { 0, 7, 9 }, -1, "older" },
		{ { 0, 0, 0 }, -1, "older" },
		{ { 0, 8, 0 }, SMOLVM_TSI, NULL },
		{ { 0, 8, 1 }, SMOLVM_TSI, NULL },
		{ { 0, 8, 2 }, -1, "not proven to enforce" },
		{ { 0, 9, 0 }, -1, "not proven to enforce" },
		{ { 1, 0, 0 }, -1, "not proven to enforce" },
		{ { 1, 1, 2 }, -1, "not proven to enforce" },
		{ { 1, 1, 3 }, -1, "cannot reach the bundle" },
		{ { 1, 6, 4 }, -1, "cannot reach the bundle" },
		{ { 1, 7, 4 }, -1, "cannot reach the bundle" },
		{ { 1, 7, 5 }, SMOLVM_SOCKET, NULL },
		{ { 1, 9, 3 }, SMOLVM_SOCKET, NULL },
		{ { 1, 32, 2 }, SMOLVM_SOCKET, NULL },
		{ { 2, 0, 0 }, SMOLVM_SOCKET, NULL },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		enum smolvm_mode mode = 99;
		struct bb_err err = { 0 };
		int r = smolvm_version_gate(&cases[i].v, &mode, &err);

		if (cases[i].want >= 0) {
			assert_int_equal(r, 0);
			assert_int_equal(mode, cases[i].want);
			continue;
		}
		assert_error(r, BB_E_REFUSED, err);
		assert_int_equal(mode, 99);
		if (strstr(err.msg, cases[i].reason) == NULL ||
		    strstr(err.msg, "install smolvm 1.7.5") == NULL)
			fail_msg("case %zu: %s", i, err.msg);
	}
}

static void quirks_follow_the_version(void **state)
{
	struct smolvm_quirks q = smolvm_version_quirks(&(struct smolvm_version){ 0, 8, 0 });

	(void)state;
	assert_false(q.named_flag || q.delete_stops || q.stop_unknown_fails || q.sigwinch_ok ||
		     q.sig_exit_ok || q.local_image || q.workload || q.mount_socket || q.labels);
	q = smolvm_version_quirks(&(struct smolvm_version){ 0, 8, 1 });
	assert_true(q.delete_stops && q.stop_unknown_fails && q.sigwinch_ok && q.sig_exit_ok);
	assert_false(q.named_flag || q.mount_socket);
	q = smolvm_version_quirks(&(struct smolvm_version){ 1, 0, 1 });
	assert_false(q.named_flag || q.workload);
	q = smolvm_version_quirks(&(struct smolvm_version){ 1, 0, 2 });
	assert_true(q.named_flag && q.workload);
	q = smolvm_version_quirks(&(struct smolvm_version){ 1, 7, 5 });
	assert_true(q.named_flag && q.workload && q.local_image && q.mount_socket);
	assert_false(q.labels);
	q = smolvm_version_quirks(&(struct smolvm_version){ 2, 0, 0 });
	assert_true(q.labels && q.mount_socket && q.delete_stops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_usual_line_is_read),
		cmocka_unit_test(every_other_format_is_refused),
		cmocka_unit_test(outsider_bytes_are_escaped),
		cmocka_unit_test(each_version_has_its_mode_or_its_reason),
		cmocka_unit_test(quirks_follow_the_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
