/* http/field.c: which fields stay behind. */
#include "../unit.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "http/field.h"

static void credentials_are_known_by_their_names(void **state)
{
	static const char *const yes[] = {
		"Authorization",
		"authorization",
		"Proxy-Authorization",
		"X-Authorization",
		"x-api-key",
		"X_API_KEY",
		"api-key",
		"apikey",
		"x-goog-api-key",
		"anthropic-api-key",
		"Cookie",
		"Cookie2",
		"X-Auth-Token",
		"Private-Token",
		"JOB-TOKEN",
		"X-Amz-Security-Token",
		"X-Access-Token",
		"token",
		"X-Vault-Token",
		"client-secret",
		"X-Password",
	};
	static const char *const no[] = {
		"Accept",           "User-Agent",      "anthropic-version",
		"anthropic-beta",   "x-app",           "x-claude-code-session-id",
		"x-stainless-lang", "Content-Type",    "OpenAI-Organization",
		"X-Request-Id",     "Idempotency-Key", "If-None-Match",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(yes); i++)
		if (!http_is_credential_field(bb_view_str(yes[i])))
			fail_msg("'%s' passes", yes[i]);
	for (size_t i = 0; i < BB_ARRAY_LEN(no); i++)
		if (http_is_credential_field(bb_view_str(no[i])))
			fail_msg("'%s' is taken for a credential", no[i]);
}

static void credentials_are_known_by_their_values(void **state)
{
	static const char *const yes[] = { "Bearer abcdefgh",      "bearer   abc.def-ghi_j",
					   "Basic dXNlcjpwYXNz",   "BASIC dXNlcjpwYXNzMQ==",
					   "token ghp_0123456789", "Negotiate YIIabc+/=" };
	static const char *const no[] = {
		"",           "basic plan",         "Bearer",         "Bearer ", "token a",
		"text/plain", "bearer of bad news", "Basic dXNl=cjpw"
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(yes); i++)
		if (!http_is_credential_value(bb_view_str(yes[i])))
			fail_msg("'%s' passes", yes[i]);
	for (size_t i = 0; i < BB_ARRAY_LEN(no); i++)
		if (http_is_credential_value(bb_view_str(no[i])))
			fail_msg("'%s' is taken for a credential", no[i]);
}

static void fields_of_one_connection_stay_on_it(void **state)
{
	static const char *const hop[] = { "Connection",     "TE",
					   "Upgrade",        "Host",
					   "content-length", "Transfer-Encoding",
					   "X-Named",        "Proxy-Authorization",
					   "Alt-Svc" };
	BB_AUTO_FREE struct http_head *h = calloc(1, sizeof(*h));
	struct bb_err err = { 0 };
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, , x-named\r\n\r\n";

	(void)state;
	assert_int_equal(http_parse_request(bb_view_str(text), h, &err), 0);
	for (size_t i = 0; i < BB_ARRAY_LEN(hop); i++)
		assert_true(http_is_hop_field(h, bb_view_str(hop[i])));
	assert_false(http_is_hop_field(h, bb_view_str("Accept")));
	assert_false(http_is_hop_field(h, bb_view_str("X-Name")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_are_known_by_their_names),
		cmocka_unit_test(credentials_are_known_by_their_values),
		cmocka_unit_test(fields_of_one_connection_stay_on_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
