/* policy/regex.c: the language, what is refused, and that no value takes long. */
#include "../unit.h"

#include "base/cleanup.h"
#include "policy/policy.h"
#include "policy/regex.h"

BB_DEFINE_AUTO(policy_regex, policy_regex_free)

static struct policy_regex *compiled(const char *text)
{
	struct policy_regex *re = NULL;
	struct bb_err err = { 0 };

	if (policy_regex_new(text, &re, &err) < 0)
		fail_msg("'%s': %s", text, err.msg);
	return re;
}

static void the_whole_value_must_match(void **state)
{
	static const struct {
		const char *regex, *yes[5], *no[6];
	} table[] = {
		{ "abc", { "abc" }, { "", "ab", "abcd", "xabc", "ABC" } },
		{ "^abc$", { "abc" }, { "xabc", "abcx", "^abc$" } },
		{ "a.c",
		  { "abc", "a/c",
		    "a\x80"
		    "c" },
		  { "ac", "abbc" } },
		{ "a*", { "", "a", "aaaa" }, { "b", "ab" } },
		{ "a+b", { "ab", "aaab" }, { "b", "a", "abb" } },
		{ "a?b", { "b", "ab" }, { "aab", "" } },
		{ "a|bc", { "a", "bc" }, { "ac", "b", "abc" } },
		{ "(a|b)*c", { "c", "ababc" }, { "abab", "cc" } },
		{ "(?:ab)+", { "ab", "abab" }, { "", "aba" } },
		{ "^(a|b)$", { "a", "b" }, { "ab", "c" } },
		{ "a{3}", { "aaa" }, { "aa", "aaaa", "" } },
		{ "a{2,}", { "aa", "aaaaaa" }, { "a", "" } },
		{ "a{0,2}", { "", "a", "aa" }, { "aaa" } },
		{ "a{1,3}b", { "ab", "aab", "aaab" }, { "b", "aaaab" } },
		{ "(ab?){2}", { "aa", "aba", "aab", "abab" }, { "a", "ab", "abb" } },
		{ "(a*)*", { "", "aaa" }, { "b" } },
		{ "(a|aa)+$", { "a", "aaaaa" }, { "", "ab" } },
		{ "[a-c]", { "a", "b", "c" }, { "d", "", "-", "ab" } },
		{ "[^/]+", { "abc", "\x80" }, { "", "a/b", "/" } },
		{ "[a\\]b]", { "a", "]", "b" }, { "\\", "c" } },
		{ "[a-]", { "a", "-" }, { "b" } },
		{ "[-a]", { "a", "-" }, { "b" } },
		{ "[\\d_]+", { "12_3" }, { "a", "" } },
		{ "\\d\\D\\w\\W\\s\\S", { "1aa- b" }, { "aaa- b", "1aaa b", "" } },
		{ "\\.\\*\\$\\^\\[\\(\\{\\|\\\\\\/\\-", { ".*$^[({|\\/-" }, { "" } },
		{ "/repos/[^/]+/[^/]+/(pulls|issues)(/[0-9]+)?",
		  { "/repos/a/b/pulls", "/repos/a/b/issues/12" },
		  { "/repos/a/b/pulls/", "/repos/a/pulls", "/repos/a/b/pulls/x",
		    "/x/repos/a/b/pulls", "/repos/a/b/pulls/1/2" } },
		{ "[0-9a-f]{40}",
		  { "0123456789abcdef0123456789abcdef01234567" },
		  { "0123456789abcdef0123456789abcdef0123456",
		    "0123456789abcdef0123456789abcdef012345678" } },
		{ "x{0,3}y{0,3}", { "", "xy", "xxxyyy", "yyy" }, { "yx", "xxxx" } },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		BB_AUTO(policy_regex) struct policy_regex *re = compiled(table[i].regex);

		for (size_t k = 0; k < 5 && table[i].yes[k] != NULL; k++)
			if (!policy_regex_match(re, bb_view_str(table[i].yes[k])))
				fail_msg("'%s' refuses '%s'", table[i].regex, table[i].yes[k]);
		for (size_t k = 0; k < 6 && table[i].no[k] != NULL; k++)
			if (policy_regex_match(re, bb_view_str(table[i].no[k])))
				fail_msg("'%s' takes '%s'", table[i].regex, table[i].no[k]);
	}
}

static void what_is_not_known_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *regex, *want;
	} table[] = {
		{ "", "byte 1 of the regex: an empty alternative" },
		{ "^$", "byte 2 of the regex: an empty alternative" },
		{ "a|", "byte 3 of the regex: an empty alternative" },
		{ "a||b", "byte 3" },
		{ "()", "byte 2" },
		{ "a**", "byte 3 of the regex: nothing stands in front to be repeated" },
		{ "a+?", "byte 3" },
		{ "*a", "byte 1" },
		{ "{2}", "byte 1" },
		{ "a$b", "byte 2 of the regex: '^' may only stand at the front" },
		{ "a^b", "byte 2" },
		{ "(^a)", "byte 2" },
		{ "(a$)", "byte 3" },
		{ "^a|b$", "put alternatives between '^' and '$' into a group" },
		{ "^a|b", "into a group" },
		{ "a|b$", "into a group" },
		{ "(a", "byte 3 of the regex: a '(' without its ')'" },
		{ "a)", "byte 2 of the regex: a ')' without its '('" },
		{ "[a", "byte 3 of the regex: a '[' without its ']'" },
		{ "[]", "byte 2 of the regex: an empty class" },
		{ "[[:alpha:]]", "write '\\[' inside a class" },
		{ "[z-a]", "a range that ends before it begins" },
		{ "[a-\\d]", "a range that ends before it begins" },
		{ "a]", "write it with a '\\' in front" },
		{ "(?=a)", "only '(?:' is known" },
		{ "(?i)a", "only '(?:' is known" },
		{ "(?P<n>a)", "only '(?:' is known" },
		{ "(a)\\1", "may stand behind a '\\'" },
		{ "\\bfoo", "may stand behind a '\\'" },
		{ "a\\", "may stand behind a '\\'" },
		{ "a{", "a repetition is written" },
		{ "a{x}", "a repetition is written" },
		{ "a{2", "a '{' without its '}'" },
		{ "a{0}", "it repeats zero times" },
		{ "a{3,2}", "at most less often than at least" },
		{ "a{256}", "it repeats too often" },
		{ "a{99999999999999999999}", "it repeats too often" },
		{ "((a{20}){20}){20}", "it is too long, or repeats too often" },
		{ "(((((((((((((((((a)))))))))))))))))", "groups are too deep" },
		{ "[ab]*a[ab]{12}", "the regex needs a table of more than 512 states" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		struct policy_regex *re = NULL;
		struct bb_err err = { 0 };

		assert_error(policy_regex_new(table[i].regex, &re, &err), -EINVAL, err);
		if (strstr(err.msg, table[i].want) == NULL)
			fail_msg("'%s': %s", table[i].regex, err.msg);
		assert_null(re);
	}
}

/* What takes a backtracking matcher 2^n steps: one step a byte here, whatever the bytes. */
static void hostile_values_take_one_step_a_byte(void **state)
{
	static const char *const regexes[] = { "(a+)+b", "(a|aa)+b", "(a*)*b", "([a-z]+)*d",
					       "(.*.*.*.*)x" };
	static uint8_t value[16 * 1024 * 1024];

	(void)state;
	memset(value, 'a', sizeof(value));
	for (size_t i = 0; i < BB_ARRAY_LEN(regexes); i++) {
		BB_AUTO(policy_regex) struct policy_regex *re = compiled(regexes[i]);

		assert_false(policy_regex_match(re, bb_view_of(value, sizeof(value))));
		assert_true(policy_regex_size(re) < 64 * 1024);
	}
}

static void a_policy_holds_a_bounded_number_of_tables(void **state)
{
	static char host[] = "a.test";
	struct policy_route route = { .host = host };
	struct policy_match *m = policy_match_add(&route);
	struct policy *p = policy_new();
	struct bb_err err = { 0 };
	char name[16];
	int r = 0;

	(void)state;
	assert_non_null(policy_value_add(&m->paths, POLICY_REGEX, NULL, "/[ab]*a[ab]{7}"));
	for (unsigned i = 0; r == 0 && i < LIMIT_ROUTES; i++) {
		(void)snprintf(name, sizeof(name), "h%u.test", i);
		route.host = name;
		r = policy_add(p, &route, &err);
	}
	route.host = NULL;
	assert_int_equal(r, BB_E_LIMIT);
	assert_non_null(strstr(err.msg, "more than 1024 KiB"));
	assert_true(p->route_count > 3);
	assert_true(p->regex_bytes <= LIMIT_POLICY_REGEXES);
	policy_free(p);
	policy_route_done(&route);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_value_must_match),
		cmocka_unit_test(what_is_not_known_is_refused_with_its_place),
		cmocka_unit_test(hostile_values_take_one_step_a_byte),
		cmocka_unit_test(a_policy_holds_a_bounded_number_of_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
