/* policy/policy.c and codec.c: what a route may be, and that the binary form loses nothing. */
#include "../unit.h"

#include "base/cleanup.h"
#include "base/tlv.h"
#include "policy/policy.h"

BB_DEFINE_AUTO(policy, policy_free)

static char host[] = "api.test", token[] = "TOKEN", header[] = "x-api-key", origin[] = "dev.md:12",
	    path[] = "/v1", get[] = "GET", post[] = "POST", accept[] = "accept",
	    json[] = "application/json", state_name[] = "state", open_or_closed[] = "open|closed";
static char *methods[] = { get, post, NULL };
static struct policy_value paths[] = { { .how = POLICY_PREFIX, .text = path },
				       { .how = POLICY_EXACT, .text = path } },
			   headers[] = { { .how = POLICY_EXACT, .name = accept, .text = json } },
			   query[] = { { .how = POLICY_REGEX,
					 .name = state_name,
					 .text = open_or_closed } };
static struct policy_match matches[] = { { .methods = methods,
					   .paths = { paths, 2 },
					   .headers = { headers, 1 },
					   .query = { query, 1 } },
					 { 0 } };

static const struct policy_route full = {
	.host = host,
	.is_wildcard = true,
	.tls_ports = { 443, 8443 },
	.tls_port_count = 2,
	.auth = POLICY_AUTH_HEADER,
	.auth_header = header,
	.token_ref = token,
	.may_git_fetch = true,
	.rate = { .requests = 100, .bytes_out = 1ull << 40 },
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
					    .plain_port_count = 1,
					    .private = POLICY_PRIVATE_LOOPBACK };
	struct bb_err err = { 0 };

	(void)state;
	bb_buf_init(&a, 65536);
	bb_buf_init(&b, 65536);
	assert_int_equal(policy_add(p, &full, &err), 0);
	assert_int_equal(policy_add(p, &plain, &err), 0);
	p->log = 2;
	assert_int_equal(policy_encode(p, &a), 0);
	assert_int_equal(policy_decode(bb_buf_peek(&a), &q, &err), 0);
	assert_int_equal(policy_encode(q, &b), 0);
	assert_int_equal(q->log, 2);
	assert_true(q->routes[0].may_git_fetch);
	assert_int_equal(q->routes[0].rate.requests, 100);
	assert_true(q->routes[0].rate.bytes_out == 1ull << 40);
	assert_int_equal(q->routes[1].private, POLICY_PRIVATE_LOOPBACK);
	assert_int_equal(policy_private_of(q, "api.test"), POLICY_PRIVATE_LOOPBACK);
	assert_int_equal(policy_private_of(q, "x.api.test"), POLICY_PRIVATE_NONE);
	assert_true(bb_view_eq(bb_buf_peek(&a), bb_buf_peek(&b)));
	assert_int_equal(q->route_count, 2);
	assert_string_equal(q->routes[0].auth_header, header);
	assert_string_equal(q->routes[0].matches[0].methods[1], "POST");
	assert_int_equal(q->routes[0].matches[0].paths.count, 2);
	assert_int_equal(q->routes[0].matches[0].paths.items[0].how, POLICY_PREFIX);
	assert_string_equal(q->routes[0].matches[0].headers.items[0].name, "accept");
	assert_string_equal(q->routes[0].matches[0].query.items[0].text, "open|closed");
	assert_non_null(q->routes[0].matches[0].query.items[0].regex);
	assert_int_equal(q->routes[0].matches[1].paths.count, 0);
	assert_int_equal(q->routes[0].tls_ports[1], 8443);
	assert_int_equal(q->routes[1].plain_ports[0], 80);
	assert_int_equal(q->routes[1].tls_port_count, 0);
}

static void each_kind_of_auth_is_kept(void **state)
{
	static char user[] = "me", parameter[] = "key";
	const struct policy_route kinds[] = {
		{ .host = host, .auth = POLICY_AUTH_TOKEN, .token_ref = token },
		{ .host = host, .auth = POLICY_AUTH_BASIC, .token_ref = token },
		{ .host = host, .auth = POLICY_AUTH_BASIC, .token_ref = token, .auth_user = user },
		{ .host = host,
		  .auth = POLICY_AUTH_QUERY,
		  .token_ref = token,
		  .auth_query = parameter },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(kinds); i++) {
		BB_AUTO(policy) struct policy *p = policy_new();
		BB_AUTO(policy) struct policy *q = NULL;
		BB_AUTO_BUF struct bb_buf a = { 0 };
		struct bb_err err = { 0 };

		bb_buf_init(&a, 65536);
		assert_int_equal(policy_add(p, &kinds[i], &err), 0);
		assert_int_equal(policy_encode(p, &a), 0);
		assert_int_equal(policy_decode(bb_buf_peek(&a), &q, &err), 0);
		assert_int_equal(q->routes[0].auth, kinds[i].auth);
		assert_int_equal(q->routes[0].auth_user != NULL, kinds[i].auth_user != NULL);
		if (kinds[i].auth_query != NULL)
			assert_string_equal(q->routes[0].auth_query, "key");
	}
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

		if (n == 20) /* version and log: an empty policy, which denies everything */
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
		    lower[] = "get";
	static char *lower_methods[] = { lower, NULL };
	static struct policy_value none[LIMIT_MATCH_PATHS + 1];
	static struct policy_match bad[] = {
		{ .methods = lower_methods },
		{ .paths = { none, LIMIT_MATCH_PATHS + 1 } },
		{ .headers = { none, LIMIT_MATCH_FIELDS + 1 } },
	};
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
		{ { .host = host, .is_wildcard = true, .private = POLICY_PRIVATE_NETWORKS },
		  "one exact host" },
		{ { .host = host, .private = (enum policy_private)3 }, "unknown" },
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
		{ { .host = host, .auth = POLICY_AUTH_QUERY, .token_ref = token }, "a parameter" },
		{ { .host = host,
		    .auth = POLICY_AUTH_QUERY,
		    .token_ref = token,
		    .auth_query = bad_header },
		  "not the name of a parameter" },
		{ { .host = host,
		    .auth = POLICY_AUTH_BEARER,
		    .token_ref = token,
		    .auth_user = lower },
		  "a user belongs to" },
		{ { .host = host,
		    .auth = POLICY_AUTH_BASIC,
		    .token_ref = token,
		    .auth_user = bad_header },
		  "letters, digits" },
		{ { .host = host, .matches = &bad[0], .match_count = 1 }, "not a method" },
		{ { .host = host, .matches = &bad[1], .match_count = 1 }, "more than 32 paths" },
		{ { .host = host, .matches = &bad[2], .match_count = 1 }, "more than 16 headers" },
		{ { .host = host, .matches = bad, .match_count = LIMIT_ROUTE_MATCHES + 1 },
		  "alternatives" },
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

static void values_that_can_never_match_are_refused(void **state)
{
	static char relative[] = "v1", dots[] = "/a/../b", empty_segment[] = "/a//b",
		    dot_parameter[] = "/a/..;/b", question[] = "/a?b", encoded[] = "/%61",
		    upper_name[] = "Accept", space_name[] = "a b", bad_regex[] = "(a",
		    control[] = "a\tb", beyond[] = "/caf\xc3\xa9";
	static const struct {
		struct policy_value value;
		enum policy_place place;
		const char *part;
	} table[] = {
		{ { .text = relative }, POLICY_PATHS, "write it from '/'" },
		{ { .text = dots }, POLICY_PATHS, "write it from '/'" },
		{ { .text = empty_segment }, POLICY_PATHS, "write it from '/'" },
		{ { .text = dot_parameter }, POLICY_PATHS, "write it from '/'" },
		{ { .text = question }, POLICY_PATHS, "write it from '/'" },
		{ { .text = encoded }, POLICY_PATHS, "write it from '/'" },
		{ { .how = POLICY_PREFIX, .text = relative }, POLICY_PATHS, "write it from '/'" },
		{ { .how = POLICY_REGEX, .text = bad_regex }, POLICY_PATHS, "without its ')'" },
		{ { .text = control }, POLICY_PATHS, "visible ASCII" },
		{ { .text = beyond }, POLICY_PATHS, "visible ASCII" },
		{ { .text = NULL }, POLICY_PATHS, "visible ASCII" },
		{ { .how = (enum policy_compare)3, .text = path }, POLICY_PATHS, "unknown" },
		{ { .name = accept, .text = path }, POLICY_PATHS, "a name belongs to" },
		{ { .text = json }, POLICY_HEADERS, "a name belongs to" },
		{ { .name = upper_name, .text = json }, POLICY_HEADERS, "not a header name" },
		{ { .name = space_name, .text = json }, POLICY_HEADERS, "not a header name" },
		{ { .how = POLICY_PREFIX, .name = accept, .text = json },
		  POLICY_HEADERS,
		  "only a path can be a prefix" },
		{ { .how = POLICY_REGEX, .name = accept, .text = bad_regex },
		  POLICY_HEADERS,
		  "without its ')'" },
		{ { .name = control, .text = json }, POLICY_QUERY, "is not a name" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		struct bb_err err = { 0 };

		assert_true(policy_check_value(&table[i].value, table[i].place, &err) < 0);
		if (strstr(err.msg, table[i].part) == NULL)
			fail_msg("row %zu: %s", i, err.msg);
	}
	for (size_t i = 0; i < BB_ARRAY_LEN(paths); i++)
		assert_int_equal(policy_check_value(&paths[i], POLICY_PATHS, NULL), 0);
	assert_int_equal(policy_check_value(&headers[0], POLICY_HEADERS, NULL), 0);
	assert_int_equal(policy_check_value(&query[0], POLICY_QUERY, NULL), 0);
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
	assert_int_equal(bb_tlv_put_u32(&b, 1, 1), 0);
	assert_error(policy_decode(bb_buf_peek(&b), &p, &err), -EPROTO, err);
	bb_buf_reset(&b);
	assert_int_equal(bb_tlv_put_u32(&b, 1, 3), 0);
	assert_error(policy_decode(bb_buf_peek(&b), &p, &err), -EPROTO, err); /* no log */
	assert_int_equal(bb_tlv_put_u32(&b, 3, 0), 0);
	assert_int_equal(bb_tlv_put_u32(&b, 9, 1), 0);
	assert_error(policy_decode(bb_buf_peek(&b), &p, &err), -EPROTO, err);
	assert_null(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_decoded_policy_is_the_encoded_one),
		cmocka_unit_test(each_kind_of_auth_is_kept),
		cmocka_unit_test(every_shortened_policy_is_refused),
		cmocka_unit_test(the_default_port_is_443),
		cmocka_unit_test(contradicting_routes_are_refused),
		cmocka_unit_test(values_that_can_never_match_are_refused),
		cmocka_unit_test(a_host_has_one_route),
		cmocka_unit_test(unknown_versions_and_fields_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
