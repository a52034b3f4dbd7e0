/*
 * The binary form of policies, and decisions on them. Behind the first 0xff 0xff 0xff 0xff of the
 * input, if there is one, stands a request: "METHOD PATH QUERY NAME VALUE". Oracle: what decodes,
 * encodes to something that decodes to the same bytes again; every decision ends in a known reason,
 * the same for both policies; what is allowed is allowed by an alternative that a second, naive
 * reading of the rules without regexes agrees with.
 */
#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/policy.h"

BB_DEFINE_AUTO(policy, policy_free)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes a word off; the last one takes what remains. */
static struct bb_view word(struct bb_view *in, bool is_last)
{
	const uint8_t *end = in->n == 0 || is_last ? NULL : memchr(in->p, ' ', in->n);
	struct bb_view v = bb_view_of(in->p, end == NULL ? in->n : (size_t)(end - in->p));

	*in = bb_view_from(*in, end == NULL ? v.n : v.n + 1);
	return v;
}

static bool may_take_path(const struct policy_match *m, struct bb_view path)
{
	for (size_t i = 0; i < m->paths.count; i++) {
		const struct policy_value *v = &m->paths.items[i];
		size_t n = strlen(v->text);

		if (v->how == POLICY_REGEX)
			return true;
		if (path.n >= n && memcmp(path.p, v->text, n) == 0 &&
		    (path.n == n || v->how == POLICY_PREFIX))
			return true;
	}
	return m->paths.count == 0;
}

static bool may_take(const struct policy_match *m, const struct policy_request *q)
{
	bool has_method = m->methods == NULL;

	for (size_t i = 0; m->methods != NULL && m->methods[i] != NULL; i++)
		has_method = has_method || bb_view_eq_str(q->method, m->methods[i]);
	for (size_t i = 0; i < m->headers.count; i++)
		if (q->header_count == 0 ||
		    !bb_view_ieq_str(q->headers[0].name, m->headers.items[i].name))
			return false;
	return has_method && may_take_path(m, q->path) && (m->query.count == 0 || q->query.n > 0);
}

static enum policy_reason decide(const struct policy_route *route, const struct policy_request *q)
{
	enum policy_reason r = policy_decide_request(route, q);
	bool has_one = route->match_count == 0;

	assert(r < POLICY_NUM_REASONS);
	for (size_t i = 0; i < route->match_count; i++)
		has_one = has_one || may_take(&route->matches[i], q);
	assert(r != POLICY_ALLOWED || has_one);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mark[4] = { 0xff, 0xff, 0xff, 0xff };
	const uint8_t *behind = size == 0 ? NULL : memmem(data, size, mark, sizeof(mark));
	struct bb_view request = bb_view_of(data, 0);
	struct bb_field header;
	struct policy_request q = { .headers = &header, .header_count = 1 };
	BB_AUTO(policy) struct policy *p = NULL;
	BB_AUTO(policy) struct policy *again = NULL;
	BB_AUTO_BUF struct bb_buf a = { 0 }, b = { 0 };
	struct bb_err err = { 0 };
	int r;

	if (behind != NULL) {
		request = bb_view_of(behind + 4, size - (size_t)(behind - data) - 4);
		size = (size_t)(behind - data);
	}
	r = policy_decode(bb_view_of(data, size), &p, &err);
	if (r < 0) {
		assert(err.code == r && err.msg[0] != '\0' && p == NULL);
		return 0;
	}
	bb_buf_init(&a, 1 << 20);
	bb_buf_init(&b, 1 << 20);
	assert(policy_encode(p, &a) == 0);
	assert(policy_decode(bb_buf_peek(&a), &again, &err) == 0);
	assert(policy_encode(again, &b) == 0);
	assert(bb_view_eq(bb_buf_peek(&a), bb_buf_peek(&b)));
	q.method = word(&request, false);
	q.path = word(&request, false);
	q.query = word(&request, false);
	header.name = word(&request, false);
	header.value = word(&request, true);
	for (size_t i = 0; i < p->route_count; i++) {
		const struct policy_route *route = &p->routes[i];

		assert(route->auth == POLICY_AUTH_NONE || route->plain_port_count == 0);
		assert(decide(route, &q) == decide(&again->routes[i], &q));
		if (!route->is_wildcard)
			assert(policy_may_dial(p, route->host,
					       route->tls_port_count > 0 ? route->tls_ports[0]
									 : route->plain_ports[0]));
	}
	return 0;
}
