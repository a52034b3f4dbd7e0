/*
 * Credential pinning: a host with a bound credential gets ours and no other. Of what the guest
 * sends, a field that carries a credential by its name or its value stays behind (so that an
 * agent's placeholder does no harm), one in the query is refused, user information has been refused
 * with the target. So that ours does not come back, the host is asked for what can be looked
 * through: not compressed, and not in ranges, in two of which a secret could be cut.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "http/encode.h"
#include "http/field.h"
#include "http/query.h"
#include "http/write.h"
#include "role/egress/egress_impl.h"

#define VALUE_MAX (3 * LIMIT_SECRET + 256)

const struct egress_auth *credential_of(const struct egress *e, const struct policy_route *route)
{
	if (route == NULL || route->auth == POLICY_AUTH_NONE)
		return NULL;
	return &e->auths[route - e->policy->routes];
}

static int put_base64(struct bb_buf *out, struct bb_view v)
{
	size_t room = v.n / 3 * 4 + 5;
	uint8_t *p = bb_buf_reserve(out, room);

	if (p == NULL || bb_base64(v, (char *)p, room) < 0)
		return -ENOMEM;
	bb_buf_commit(out, strlen((char *)p));
	return 0;
}

static int put_basic(struct bb_buf *out, const struct policy_route *r, struct bb_view secret)
{
	BB_AUTO_WIPE struct bb_buf pair = { 0 };
	int result = 0;

	bb_buf_init(&pair, VALUE_MAX);
	if (bb_buf_reserve(&pair, VALUE_MAX) == NULL)
		return -ENOMEM;
	if (r->auth_user != NULL)
		result = bb_buf_printf(&pair, "%s:", r->auth_user);
	if (result == 0)
		result = bb_buf_append_view(&pair, secret);
	if (result == 0)
		result = bb_buf_append_str(out, "Basic ");
	return result < 0 ? result : put_base64(out, bb_buf_peek(&pair));
}

static int put_value(struct bb_buf *out, const struct policy_route *r, struct bb_view secret)
{
	int result = 0;

	switch (r->auth) {
	case POLICY_AUTH_BASIC:
		return put_basic(out, r, secret);
	case POLICY_AUTH_QUERY:
		return http_encode(out, secret, HTTP_ENCODE_PERCENT_UPPER);
	case POLICY_AUTH_BEARER:
	case POLICY_AUTH_TOKEN:
		result = bb_buf_printf(out, "%s ", policy_auth_scheme(r->auth));
		break;
	case POLICY_AUTH_HEADER:
	case POLICY_AUTH_NONE:
		break;
	}
	return result < 0 ? result : bb_buf_append_view(out, secret);
}

/* What must not come back: of "user:password" the password. */
static int find_hidden(const struct policy_route *r, struct bb_view secret, struct bb_view *ret,
		       struct bb_err *err)
{
	const uint8_t *colon;

	*ret = secret;
	if (r->auth != POLICY_AUTH_BASIC || r->auth_user != NULL)
		return 0;
	colon = memchr(secret.p, ':', secret.n);
	if (colon == NULL)
		return bb_err_set(err, -EINVAL,
				  "the secret '%s' of host '%s' is not 'user:password'; put both "
				  "into the variable, or say 'user: NAME' in the route's auth",
				  r->token_ref, r->host);
	*ret = bb_view_from(secret, (size_t)(colon - secret.p) + 1);
	return 0;
}

static int prepare(const struct egress *e, const struct policy_route *r, struct egress_auth *ret,
		   struct bb_err *err)
{
	const struct bb_secret *secret = egress_find_secret(e, r->token_ref);
	BB_AUTO_WIPE struct bb_buf value = { 0 };
	struct bb_view hidden = { 0 };
	int result;

	/* A route whose credential never came would send the agent's placeholder, or nothing. */
	if (secret == NULL)
		return bb_err_set(err, -EPROTO, "no secret came for '%s' of host '%s'",
				  r->token_ref, r->host);
	result = find_hidden(r, bb_secret_peek(secret), &hidden, err);
	if (result == 0)
		result = http_scrub_new(hidden, &ret->scrub, err);
	if (result < 0)
		return bb_err_wrap(err, "the secret '%s'", r->token_ref);
	bb_buf_init(&value, VALUE_MAX);
	if (bb_buf_reserve(&value, VALUE_MAX) != NULL &&
	    put_value(&value, r, bb_secret_peek(secret)) == 0)
		ret->value = bb_secret_new(bb_buf_peek(&value).p, bb_buf_size(&value));
	if (ret->value == NULL)
		return bb_err_set(err, -ENOMEM, "cannot lock memory for the secret '%s'",
				  r->token_ref);
	return 0;
}

int credential_prepare(struct egress *e, struct bb_err *err)
{
	int r = 0;

	e->auths = calloc(e->policy->route_count + 1, sizeof(*e->auths));
	if (e->auths == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < e->policy->route_count; i++)
		if (e->policy->routes[i].auth != POLICY_AUTH_NONE)
			r = prepare(e, &e->policy->routes[i], &e->auths[i], err);
	return r;
}

void credential_forget(struct egress *e)
{
	for (size_t i = 0; e->auths != NULL && i < e->policy->route_count; i++) {
		bb_secret_free(e->auths[i].value);
		http_scrub_free(e->auths[i].scrub);
	}
	free(bb_take_ptr(&e->auths));
}

bool credential_keeps(const struct policy_route *route, const struct bb_field *f)
{
	static const char *const hiding[] = { "accept-encoding", "range", "if-range" };

	if (route->auth == POLICY_AUTH_NONE)
		return true;
	for (size_t i = 0; i < BB_ARRAY_LEN(hiding); i++)
		if (bb_view_ieq_str(f->name, hiding[i]))
			return false;
	return !http_is_credential_field(f->name) && !http_is_credential_value(f->value) &&
	       (route->auth_header == NULL || !bb_view_ieq_str(f->name, route->auth_header));
}

bool credential_is_foreign(const struct policy_route *route, struct bb_view query)
{
	return route->auth != POLICY_AUTH_NONE &&
	       http_has_credential_query(query, route->auth_query);
}

int credential_put_target(const struct tunnel *t, struct bb_buf *out, struct bb_view path,
			  struct bb_view query)
{
	const struct policy_route *route = t->request.route;
	size_t start;
	int r = bb_buf_append_view(out, path);

	if (route->auth != POLICY_AUTH_QUERY) {
		if (r == 0 && query.n > 0)
			r = bb_buf_append_byte(out, '?');
		return r < 0 ? r : bb_buf_append_view(out, query);
	}
	start = bb_buf_size(out);
	if (r == 0)
		r = http_put_query_without(out, query, route->auth_query);
	if (r == 0)
		r = bb_buf_printf(out, "%c%s=", bb_buf_size(out) == start ? '?' : '&',
				  route->auth_query);
	return r < 0 ? r
		     : bb_buf_append_view(out,
					  bb_secret_peek(credential_of(t->egress, route)->value));
}

int credential_put_fields(const struct tunnel *t, struct bb_buf *out)
{
	const struct policy_route *route = t->request.route;
	const struct egress_auth *auth = credential_of(t->egress, route);
	int r;

	if (auth == NULL)
		return 0;
	r = http_put_field(out, "Accept-Encoding", bb_view_str("identity"));
	if (r < 0 || route->auth == POLICY_AUTH_QUERY)
		return r;
	return http_put_field(
		out, route->auth == POLICY_AUTH_HEADER ? route->auth_header : "Authorization",
		bb_secret_peek(auth->value));
}
