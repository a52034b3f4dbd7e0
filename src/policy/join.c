/* Routes put together: what two presets allow on one host, and a credential beside a preset. */
#include <stdlib.h>
#include <string.h>

#include "policy/policy_impl.h"

static void join_ports(uint16_t *to, size_t *count, const uint16_t *more, size_t more_count)
{
	for (size_t i = 0; i < more_count; i++) {
		bool is_known = false;

		for (size_t k = 0; k < *count && !is_known; k++)
			is_known = to[k] == more[i];
		if (!is_known && *count < LIMIT_ROUTE_PORTS)
			to[(*count)++] = more[i];
	}
}

static void allow_every_request(struct policy_route *r)
{
	for (size_t i = 0; i < r->match_count; i++)
		policy_match_done(&r->matches[i]);
	free(r->matches);
	r->matches = NULL;
	r->match_count = 0;
}

int policy_route_join(struct policy_route *to, const struct policy_route *more, struct bb_err *err)
{
	join_ports(to->tls_ports, &to->tls_port_count, more->tls_ports, more->tls_port_count);
	join_ports(to->plain_ports, &to->plain_port_count, more->plain_ports,
		   more->plain_port_count);
	to->may_git_fetch |= more->may_git_fetch;
	if (to->private == POLICY_PRIVATE_NONE)
		to->private = more->private;
	if (more->rate.requests == 0 || more->rate.requests > to->rate.requests)
		to->rate.requests = to->rate.requests == 0 ? 0 : more->rate.requests;
	if (more->rate.bytes_out == 0 || more->rate.bytes_out > to->rate.bytes_out)
		to->rate.bytes_out = to->rate.bytes_out == 0 ? 0 : more->rate.bytes_out;
	if (to->match_count == 0 || more->match_count == 0) {
		allow_every_request(to);
		return 0;
	}
	return policy_copy_matches(to, more, err);
}

static int copy_text(char **to, const char *from)
{
	free(*to);
	*to = from == NULL ? NULL : strdup(from);
	return from != NULL && *to == NULL ? -ENOMEM : 0;
}

int policy_route_copy_auth(struct policy_route *to, const struct policy_route *from,
			   struct bb_err *err)
{
	to->auth = from->auth;
	if (copy_text(&to->auth_header, from->auth_header) < 0 ||
	    copy_text(&to->auth_query, from->auth_query) < 0 ||
	    copy_text(&to->auth_user, from->auth_user) < 0 ||
	    copy_text(&to->token_ref, from->token_ref) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return 0;
}
