/* policy/decide.c: the one decision function, for hosts. */
#include "../unit.h"

#include "base/cleanup.h"
#include "policy/policy.h"

BB_DEFINE_AUTO(policy, policy_free)

static char allowed_test[] = "allowed.test", wild_test[] = "wild.test",
	    deep_wild_test[] = "deep.wild.test", plain_test[] = "plain.test", api[] = "api",
	    token[] = "TOKEN";

static struct policy *sample(void)
{
	const struct policy_route routes[] = {
		{ .host = allowed_test },
		{ .host = wild_test, .is_wildcard = true },
		{ .host = deep_wild_test,
		  .is_wildcard = true,
		  .tls_ports = { 8443 },
		  .tls_port_count = 1 },
		{ .host = plain_test,
		  .tls_ports = { 443 },
		  .tls_port_count = 1,
		  .plain_ports = { 80 },
		  .plain_port_count = 1 },
		{ .host = api, .auth = POLICY_AUTH_BEARER, .token_ref = token },
	};
	struct policy *p = policy_new();
	struct bb_err err = { 0 };

	for (size_t i = 0; i < BB_ARRAY_LEN(routes); i++)
		if (policy_add(p, &routes[i], &err) < 0)
			fail_msg("%s", err.msg);
	return p;
}

static void hosts_match_exactly_or_on_a_label_boundary(void **state)
{
	static const struct {
		const char *host;
		uint16_t port;
		bool is_tls;
		enum policy_reason want;
	} table[] = {
		{ "allowed.test", 443, true, POLICY_ALLOWED },
		{ "allowed.test", 443, false, POLICY_PLAIN_NOT_ALLOWED },
		{ "allowed.test", 80, false, POLICY_PORT_NOT_ALLOWED },
		{ "allowed.test", 8443, true, POLICY_PORT_NOT_ALLOWED },
		{ "notallowed.test", 443, true, POLICY_HOST_NOT_ALLOWED }, /* N14 */
		{ "allowed.test.evil.test", 443, true, POLICY_HOST_NOT_ALLOWED },
		{ "sub.allowed.test", 443, true, POLICY_HOST_NOT_ALLOWED },
		{ "wild.test", 443, true, POLICY_HOST_NOT_ALLOWED },
		{ "a.wild.test", 443, true, POLICY_ALLOWED },
		{ "a.b.wild.test", 443, true, POLICY_ALLOWED },
		{ "awild.test", 443, true, POLICY_HOST_NOT_ALLOWED },
		{ "deep.wild.test", 443, true, POLICY_ALLOWED }, /* by the wider wildcard */
		{ "a.deep.wild.test", 443, true, POLICY_PORT_NOT_ALLOWED }, /* narrower decides */
		{ "a.deep.wild.test", 8443, true, POLICY_ALLOWED },
		{ "plain.test", 80, false, POLICY_ALLOWED },
		{ "plain.test", 80, true, POLICY_PORT_NOT_ALLOWED },
		{ "plain.test", 443, true, POLICY_ALLOWED },
		{ "api", 443, true, POLICY_ALLOWED },
		{ "192.0.2.9", 443, true, POLICY_ADDRESS_LITERAL },
		{ "127.1", 443, true, POLICY_ADDRESS_LITERAL },
		{ "::1", 443, true, POLICY_ADDRESS_LITERAL },
		{ "Allowed.test", 443, true, POLICY_HOST_INVALID }, /* not normalised: a bug */
		{ "", 443, true, POLICY_HOST_INVALID },
	};
	BB_AUTO(policy) struct policy *p = sample();

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		const struct policy_route *r = NULL;
		enum policy_reason got =
			policy_decide_host(p, table[i].host, table[i].port, table[i].is_tls, &r);

		if (got != table[i].want)
			fail_msg("'%s' port %u: %s", table[i].host, table[i].port,
				 policy_reason_word(got));
		assert_int_equal(r != NULL, got == POLICY_ALLOWED);
	}
}

static void an_empty_policy_denies(void **state)
{
	BB_AUTO(policy) struct policy *p = policy_new();

	(void)state;
	assert_int_equal(policy_decide_host(p, "allowed.test", 443, true, NULL),
			 POLICY_HOST_NOT_ALLOWED);
	assert_false(policy_may_dial(p, "allowed.test", 443));
}

static void only_what_some_entry_could_ask_for_may_be_dialled(void **state)
{
	BB_AUTO(policy) struct policy *p = sample();

	(void)state;
	assert_true(policy_may_dial(p, "allowed.test", 443));
	assert_true(policy_may_dial(p, "plain.test", 80));
	assert_true(policy_may_dial(p, "plain.test", 443));
	assert_false(policy_may_dial(p, "allowed.test", 80));
	assert_false(policy_may_dial(p, "evil.test", 443));
	assert_false(policy_may_dial(p, "127.0.0.1", 443));
}

static void every_reason_has_a_word_and_a_sentence_with_the_host(void **state)
{
	char text[400];

	(void)state;
	for (unsigned i = 0; i < POLICY_NUM_REASONS; i++) {
		enum policy_reason r = (enum policy_reason)i;

		assert_string_not_equal(policy_reason_word(r), "unknown");
		policy_reason_text(r, "x.test", 443, text, sizeof(text));
		assert_non_null(strstr(text, "'x.test'"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_match_exactly_or_on_a_label_boundary),
		cmocka_unit_test(an_empty_policy_denies),
		cmocka_unit_test(only_what_some_entry_could_ask_for_may_be_dialled),
		cmocka_unit_test(every_reason_has_a_word_and_a_sentence_with_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
