/* policy/yaml.c: a route as people read it. That the parser reads it back: manifest-bottle. */
#include "../unit.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "policy/policy.h"

static void check(const struct policy_route *route, unsigned indent, const char *want)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	BB_AUTO_FREE char *got = NULL;

	bb_buf_init(&out, 65536);
	assert_int_equal(policy_put_yaml(route, indent, &out), 0);
	got = bb_buf_dup_str(&out);
	assert_string_equal(got, want);
}

static void a_route_is_written_as_a_manifest_says_it(void **state)
{
	static char host[] = "api.test", origin[] = "bottles/dev.md:12", token[] = "GH_PAT",
		    header[] = "x-api-key";
	struct policy_route bare = { .host = host, .tls_ports = { 443 }, .tls_port_count = 1 };
	struct policy_route full = { .host = host,
				     .is_wildcard = true,
				     .tls_ports = { 443, 8443 },
				     .tls_port_count = 2,
				     .plain_ports = { 80 },
				     .plain_port_count = 1,
				     .auth = POLICY_AUTH_HEADER,
				     .auth_header = header,
				     .token_ref = token,
				     .private = POLICY_PRIVATE_NETWORKS,
				     .may_git_fetch = true,
				     .rate = { .requests = 60, .bytes_out = 1048576 },
				     .origin = origin };
	struct policy_match *m = policy_match_add(&full);

	(void)state;
	check(&bare, 0, "- host: api.test\n  ports: [443]\n");
	assert_int_equal(bb_strv_push(&m->methods, strdup("GET")), 0);
	assert_int_equal(bb_strv_push(&m->methods, strdup("POST")), 0);
	policy_value_add(&m->paths, POLICY_PREFIX, NULL, "/repos/a/");
	policy_value_add(&m->paths, POLICY_REGEX, NULL, "/x/[^/]+\\.\"y\"");
	policy_value_add(&m->headers, POLICY_EXACT, "accept", "application/json");
	policy_value_add(&m->query, POLICY_EXACT, "page", "1");
	m = policy_match_add(&full);
	policy_value_add(&m->query, POLICY_EXACT, "q", "null");
	(void)policy_match_add(&full);
	check(&full, 4,
	      "    - host: \"*.api.test\"  # bottles/dev.md:12\n"
	      "      ports: [443, 8443]\n"
	      "      plain_ports: [80]\n"
	      "      auth: {header: x-api-key, token_ref: GH_PAT}\n"
	      "      private: true\n"
	      "      git: {fetch: true}\n"
	      "      rate: {requests: 60, bytes_out: 1048576}\n"
	      "      matches:\n"
	      "        - methods: [GET, POST]\n"
	      "          paths:\n"
	      "            - {type: prefix, value: /repos/a/}\n"
	      "            - {type: regex, value: \"/x/[^/]+\\\\.\\\"y\\\"\"}\n"
	      "          headers:\n"
	      "            - {name: accept, type: exact, value: application/json}\n"
	      "          query:\n"
	      "            - {name: page, type: exact, value: \"1\"}\n"
	      "        - query:\n"
	      "            - {name: q, type: exact, value: \"null\"}\n"
	      "        - paths:\n"
	      "            - {type: prefix, value: /}\n");
	policy_route_done(
		&(struct policy_route){ .matches = full.matches, .match_count = full.match_count });
}

static void a_buffer_that_is_too_small_is_said(void **state)
{
	static char host[] = "api.test";
	const struct policy_route route = { .host = host,
					    .tls_ports = { 443 },
					    .tls_port_count = 1 };

	(void)state;
	for (size_t cap = 0; cap < strlen("- host: api.test\n  ports: [443]\n"); cap++) {
		BB_AUTO_BUF struct bb_buf out = { 0 };

		bb_buf_init(&out, cap);
		assert_true(policy_put_yaml(&route, 0, &out) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_route_is_written_as_a_manifest_says_it),
		cmocka_unit_test(a_buffer_that_is_too_small_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
