/* The binary form of policies. Oracle: what decodes, encodes to something that decodes to the same
 * bytes again, and every decision on it ends in a known reason. */
#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/policy.h"

BB_DEFINE_AUTO(policy, policy_free)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BB_AUTO(policy) struct policy *p = NULL;
	BB_AUTO(policy) struct policy *q = NULL;
	BB_AUTO_BUF struct bb_buf a = { 0 }, b = { 0 };
	struct bb_err err = { 0 };
	int r = policy_decode(bb_view_of(data, size), &p, &err);

	if (r < 0) {
		assert(err.code == r && err.msg[0] != '\0' && p == NULL);
		return 0;
	}
	bb_buf_init(&a, 1 << 20);
	bb_buf_init(&b, 1 << 20);
	assert(policy_encode(p, &a) == 0);
	assert(policy_decode(bb_buf_peek(&a), &q, &err) == 0);
	assert(policy_encode(q, &b) == 0);
	assert(bb_view_eq(bb_buf_peek(&a), bb_buf_peek(&b)));
	for (size_t i = 0; i < p->route_count; i++) {
		const struct policy_route *route = &p->routes[i];

		assert(route->auth == POLICY_AUTH_NONE || route->plain_port_count == 0);
		assert(policy_decide_request(route, bb_view_str("GET"), bb_view_str("/a")) <
		       POLICY_NUM_REASONS);
		if (!route->is_wildcard)
			assert(policy_may_dial(p, route->host,
					       route->tls_port_count > 0 ? route->tls_ports[0]
									 : route->plain_ports[0]));
	}
	return 0;
}
