/* policy/host.c: which patterns a manifest may write, and how asked names are brought to one form.
 */
#include "../unit.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "policy/policy.h"

#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct asked {
	const char *text;
	size_t n; /* 0: strlen */
	enum policy_reason want;
	const char *normal;
};

static void check(const struct asked *t)
{
	char dst[254] = "untouched";
	size_t n = t->n == 0 ? strlen(t->text) : t->n;

	assert_int_equal(policy_normalise_host(bb_view_of(t->text, n), dst), t->want);
	assert_string_equal(dst, t->normal);
}

static void case_and_one_trailing_dot_are_folded(void **state)
{
	static const struct asked table[] = {
		{ "allowed.test", 0, POLICY_ALLOWED, "allowed.test" },
		{ "ALLOWED.Test.", 0, POLICY_ALLOWED, "allowed.test" },
		{ "xn--llowed-5of.test", 0, POLICY_ALLOWED, "xn--llowed-5of.test" },
		{ "intranet", 0, POLICY_ALLOWED, "intranet" },
		{ "a-b.1c.test", 0, POLICY_ALLOWED, "a-b.1c.test" },
		{ LABEL63 ".test", 0, POLICY_ALLOWED, LABEL63 ".test" },
		{ LABEL63 "." LABEL63 "." LABEL63 "."
			  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
		  0, POLICY_ALLOWED,
		  LABEL63 "." LABEL63 "." LABEL63 "."
			  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++)
		check(&table[i]);
}

static void everything_outside_ldh_is_refused(void **state)
{
	static const struct asked table[] = {
		{ "evil.test\0.allowed.test", 23, POLICY_HOST_INVALID, "" }, /* N13 */
		{ "evil.test\r\n.allowed.test", 0, POLICY_HOST_INVALID, "" },
		{ "evil.test%00.allowed.test", 0, POLICY_HOST_INVALID, "" },
		{ "allowed%2etest", 0, POLICY_HOST_INVALID, "" },
		{ "allowed.test..", 0, POLICY_HOST_INVALID, "" }, /* N15 */
		{ ".allowed.test", 0, POLICY_HOST_INVALID, "" },
		{ "allowed..test", 0, POLICY_HOST_INVALID, "" },
		{ "allowed.test@evil.test", 0, POLICY_HOST_INVALID, "" }, /* N16 */
		{ "evil.test\\@allowed.test", 0, POLICY_HOST_INVALID, "" },
		{ "\xd0\xb0llowed.test", 0, POLICY_HOST_INVALID, "" }, /* N17 */
		{ "allowed\xe3\x80\x82test", 0, POLICY_HOST_INVALID, "" },
		{ "a_b.test", 0, POLICY_HOST_INVALID, "" }, /* N7 */
		{ "-a.test", 0, POLICY_HOST_INVALID, "" },
		{ "a-.test", 0, POLICY_HOST_INVALID, "" },
		{ "*.test", 0, POLICY_HOST_INVALID, "" },
		{ " allowed.test", 0, POLICY_HOST_INVALID, "" },
		{ "allowed.test ", 0, POLICY_HOST_INVALID, "" },
		{ "allowed.test:443", 0, POLICY_HOST_INVALID, "" },
		{ "allowed.test/x", 0, POLICY_HOST_INVALID, "" },
		{ "a" LABEL63 ".test", 0, POLICY_HOST_INVALID, "" },
		{ LABEL63 "." LABEL63 "." LABEL63 "."
			  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  0, POLICY_HOST_INVALID, "" },
		{ "[::1", 0, POLICY_HOST_INVALID, "" },
		{ "[fe80::1%eth0]", 0, POLICY_HOST_INVALID, "" },
		{ ".", 0, POLICY_HOST_INVALID, "" },
	};
	char dst[254];

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++)
		check(&table[i]);
	assert_int_equal(policy_normalise_host(bb_view_of("", 0), dst), POLICY_HOST_INVALID);
}

static void addresses_in_every_notation_are_literals(void **state)
{
	static const struct asked table[] = {
		{ "192.0.2.9", 0, POLICY_ADDRESS_LITERAL, "192.0.2.9" },
		{ "127.1", 0, POLICY_ADDRESS_LITERAL, "127.1" },
		{ "2130706433", 0, POLICY_ADDRESS_LITERAL, "2130706433" },
		{ "0x7f000001", 0, POLICY_ADDRESS_LITERAL, "0x7f000001" },
		{ "0X7F.1", 0, POLICY_ADDRESS_LITERAL, "0x7f.1" },
		{ "0177.0.0.1", 0, POLICY_ADDRESS_LITERAL, "0177.0.0.1" },
		{ "evil.test.0x", 0, POLICY_ADDRESS_LITERAL, "evil.test.0x" },
		{ "1.2.3.4.", 0, POLICY_ADDRESS_LITERAL, "1.2.3.4" },
		{ "[::1]", 0, POLICY_ADDRESS_LITERAL, "::1" },
		{ "::ffff:127.0.0.1", 0, POLICY_ADDRESS_LITERAL, "::ffff:127.0.0.1" },
		{ "[2001:DB8:0::9]", 0, POLICY_ADDRESS_LITERAL, "2001:db8::9" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++)
		check(&table[i]);
}

static void patterns_are_names_or_wildcards_on_a_label_boundary(void **state)
{
	static const struct {
		const char *text, *host;
		bool is_wildcard;
	} table[] = {
		{ "api.example.com", "api.example.com", false },
		{ "API.Example.COM.", "api.example.com", false },
		{ "*.example.com", "example.com", true },
		{ "*.Wild.Test", "wild.test", true },
		{ "intranet", "intranet", false },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		struct bb_err err = { 0 };
		BB_AUTO_FREE char *host = NULL;
		bool is_wildcard = !table[i].is_wildcard;

		assert_int_equal(
			policy_parse_host(bb_view_str(table[i].text), &host, &is_wildcard, &err),
			0);
		assert_string_equal(host, table[i].host);
		assert_int_equal(is_wildcard, table[i].is_wildcard);
	}
}

static void patterns_that_cannot_match_are_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text, *part; /* of the sentence */
	} table[] = {
		{ "", "empty" },
		{ "https://api.example.com", "scheme" },
		{ "api.example.com/v1", "path" },
		{ "api.example.com:443", "port" },
		{ "user@api.example.com", "user" },
		{ "*", "bare '*'" },
		{ "*.", "can never match" },
		{ "*.*.example.com", "labels at the front" },
		{ "api.*.com", "labels at the front" },
		{ "a*.example.com", "labels at the front" },
		{ "api..example.com", "empty label" },
		{ ".example.com", "empty label" },
		{ "*.com", "top-level" },
		{ "b\xc3\xbc"
		  "cher.example",
		  "xn--" },
		{ "192.0.2.9", "address" },
		{ "[::1]", "address" },
		{ "*.0.0.1", "address" },
		{ "a_b.example.com", "letters, digits" },
		{ "a b.example.com", "letters, digits" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		struct bb_err err = { 0 };
		char *host = NULL;
		bool is_wildcard = false;

		assert_error(
			policy_parse_host(bb_view_str(table[i].text), &host, &is_wildcard, &err),
			-EINVAL, err);
		assert_non_null(strstr(err.msg, table[i].part));
		assert_null(host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_and_one_trailing_dot_are_folded),
		cmocka_unit_test(everything_outside_ldh_is_refused),
		cmocka_unit_test(addresses_in_every_notation_are_literals),
		cmocka_unit_test(patterns_are_names_or_wildcards_on_a_label_boundary),
		cmocka_unit_test(patterns_that_cannot_match_are_refused_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
