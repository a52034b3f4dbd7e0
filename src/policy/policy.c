/*
 * The routes of a bottle: building and checking them. Both the CLI (from manifests) and the roles
 * (from encoded bytes) come through policy_add(), so what a decoded policy may contain is exactly
 * what a manifest may say.
 */
#include "policy/policy_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "policy/regex.h"

#define POLICY_TEXT_MAX 1024 /* bytes of token_ref and origin */

struct policy *policy_new(void)
{
	return calloc(1, sizeof(struct policy));
}

void policy_route_done(struct policy_route *r)
{
	for (size_t i = 0; i < r->match_count; i++)
		policy_match_done(&r->matches[i]);
	free(r->matches);
	free(r->host);
	free(r->auth_header);
	free(r->auth_query);
	free(r->auth_user);
	free(r->token_ref);
	free(r->origin);
}

void policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->route_count; i++)
		policy_route_done(&p->routes[i]);
	free(p->routes);
	free(p);
}

bool policy_is_token(const char *s)
{
	size_t n = strspn(s, "!#$%&'*+-.^_`|~0123456789"
			     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n > 0 && s[n] == '\0';
}

bool policy_has_upper(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			return true;
	return false;
}

static int check_ports(const struct policy_route *r, struct bb_err *err)
{
	if (r->tls_port_count > LIMIT_ROUTE_PORTS || r->plain_port_count > LIMIT_ROUTE_PORTS)
		return bb_err_set(err, -EINVAL, "host '%s' has more than %d ports", r->host,
				  LIMIT_ROUTE_PORTS);
	for (size_t i = 0; i < r->tls_port_count; i++)
		if (r->tls_ports[i] == 0)
			return bb_err_set(err, -EINVAL, "host '%s': port 0 does not exist",
					  r->host);
	for (size_t i = 0; i < r->plain_port_count; i++) {
		if (r->plain_ports[i] == 0)
			return bb_err_set(err, -EINVAL, "host '%s': port 0 does not exist",
					  r->host);
		for (size_t k = 0; k < r->tls_port_count; k++)
			if (r->plain_ports[i] == r->tls_ports[k])
				return bb_err_set(err, -EINVAL,
						  "host '%s': port %u is listed for TLS and for "
						  "plain HTTP",
						  r->host, r->plain_ports[i]);
	}
	return 0;
}

const char *policy_auth_scheme(enum policy_auth_kind kind)
{
	static const char *const names[POLICY_NUM_AUTH_KINDS] = {
		[POLICY_AUTH_BEARER] = "Bearer",
		[POLICY_AUTH_TOKEN] = "token",
		[POLICY_AUTH_BASIC] = "Basic",
	};

	return (unsigned)kind < POLICY_NUM_AUTH_KINDS ? names[kind] : NULL;
}

/* A query parameter's name, or the user of Basic: what needs no encoding and splits nothing. */
static bool is_unreserved(const char *s)
{
	size_t n = strspn(s, "-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n > 0 && n <= LIMIT_MATCH_NAME && s[n] == '\0';
}

static int check_auth_names(const struct policy_route *r, struct bb_err *err)
{
	if ((r->auth == POLICY_AUTH_HEADER) != (r->auth_header != NULL))
		return bb_err_set(err, -EINVAL, "host '%s': a header name belongs to header auth",
				  r->host);
	if ((r->auth == POLICY_AUTH_QUERY) != (r->auth_query != NULL))
		return bb_err_set(err, -EINVAL, "host '%s': a parameter belongs to query auth",
				  r->host);
	if (r->auth != POLICY_AUTH_BASIC && r->auth_user != NULL)
		return bb_err_set(err, -EINVAL, "host '%s': a user belongs to Basic auth", r->host);
	if (r->auth_header != NULL &&
	    (!policy_is_token(r->auth_header) || policy_has_upper(r->auth_header) ||
	     strlen(r->auth_header) > LIMIT_MATCH_NAME))
		return bb_err_set(err, -EINVAL, "host '%s': '%s' is not a header name", r->host,
				  BB_ESCAPED(bb_view_str(r->auth_header)));
	if (r->auth_query != NULL && !is_unreserved(r->auth_query))
		return bb_err_set(err, -EINVAL, "host '%s': '%s' is not the name of a parameter",
				  r->host, BB_ESCAPED(bb_view_str(r->auth_query)));
	if (r->auth_user != NULL && !is_unreserved(r->auth_user))
		return bb_err_set(err, -EINVAL,
				  "host '%s': user '%s' is not 1 to %d letters, digits and -._~",
				  r->host, BB_ESCAPED(bb_view_str(r->auth_user)), LIMIT_MATCH_NAME);
	return 0;
}

static int check_auth(const struct policy_route *r, struct bb_err *err)
{
	int result;

	if ((unsigned)r->auth >= POLICY_NUM_AUTH_KINDS)
		return bb_err_set(err, -EINVAL, "host '%s': auth kind %u is unknown", r->host,
				  (unsigned)r->auth);
	result = check_auth_names(r, err);
	if (result < 0)
		return result;
	if ((r->auth != POLICY_AUTH_NONE) != (r->token_ref != NULL))
		return bb_err_set(err, -EINVAL, "host '%s': a token reference belongs to auth",
				  r->host);
	if (r->auth == POLICY_AUTH_NONE)
		return 0;
	if (r->plain_port_count > 0)
		return bb_err_set(err, -EINVAL,
				  "host '%s' has auth and plain ports: a credential never travels "
				  "over plain HTTP",
				  r->host);
	if (r->token_ref[0] == '\0' || strlen(r->token_ref) > POLICY_TEXT_MAX)
		return bb_err_set(err, -EINVAL,
				  "host '%s': the token reference is empty or longer "
				  "than %d bytes",
				  r->host, POLICY_TEXT_MAX);
	return 0;
}

static int check_private(const struct policy_route *r, struct bb_err *err)
{
	if ((unsigned)r->private >= POLICY_NUM_PRIVATES)
		return bb_err_set(err, -EINVAL, "host '%s': private %u is unknown", r->host,
				  (unsigned)r->private);
	if (r->private != POLICY_PRIVATE_NONE && r->is_wildcard)
		return bb_err_set(err, -EINVAL,
				  "host '*.%s': private addresses need one exact host", r->host);
	return 0;
}

static int check_route(const struct policy *p, const struct policy_route *r, struct bb_err *err)
{
	int result;

	if (p->route_count >= LIMIT_ROUTES)
		return bb_err_set(err, BB_E_LIMIT, "there are more than %d routes", LIMIT_ROUTES);
	if (r->host == NULL || !policy_is_name(r->host) || policy_is_numeric(r->host) ||
	    (r->is_wildcard && strchr(r->host, '.') == NULL))
		return bb_err_set(err, -EINVAL, "'%s' is not a host",
				  r->host == NULL ? "" : BB_ESCAPED(bb_view_str(r->host)));
	if (r->origin != NULL && strlen(r->origin) > POLICY_TEXT_MAX)
		return bb_err_set(err, -EINVAL, "host '%s': its origin is too long", r->host);
	for (size_t i = 0; i < p->route_count; i++)
		if (p->routes[i].is_wildcard == r->is_wildcard &&
		    strcmp(p->routes[i].host, r->host) == 0)
			return bb_err_set(err, -EEXIST, "host '%s%s' has two routes%s%s",
					  r->is_wildcard ? "*." : "", r->host,
					  p->routes[i].origin == NULL ? "" : ", the first at ",
					  p->routes[i].origin == NULL ? "" : p->routes[i].origin);
	result = check_ports(r, err);
	if (result == 0)
		result = check_private(r, err);
	if (result == 0)
		result = check_auth(r, err);
	if (result == 0)
		result = policy_check_matches(r, err);
	return result;
}

static int copy_str(char **dst, const char *src)
{
	if (src == NULL)
		return 0;
	*dst = strdup(src);
	return *dst == NULL ? -ENOMEM : 0;
}

/* dst is zeroed and may be left half-built: policy_route_done() frees it. */
static int copy_route(struct policy_route *dst, const struct policy_route *src, struct bb_err *err)
{
	dst->is_wildcard = src->is_wildcard;
	dst->auth = src->auth;
	dst->private = src->private;
	dst->may_git_fetch = src->may_git_fetch;
	dst->rate = src->rate;
	memcpy(dst->tls_ports, src->tls_ports, sizeof(dst->tls_ports));
	dst->tls_port_count = src->tls_port_count;
	memcpy(dst->plain_ports, src->plain_ports, sizeof(dst->plain_ports));
	dst->plain_port_count = src->plain_port_count;
	if (dst->tls_port_count == 0 && dst->plain_port_count == 0)
		dst->tls_ports[dst->tls_port_count++] = 443;
	if (copy_str(&dst->host, src->host) < 0 ||
	    copy_str(&dst->auth_header, src->auth_header) < 0 ||
	    copy_str(&dst->auth_query, src->auth_query) < 0 ||
	    copy_str(&dst->auth_user, src->auth_user) < 0 ||
	    copy_str(&dst->token_ref, src->token_ref) < 0 ||
	    copy_str(&dst->origin, src->origin) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return policy_copy_matches(dst, src, err);
}

static size_t regex_bytes(const struct policy_values *list)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].regex != NULL)
			bytes += policy_regex_size(list->items[i].regex);
	return bytes;
}

/* Egress and dialler each hold all tables, for as long as the bottle lives. */
static int count_regexes(struct policy *p, const struct policy_route *r, struct bb_err *err)
{
	size_t bytes = p->regex_bytes;

	for (size_t i = 0; i < r->match_count; i++)
		bytes += regex_bytes(&r->matches[i].paths) + regex_bytes(&r->matches[i].headers) +
			 regex_bytes(&r->matches[i].query);
	if (bytes > LIMIT_POLICY_REGEXES)
		return bb_err_set(err, BB_E_LIMIT,
				  "host '%s': the regexes of all routes together need more than "
				  "%d KiB; make them simpler",
				  r->host, LIMIT_POLICY_REGEXES / 1024);
	p->regex_bytes = bytes;
	return 0;
}

int policy_add(struct policy *p, const struct policy_route *route, struct bb_err *err)
{
	__attribute__((cleanup(policy_route_done))) struct policy_route copy = { 0 };
	struct policy_route *grown;
	int r = check_route(p, route, err);

	if (r == 0)
		r = copy_route(&copy, route, err);
	if (r == 0)
		r = count_regexes(p, &copy, err);
	if (r < 0)
		return r;
	grown = reallocarray(p->routes, p->route_count + 1, sizeof(*grown));
	if (grown == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	p->routes = grown;
	p->routes[p->route_count++] = copy;
	copy = (struct policy_route){ 0 };
	return 0;
}
