/*
 * The one decision function, as far as hosts go (match.c: requests). The most specific route of a
 * host decides alone: an exact name before a wildcard, the longer suffix before the shorter; a host
 * whose own route refuses a port or path is not rescued by a wider one. No allocation, no state.
 */
#include "policy/policy_impl.h"

#include <stdio.h>
#include <string.h>

/* Does the route's pattern cover the host? The length of the match (longer is more specific), 0:
 * no. */
static size_t match_host(const struct policy_route *r, const char *host)
{
	size_t have = strlen(host);
	size_t want = strlen(r->host);

	if (!r->is_wildcard)
		return strcmp(host, r->host) == 0 ? SIZE_MAX : 0;
	/* The dot keeps "notallowed.test" from matching "*.allowed.test" (N14). */
	if (have <= want + 1 || host[have - want - 1] != '.' ||
	    strcmp(host + have - want, r->host) != 0)
		return 0;
	return want;
}

static const struct policy_route *find_route(const struct policy *p, const char *host)
{
	const struct policy_route *best = NULL;
	size_t best_length = 0;

	for (size_t i = 0; i < p->route_count; i++) {
		size_t length = match_host(&p->routes[i], host);

		if (length > best_length) {
			best = &p->routes[i];
			best_length = length;
		}
	}
	return best;
}

enum policy_private policy_private_of(const struct policy *p, const char *host)
{
	const struct policy_route *r = find_route(p, host);

	return r == NULL ? POLICY_PRIVATE_NONE : r->private;
}

static bool has_port(const uint16_t *ports, size_t count, uint16_t port)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i] == port)
			return true;
	return false;
}

enum policy_reason policy_decide_host(const struct policy *p, const char *host, uint16_t port,
				      bool is_tls, const struct policy_route **ret_route)
{
	const struct policy_route *r;
	bool is_tls_port, is_plain_port;

	if (strchr(host, ':') != NULL || policy_is_numeric(host))
		return POLICY_ADDRESS_LITERAL;
	if (!policy_is_name(host))
		return POLICY_HOST_INVALID;
	r = find_route(p, host);
	if (r == NULL)
		return POLICY_HOST_NOT_ALLOWED;
	is_tls_port = has_port(r->tls_ports, r->tls_port_count, port);
	is_plain_port = has_port(r->plain_ports, r->plain_port_count, port);
	if (!is_tls && is_tls_port)
		return POLICY_PLAIN_NOT_ALLOWED;
	if (is_tls ? !is_tls_port : !is_plain_port)
		return POLICY_PORT_NOT_ALLOWED;
	if (ret_route != NULL)
		*ret_route = r;
	return POLICY_ALLOWED;
}

bool policy_may_dial(const struct policy *p, const char *host, uint16_t port)
{
	return policy_decide_host(p, host, port, true, NULL) == POLICY_ALLOWED ||
	       policy_decide_host(p, host, port, false, NULL) == POLICY_ALLOWED;
}

static const struct {
	const char *word, *text; /* text: after "host 'x' port n" or alone where it says so */
} reasons[POLICY_NUM_REASONS] = {
	[POLICY_ALLOWED] = { "allowed", "is allowed" },
	[POLICY_HOST_NOT_ALLOWED] = { "host_not_allowed", "is not in this bottle's allowlist" },
	[POLICY_PORT_NOT_ALLOWED] = { "port_not_allowed",
				      "is not allowed on this port; its route lists others" },
	[POLICY_HOST_INVALID] = { "host_invalid", "is not a valid host name" },
	[POLICY_ADDRESS_LITERAL] = { "address_literal",
				     "is an address; only host names are allowed" },
	[POLICY_PLAIN_NOT_ALLOWED] = { "plain_not_allowed",
				       "is allowed over TLS only on this port" },
	[POLICY_METHOD_NOT_ALLOWED] = { "method_not_allowed",
					"does not allow this method for this path" },
	[POLICY_PATH_NOT_ALLOWED] = { "path_not_allowed", "does not allow this path" },
	[POLICY_HEADER_NOT_ALLOWED] = { "header_not_allowed",
					"does not allow this request with these headers" },
	[POLICY_QUERY_NOT_ALLOWED] = { "query_not_allowed",
				       "does not allow this request with this query" },
	[POLICY_GIT_PUSH_REFUSED] = { "git_push_refused",
				      "takes no git push over HTTPS (nor LFS) from a bottle" },
	[POLICY_GIT_FETCH_NOT_ALLOWED] = { "git_fetch_not_allowed",
					   "does not allow git over HTTPS" },
	[POLICY_PATH_INVALID] = { "path_invalid", "got a path that is not in a valid form" },
};

const char *policy_reason_word(enum policy_reason r)
{
	return (unsigned)r < POLICY_NUM_REASONS ? reasons[r].word : "unknown";
}

void policy_reason_text(enum policy_reason r, const char *host, uint16_t port, char *dst,
			size_t cap)
{
	const char *text = (unsigned)r < POLICY_NUM_REASONS ? reasons[r].text : "is refused";

	if (host[0] == '\0')
		(void)snprintf(dst, cap, "the host asked for %s", text); /* cut off is fine */
	else
		(void)snprintf(dst, cap, "host '%s' (port %u) %s", host, port, text);
}
