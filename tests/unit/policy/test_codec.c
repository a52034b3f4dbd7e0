/* policy/policy.c and codec.c: what a route may be, and that the binary form loses nothing. */
#include "../unit.h"

#include "base/cleanup.h"
#include "base/tlv.h"
#include "policy/policy.h"

BB_DEFINE_AUTO(policy, policy_free)

static char host[] = "api.test", token[] = "TOKEN", header[] = "x-api-key", origin[] = "dev.md:12",
	    path[] = "/v1", get[] = "GET", post[] = "POST";
static char *methods[] = { get, post, NULL };
static struct policy_match matches[] = { { .methods = methods, .path = path, .is_prefix = true },
					 { 0 } };

static const struct policy_route full = {
	.host = host,
	.is_wildcard = true,
	.tls_ports = { 443, 8443 },
	.tls_port_count = 2,
	.auth = POLICY_AUTH_HEADER,
	.auth_header = header,
	.token_ref = token,
	.matches = matches,
	.match_count = 2,
	.origin = origin,
};

static void a_decoded_policy_is_the_encoded_one(void **state)
{
	BB_AUTO(policy) struct policy *p = policy_new();
	BB_AUTO(policy) struct policy *q = NULL;
	BB_AUTO_BUF struct bb_buf a = { 0 }, b = { 0 };
	const struct policy_route plain = { .host = host,
					    .plain_ports = { 80 },
					    .plain_port_count = 1 };
	struct bb_err err = { 0 };

	(void)state;
	bb_buf_init(&a, 65536);
	bb_buf_init(&b, 65536);
	assert_int_equal(policy_add(p, &full, &err), 0);
	assert_int_equal(policy_add(p, &plain, &err), 0);
	assert_int_equal(policy_encode(p, &a), 0);
	assert_int_equal(policy_decode(bb_buf_peek(&a), &q, &err), 0);
	assert_int_equal(policy_encode(q, &b), 0);
	assert_true(bb_view_eq(bb_buf_peek(&a), bb_buf_peek(&b)));
	assert_int_equal(q->route_count, 2);
	assert_string_equal(q->routes[0].auth_header, header);
	assert_string_equal(q->routes[0].matches[0].methods[1], "POST");
	assert_true(q->routes[0].matches[0].is_prefix);
	assert_null(q->routes[0].matches[1].path);
	assert_int_equal(q->routes[0].tls_ports[1], 8443);
	assert_int_equal(q->routes[1].plain_ports[0], 80);
	assert_int_equal(q->routes[1].tls_port_count, 0);
}

static void every_shortened_policy_is_refused(void **state)
{
	BB_AUTO(policy) struct policy *p = policy_new();
	BB_AUTO_BUF struct bb_buf a = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	bb_buf_init(&a, 65536);
	assert_int_equal(policy_add(p, &full, &err), 0);
	assert_int_equal(policy_encode(p, &a), 0);
	for (size_t n = 0; n < bb_buf_size(&a); n++) {
		struct policy *q = NULL;

		if (n == 10) /* the version alone: an empty policy, which denies everything */
			continue;
		err.msg[0] = '\0';
		assert_true(policy_decode(bb_view_of(a.p, n), &q, &err) < 0);
		assert_null(q);
		assert_true(err.msg[0] != '\0');
	}
}

static void the_default_port_is_443(void **state)
{
	BB_AUTO(policy) struct policy *p = policy_new();
	const struct policy_route bare = { .host = host };
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(policy_add(p, &bare, &err), 0);
	assert_int_equal(p->routes[0].tls_port_count, 1);
	assert_int_equal(p->routes[0].tls_ports[0], 443);
}

static void contradicting_routes_are_refused(void **state)
{
	static char upper[] = "Api.test", address[] = "127.0.0.1", tld[] = "test",
		    bad_header[] = "x api", upper_header[] = "X-Api-Key", empty[] = "",
		    relative[] = "v1", dots[] = "/a/../b", empty_segment[] = "/a//b",
		    dot_parameter[] = "/a/..;/b", query[] = "/a?b", encoded[] = "/%61",
		    lower[] = "get";
	static char *lower_methods[] = { lower, NULL };
	static struct policy_match bad[] = { { .path = relative },        { .path = dots },
					     { .path = empty_segment },   { .path = dot_parameter },
					     { .path = query },           { .path = encoded },
					     { .methods = lower_methods } };
	const struct {
		struct policy_route route;
		const char *part;
	} table[] = {
		{ { .host = NULL }, "not a host" },
		{ { .host = upper }, "not a host" },
		{ { .host = address }, "not a host" },
		{ { .host = tld, .is_wildcard = true }, "not a host" },
		{ { .host = host, .tls_ports = { 0 }, .tls_port_count = 1 }, "port 0" },
		{ { .host = host,
		    .tls_ports = { 80 },
		    .tls_port_count = 1,
		    .plain_ports = { 80 },
		    .plain_port_count = 1 },
		  "for TLS and for plain" },
		{ { .host = host, .tls_port_count = LIMIT_ROUTE_PORTS + 1 }, "ports" },
		{ { .host = host, .auth = POLICY_AUTH_BEARER }, "token reference" },
		{ { .host = host, .token_ref = token }, "token reference" },
		{ { .host = host, .auth = POLICY_AUTH_BEARER, .token_ref = empty }, "token" },
		{ { .host = host, .auth = POLICY_AUTH_HEADER, .token_ref = token }, "header name" },
		{ { .host = host,
		    .auth = POLICY_AUTH_HEADER,
		    .token_ref = token,
		    .auth_header = bad_header },
		  "not a header name" },
		{ { .host = host,
		    .auth = POLICY_AUTH_HEADER,
		    .token_ref = token,
		    .auth_header = upper_header },
		  "not a header name" },
		{ { .host = host,
		    .auth = POLICY_AUTH_BEARER,
		    .token_ref = token,
		    .plain_ports = { 80 },
		    .plain_port_count = 1 },
		  "never travels" },
		{ { .host = host, .auth = (enum policy_auth_kind)7, .token_ref = token },
		  "unknown" },
		{ { .host = host, .matches = &bad[0], .match_count = 1 }, "can never match" },
		{ { .host = host, .matches = &bad[1], .match_count = 1 }, "can never match" },
		{ { .host = host, .matches = &bad[2], .match_count = 1 }, "can never match" },
		{ { .host = host, .matches = &bad[3], .match_count = 1 }, "can never match" },
		{ { .host = host, .matches = &bad[4], .match_count = 1 }, "can never match" },
		{ { .host = host, .matches = &bad[5], .match_count = 1 }, "can never match" },
		{ { .host = host, .matches = &bad[6], .match_count = 1 }, "not a method" },
		{ { .host = host, .matches = bad, .match_count = LIMIT_ROUTE_MATCHES + 1 },
		  "path rules" },
	};
	BB_AUTO(policy) struct policy *p = policy_new();

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		struct bb_err err = { 0 };

		assert_true(policy_add(p, &table[i].route, &err) < 0);
		if (strstr(err.msg, table[i].part) == NULL)
			fail_msg("row %zu: %s", i, err.msg);
		assert_int_equal(p->route_count, 0);
	}
}

static void a_host_has_one_route(void **state)
{
	BB_AUTO(policy) struct policy *p = policy_new();
	struct policy_route exact = full;
	struct bb_err err = { 0 };

	(void)state;
	exact.is_wildcard = false;
	assert_int_equal(policy_add(p, &full, &err), 0);
	assert_int_equal(policy_add(p, &exact, &err), 0);
	assert_error(policy_add(p, &full, &err), -EEXIST, err);
	assert_non_null(strstr(err.msg, "dev.md:12"));
}

static void unknown_versions_and_fields_are_refused(void **state)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };
	struct bb_err err = { 0 };
	struct policy *p = NULL;

	(void)state;
	bb_buf_init(&b, 1024);
	assert_int_equal(bb_tlv_put_u32(&b, 1, 2), 0);
	assert_error(policy_decode(bb_buf_peek(&b), &p, &err), -EPROTO, err);
	bb_buf_reset(&b);
	assert_int_equal(bb_tlv_put_u32(&b, 1, 1), 0);
	assert_int_equal(bb_tlv_put_u32(&b, 9, 1), 0);
	assert_error(policy_decode(bb_buf_peek(&b), &p, &err), -EPROTO, err);
	assert_null(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_decoded_policy_is_the_encoded_one),
		cmocka_unit_test(every_shortened_policy_is_refused),
		cmocka_unit_test(the_default_port_is_443),
		cmocka_unit_test(contradicting_routes_are_refused),
		cmocka_unit_test(a_host_has_one_route),
		cmocka_unit_test(unknown_versions_and_fields_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
