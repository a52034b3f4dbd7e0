/* What egress is given: the routes of provider and manifest, their ports, their tokens' names. */
#include "cli/config_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static bool is_same_host(const struct policy_route *a, const struct policy_route *b)
{
	return a->is_wildcard == b->is_wildcard && strcmp(a->host, b->host) == 0;
}

/* The provider's routes first; a manifest's route for the same host loses, and is named. */
int config_merge_policy(struct cli_config *c, struct bb_err *err)
{
	const struct policy *from = c->bottle->policy;
	int r = 0;

	c->policy = policy_new();
	if (c->policy == NULL)
		return config_no_memory(err);
	c->policy->log = c->bottle->log;
	for (size_t i = 0; r == 0 && i < c->plan->route_count; i++)
		r = policy_add(c->policy, &c->plan->routes[i], err);
	for (size_t i = 0; r == 0 && i < from->route_count; i++) {
		size_t k = 0;

		while (k < c->plan->route_count &&
		       !is_same_host(&c->plan->routes[k], &from->routes[i]))
			k++;
		if (k == c->plan->route_count)
			r = policy_add(c->policy, &from->routes[i], err);
		else
			r = config_note(
				c,
				bb_text_printf("the route for %s of %s is not used: provider %s "
					       "brings its own",
					       from->routes[i].host, from->routes[i].origin,
					       c->provider->name),
				err);
	}
	return r;
}

static int add_port(struct cli_config *c, uint16_t port, struct bb_err *err)
{
	uint16_t *grown;

	if (port == 80 || port == 443)
		return 0;
	for (size_t i = 0; i < c->port_count; i++)
		if (c->ports[i] == port)
			return 0;
	grown = reallocarray(c->ports, c->port_count + 1, sizeof(*grown));
	if (grown == NULL)
		return config_no_memory(err);
	c->ports = grown;
	grown[c->port_count++] = port;
	return 0;
}

int config_collect_ports(struct cli_config *c, struct bb_err *err)
{
	int r = 0;

	for (size_t i = 0; i < c->policy->route_count; i++) {
		const struct policy_route *route = &c->policy->routes[i];

		for (size_t k = 0; r == 0 && k < route->tls_port_count; k++)
			r = add_port(c, route->tls_ports[k], err);
		for (size_t k = 0; r == 0 && k < route->plain_port_count; k++)
			r = add_port(c, route->plain_ports[k], err);
	}
	return r;
}

int config_collect_tokens(struct cli_config *c, struct bb_err *err)
{
	for (size_t i = 0; i < c->policy->route_count; i++) {
		const struct policy_route *route = &c->policy->routes[i];
		const char *value;

		if (route->token_ref == NULL || config_is_in(c->token_refs, route->token_ref))
			continue;
		value = getenv(route->token_ref);
		if (c->may_lack_tokens && (value == NULL || value[0] == '\0')) {
			int r = config_note(c, bb_text_printf("%s is not set", route->token_ref),
					    err);

			if (r < 0)
				return r;
		} else if (value == NULL || value[0] == '\0')
			return bb_err_set(err, BB_E_USAGE,
					  "variable %s, the token for '%s' (%s), is %s; export it "
					  "before the start",
					  route->token_ref, route->host, route->origin,
					  value == NULL ? "not set" : "empty");
		if (bb_strv_push(&c->token_refs, strdup(route->token_ref)) < 0)
			return config_no_memory(err);
	}
	return 0;
}
