/* workspace/review: which changes are refused, which are risky. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "workspace/review.h"

#define ID1 "1111111111111111111111111111111111111111"
#define ID2 "2222222222222222222222222222222222222222"
#define ID0 "0000000000000000000000000000000000000000"

/* A review of one change; freed by review_done(). */
static struct review one(const char *head, const char *path)
{
	BB_AUTO_BUF struct bb_buf raw = { 0 };
	struct review r = { 0 };
	struct bb_err err = { 0 };

	bb_buf_init(&raw, 65536);
	assert_int_equal(bb_buf_append(&raw, head, strlen(head) + 1), 0);
	assert_int_equal(bb_buf_append(&raw, path, strlen(path) + 1), 0);
	assert_int_equal(review_read(bb_buf_peek(&raw), &r, &err), 0);
	assert_int_equal(r.count, 1);
	return r;
}

static const char added[] = ":000000 100644 " ID0 " " ID1 " A";
static const char modified[] = ":100644 100644 " ID1 " " ID2 " M";

static void raw_lines_are_read(void **state)
{
	struct review r = one(":100644 100755 " ID1 " " ID2 " M", "a b/c");

	(void)state;
	assert_int_equal(r.changes[0].status, 'M');
	assert_int_equal(r.changes[0].old_mode, 0100644);
	assert_int_equal(r.changes[0].new_mode, 0100755);
	assert_string_equal(r.changes[0].new_id, ID2);
	assert_string_equal(r.changes[0].path, "a b/c");
	assert_true(r.changes[0].is_taken);
	review_done(&r);
}

static void what_is_no_raw_line_is_refused(void **state)
{
	static const char *const heads[] = {
		"100644 100644 " ID1 " " ID2 " M",
		":10064 100644 " ID1 " " ID2 " M",
		":100644 100644 " ID1 " 22 M",
		":100644 100644 " ID1 " " ID2 " R100",
		":100644 100644 " ID1 " " ID2 " ",
		":100644 100644 " ID1 " " ID2 " X",
		"fatal: x",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(heads); i++) {
		BB_AUTO_BUF struct bb_buf raw = { 0 };
		struct review r = { 0 };
		struct bb_err err = { 0 };

		bb_buf_init(&raw, 65536);
		(void)bb_buf_append(&raw, heads[i], strlen(heads[i]) + 1);
		(void)bb_buf_append(&raw, "p", 2);
		assert_error(review_read(bb_buf_peek(&raw), &r, &err), BB_E_PART, err);
		review_done(&r);
	}
}

static void bad_names_are_refused_with_a_sentence(void **state)
{
	static char longest[4200], part[300];
	const struct {
		const char *path, *says;
	} rows[] = {
		{ "/etc/passwd", "absolute" },
		{ "../x", "'..'" },
		{ "a/../../x", "'..'" },
		{ "a/./x", "'.'" },
		{ "a//x", "empty" },
		{ ".git/hooks/pre-commit", "'.git'" },
		{ "sub/.git/config", "'.git'" },
		{ ".GIT/config", "'.git'" },
		{ ".Git", "'.git'" },
		{ "GIT~1/config", "'.git'" },
		{ "git~2", "'.git'" },
		{ ".git./x", "'.git'" },
		{ ".git /x", "'.git'" },
		{ ".git::$INDEX_ALLOCATION/x", "'.git'" },
		{ "a\nb", "control" },
		{ "a\033[2J", "control" },
		{ longest, "4096" },
		{ part, "255" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(longest) - 1; i++)
		longest[i] = i % 2 == 1 ? '/' : 'a';
	longest[4195] = '\0';
	memset(part, 'x', 256);
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		struct review r = one(added, rows[i].path);
		struct bb_err err = { 0 };

		assert_error(review_check_names(&r, 10, &err), BB_E_REFUSED, err);
		if (strstr(err.msg, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].path, err.msg);
		review_done(&r);
	}
}

static void good_names_are_not(void **state)
{
	static const char *const paths[] = { "a",       ".gitignore", ".github/x", "x.git/y",
					     "..a/b..", "\xc3\xa4",   "git",       "gitk~1" };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(paths); i++) {
		struct review r = one(added, paths[i]);
		struct bb_err err = { 0 };

		if (review_check_names(&r, 10, &err) != 0)
			fail_msg("%s", err.msg);
		review_done(&r);
	}
}

static void submodules_are_refused(void **state)
{
	struct review r = one(":000000 160000 " ID0 " " ID1 " A", "sub");
	struct bb_err err = { 0 };

	(void)state;
	assert_error(review_check_names(&r, 10, &err), BB_E_REFUSED, err);
	assert_non_null(strstr(err.msg, "submodule"));
	review_done(&r);
}

static void risk_is_a_name_a_link_or_a_new_executable_bit(void **state)
{
	static const struct {
		const char *head, *path;
		bool is_risky;
	} rows[] = {
		{ modified, "Makefile", true },
		{ modified, "a.txt", false },
		{ added, "a.txt", false },
		{ ":000000 100755 " ID0 " " ID1 " A", "a.sh", true },
		{ ":100644 100755 " ID1 " " ID1 " M", "a.sh", true },
		{ ":100755 100755 " ID1 " " ID2 " M", "a.sh", false },
		{ ":000000 120000 " ID0 " " ID1 " A", "l", true },
		{ ":100644 120000 " ID1 " " ID2 " T", "a.txt", true },
		{ ":100755 000000 " ID1 " " ID0 " D", "a.sh", false },
		{ ":100644 000000 " ID1 " " ID0 " D", ".gitattributes", true },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		struct review r = one(rows[i].head, rows[i].path);

		review_judge(&r);
		if ((r.changes[0].risk.n > 0) != rows[i].is_risky)
			fail_msg("%s %s", rows[i].head, rows[i].path);
		review_done(&r);
	}
}

static void edits_are_what_is_taken(void **state)
{
	struct review r = one(":100644 000000 " ID1 " " ID0 " D", "gone");
	BB_AUTO_BUF struct bb_buf edits = { 0 };

	(void)state;
	bb_buf_init(&edits, 4096);
	assert_int_equal(review_edits(&r, &edits), 0);
	assert_int_equal(bb_buf_size(&edits), strlen("000000 " ID0 "\tgone") + 1);
	assert_memory_equal(bb_buf_peek(&edits).p, "000000 " ID0 "\tgone", bb_buf_size(&edits));
	bb_buf_reset(&edits);
	r.changes[0].is_taken = false;
	assert_int_equal(review_edits(&r, &edits), 0);
	assert_int_equal(bb_buf_size(&edits), 0);
	review_done(&r);
}

#define NAMES(text) bb_view_of((text), sizeof(text))

static void names_that_differ_in_case_only_are_refused_when_one_is_new(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(review_check_case(NAMES("A\0b"), NAMES("A"), &err), 0);
	assert_error(review_check_case(NAMES("A\0a"), NAMES("A"), &err), BB_E_REFUSED, err);
	assert_non_null(strstr(err.msg, "in case only"));
	assert_error(review_check_case(NAMES("D/x\0d/y"), NAMES("D/x"), &err), BB_E_REFUSED, err);
	assert_error(review_check_case(NAMES("d/F\0d/f"), NAMES("d/F"), &err), BB_E_REFUSED, err);
	/* A file and a directory. */
	assert_error(review_check_case(NAMES("D/x\0d"), NAMES("D/x"), &err), BB_E_REFUSED, err);
	/* Ä and ä; Greek. */
	assert_error(review_check_case(NAMES("\xc3\x84\0\xc3\xa4"), NAMES("x"), &err), BB_E_REFUSED,
		     err);
	assert_error(review_check_case(NAMES("\xce\xa9\0\xcf\x89"), NAMES("x"), &err), BB_E_REFUSED,
		     err);
	/* Bytes that are no UTF-8 are themselves. */
	assert_int_equal(review_check_case(NAMES("\xff\0\xdf"), NAMES("x"), &err), 0);
	/* The operator has both already. */
	assert_int_equal(review_check_case(NAMES("A\0a\0b"), NAMES("A\0a"), &err), 0);
	assert_int_equal(review_check_case(NAMES("D/x\0D/y\0d-z"), NAMES("D/x"), &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_lines_are_read),
		cmocka_unit_test(what_is_no_raw_line_is_refused),
		cmocka_unit_test(bad_names_are_refused_with_a_sentence),
		cmocka_unit_test(good_names_are_not),
		cmocka_unit_test(submodules_are_refused),
		cmocka_unit_test(risk_is_a_name_a_link_or_a_new_executable_bit),
		cmocka_unit_test(edits_are_what_is_taken),
		cmocka_unit_test(names_that_differ_in_case_only_are_refused_when_one_is_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
