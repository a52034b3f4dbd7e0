/*
 * The binary form of a policy: typed fields (base/tlv.h), nested: policy, route, match, value.
 * Decoding builds through policy_add(), so a decoded policy has passed every check of a written
 * one.
 */
#include "policy/policy_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/text.h"
#include "base/tlv.h"

#define POLICY_VERSION   3
#define POLICY_ROUTE_MAX 65536 /* bytes of one encoded route, and of one of its alternatives */

enum policy_tag {
	POLICY_TAG_VERSION = 1,
	POLICY_TAG_ROUTE = 2,
	POLICY_TAG_LOG = 3,
};

enum route_tag {
	ROUTE_TAG_HOST = 1,
	ROUTE_TAG_WILDCARD = 2,
	ROUTE_TAG_TLS_PORTS = 3, /* u16 each */
	ROUTE_TAG_PLAIN_PORTS = 4,
	ROUTE_TAG_AUTH = 5,
	ROUTE_TAG_AUTH_HEADER = 6,
	ROUTE_TAG_TOKEN_REF = 7,
	ROUTE_TAG_ORIGIN = 8,
	ROUTE_TAG_MATCH = 9,
	ROUTE_TAG_AUTH_QUERY = 10,
	ROUTE_TAG_AUTH_USER = 11,
	ROUTE_TAG_PRIVATE = 12,
	ROUTE_TAG_GIT_FETCH = 13,
	ROUTE_TAG_RATE_REQUESTS = 14,
	ROUTE_TAG_RATE_BYTES = 15,
};

enum match_tag {
	MATCH_TAG_METHOD = 1,
	MATCH_TAG_PATH = 2, /* values */
	MATCH_TAG_HEADER = 3,
	MATCH_TAG_QUERY = 4,
};

enum value_tag {
	VALUE_TAG_HOW = 1,
	VALUE_TAG_NAME = 2,
	VALUE_TAG_TEXT = 3,
};
#define VALUE_MAX (3 * BB_TLV_HEADER + 4 + LIMIT_MATCH_NAME + LIMIT_MATCH_TEXT)

BB_DEFINE_AUTO(policy, policy_free)

static int put_ports(struct bb_buf *out, uint16_t tag, const uint16_t *ports, size_t count)
{
	uint8_t raw[2 * LIMIT_ROUTE_PORTS];

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		bb_put_be16(raw + 2 * i, ports[i]);
	return bb_tlv_put(out, tag, raw, 2 * count);
}

static int put_str(struct bb_buf *out, uint16_t tag, const char *s)
{
	return s == NULL ? 0 : bb_tlv_put_str(out, tag, s);
}

static int put_values(struct bb_buf *out, uint16_t tag, const struct policy_values *list)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		BB_AUTO_BUF struct bb_buf b = { 0 };

		bb_buf_init(&b, VALUE_MAX);
		r = bb_tlv_put_u32(&b, VALUE_TAG_HOW, (uint32_t)list->items[i].how);
		if (r == 0)
			r = put_str(&b, VALUE_TAG_NAME, list->items[i].name);
		if (r == 0)
			r = bb_tlv_put_str(&b, VALUE_TAG_TEXT, list->items[i].text);
		if (r == 0)
			r = bb_tlv_put_view(out, tag, bb_buf_peek(&b));
	}
	return r;
}

static int put_match(struct bb_buf *out, const struct policy_match *m)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };
	int r = 0;

	bb_buf_init(&b, POLICY_ROUTE_MAX);
	for (size_t i = 0; r == 0 && m->methods != NULL && m->methods[i] != NULL; i++)
		r = bb_tlv_put_str(&b, MATCH_TAG_METHOD, m->methods[i]);
	if (r == 0)
		r = put_values(&b, MATCH_TAG_PATH, &m->paths);
	if (r == 0)
		r = put_values(&b, MATCH_TAG_HEADER, &m->headers);
	if (r == 0)
		r = put_values(&b, MATCH_TAG_QUERY, &m->query);
	return r < 0 ? r : bb_tlv_put_view(out, ROUTE_TAG_MATCH, bb_buf_peek(&b));
}

static int put_route(struct bb_buf *out, const struct policy_route *route)
{
	BB_AUTO_BUF struct bb_buf b = { 0 };
	int r;

	bb_buf_init(&b, POLICY_ROUTE_MAX);
	r = bb_tlv_put_str(&b, ROUTE_TAG_HOST, route->host);
	if (r == 0)
		r = bb_tlv_put_u32(&b, ROUTE_TAG_WILDCARD, route->is_wildcard);
	if (r == 0)
		r = put_ports(&b, ROUTE_TAG_TLS_PORTS, route->tls_ports, route->tls_port_count);
	if (r == 0)
		r = put_ports(&b, ROUTE_TAG_PLAIN_PORTS, route->plain_ports,
			      route->plain_port_count);
	if (r == 0)
		r = bb_tlv_put_u32(&b, ROUTE_TAG_AUTH, (uint32_t)route->auth);
	if (r == 0)
		r = put_str(&b, ROUTE_TAG_AUTH_HEADER, route->auth_header);
	if (r == 0)
		r = put_str(&b, ROUTE_TAG_AUTH_QUERY, route->auth_query);
	if (r == 0)
		r = put_str(&b, ROUTE_TAG_AUTH_USER, route->auth_user);
	if (r == 0)
		r = bb_tlv_put_u32(&b, ROUTE_TAG_PRIVATE, (uint32_t)route->private);
	if (r == 0)
		r = bb_tlv_put_u32(&b, ROUTE_TAG_GIT_FETCH, route->may_git_fetch);
	if (r == 0)
		r = bb_tlv_put_u32(&b, ROUTE_TAG_RATE_REQUESTS, route->rate.requests);
	if (r == 0)
		r = bb_tlv_put_u64(&b, ROUTE_TAG_RATE_BYTES, route->rate.bytes_out);
	if (r == 0)
		r = put_str(&b, ROUTE_TAG_TOKEN_REF, route->token_ref);
	if (r == 0)
		r = put_str(&b, ROUTE_TAG_ORIGIN, route->origin);
	for (size_t i = 0; r == 0 && i < route->match_count; i++)
		r = put_match(&b, &route->matches[i]);
	return r < 0 ? r : bb_tlv_put_view(out, POLICY_TAG_ROUTE, bb_buf_peek(&b));
}

int policy_encode(const struct policy *p, struct bb_buf *out)
{
	int r = bb_tlv_put_u32(out, POLICY_TAG_VERSION, POLICY_VERSION);

	if (r == 0)
		r = bb_tlv_put_u32(out, POLICY_TAG_LOG, p->log);
	for (size_t i = 0; r == 0 && i < p->route_count; i++)
		r = put_route(out, &p->routes[i]);
	return r;
}

static int take_str(char **dst, struct bb_view v)
{
	if (v.p == NULL)
		return 0;
	*dst = strndup((const char *)v.p, v.n);
	return *dst == NULL ? -ENOMEM : 0;
}

static int take_bool(bool *dst, uint32_t v, struct bb_err *err)
{
	if (v > 1)
		return bb_err_set(err, -EPROTO, "a truth value is %u", v);
	*dst = v == 1;
	return 0;
}

static int take_ports(uint16_t *ports, size_t *count, struct bb_view v, struct bb_err *err)
{
	if (v.n % 2 != 0 || v.n / 2 > LIMIT_ROUTE_PORTS)
		return bb_err_set(err, -EPROTO, "a list of ports has %zu bytes", v.n);
	*count = v.n / 2;
	for (size_t i = 0; i < *count; i++)
		ports[i] = bb_be16(v.p + 2 * i);
	return 0;
}

static int read_value(struct bb_view body, struct policy_values *list, struct bb_err *err)
{
	struct bb_view name = { 0 }, text = { 0 };
	BB_AUTO_FREE char *name_str = NULL, *text_str = NULL;
	uint32_t how = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = VALUE_TAG_HOW, .type = BB_TLV_U32, .is_required = true, .out = &how },
		{ .tag = VALUE_TAG_NAME,
		  .type = BB_TLV_STR,
		  .max = LIMIT_MATCH_NAME,
		  .out = &name },
		{ .tag = VALUE_TAG_TEXT,
		  .type = BB_TLV_STR,
		  .max = LIMIT_MATCH_TEXT,
		  .is_required = true,
		  .out = &text },
	};
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (how >= POLICY_NUM_COMPARES)
		return bb_err_set(err, -EPROTO, "comparison %u is unknown", how);
	if (take_str(&name_str, name) < 0 || take_str(&text_str, text) < 0 || text_str == NULL ||
	    policy_value_add(list, (enum policy_compare)how, name_str, text_str) == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int read_values(const struct bb_view *bodies, size_t count, struct policy_values *list,
		       struct bb_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = read_value(bodies[i], list, err);
	return r;
}

static int read_match(struct bb_view body, struct policy_match *m, struct bb_err *err)
{
	struct bb_view methods[LIMIT_MATCH_METHODS], paths[LIMIT_MATCH_PATHS],
		headers[LIMIT_MATCH_FIELDS], query[LIMIT_MATCH_FIELDS];
	size_t method_count = 0, path_count = 0, header_count = 0, query_count = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = MATCH_TAG_METHOD,
		  .type = BB_TLV_STR,
		  .max = 32,
		  .out = methods,
		  .count = &method_count,
		  .repeat_max = LIMIT_MATCH_METHODS },
		{ .tag = MATCH_TAG_PATH,
		  .type = BB_TLV_BYTES,
		  .max = VALUE_MAX,
		  .out = paths,
		  .count = &path_count,
		  .repeat_max = LIMIT_MATCH_PATHS },
		{ .tag = MATCH_TAG_HEADER,
		  .type = BB_TLV_BYTES,
		  .max = VALUE_MAX,
		  .out = headers,
		  .count = &header_count,
		  .repeat_max = LIMIT_MATCH_FIELDS },
		{ .tag = MATCH_TAG_QUERY,
		  .type = BB_TLV_BYTES,
		  .max = VALUE_MAX,
		  .out = query,
		  .count = &query_count,
		  .repeat_max = LIMIT_MATCH_FIELDS },
	};
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < method_count; i++)
		if (bb_strv_push(&m->methods, strndup((const char *)methods[i].p, methods[i].n)) <
		    0)
			return bb_err_set(err, -ENOMEM, "out of memory");
	r = read_values(paths, path_count, &m->paths, err);
	if (r == 0)
		r = read_values(headers, header_count, &m->headers, err);
	if (r == 0)
		r = read_values(query, query_count, &m->query, err);
	return r;
}

static int read_route(struct policy *p, struct bb_view body, struct bb_err *err)
{
	__attribute__((cleanup(policy_route_done))) struct policy_route d = { 0 };
	struct bb_view host = { 0 }, tls = { 0 }, plain = { 0 }, header = { 0 }, parameter = { 0 },
		       user = { 0 }, token = { 0 }, origin = { 0 }, matches[LIMIT_ROUTE_MATCHES];
	uint32_t is_wildcard = 0, auth = 0, private = 0, may_git_fetch = 0;
	size_t match_count = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = ROUTE_TAG_HOST,
		  .type = BB_TLV_STR,
		  .max = POLICY_HOST_MAX,
		  .is_required = true,
		  .out = &host },
		{ .tag = ROUTE_TAG_WILDCARD,
		  .type = BB_TLV_U32,
		  .is_required = true,
		  .out = &is_wildcard },
		{ .tag = ROUTE_TAG_TLS_PORTS,
		  .type = BB_TLV_BYTES,
		  .max = 2 * LIMIT_ROUTE_PORTS,
		  .out = &tls },
		{ .tag = ROUTE_TAG_PLAIN_PORTS,
		  .type = BB_TLV_BYTES,
		  .max = 2 * LIMIT_ROUTE_PORTS,
		  .out = &plain },
		{ .tag = ROUTE_TAG_AUTH, .type = BB_TLV_U32, .is_required = true, .out = &auth },
		{ .tag = ROUTE_TAG_AUTH_HEADER, .type = BB_TLV_STR, .max = 64, .out = &header },
		{ .tag = ROUTE_TAG_AUTH_QUERY,
		  .type = BB_TLV_STR,
		  .max = LIMIT_MATCH_NAME,
		  .out = &parameter },
		{ .tag = ROUTE_TAG_AUTH_USER,
		  .type = BB_TLV_STR,
		  .max = LIMIT_MATCH_NAME,
		  .out = &user },
		{ .tag = ROUTE_TAG_PRIVATE,
		  .type = BB_TLV_U32,
		  .is_required = true,
		  .out = &private },
		{ .tag = ROUTE_TAG_GIT_FETCH,
		  .type = BB_TLV_U32,
		  .is_required = true,
		  .out = &may_git_fetch },
		{ .tag = ROUTE_TAG_RATE_REQUESTS,
		  .type = BB_TLV_U32,
		  .is_required = true,
		  .out = &d.rate.requests },
		{ .tag = ROUTE_TAG_RATE_BYTES,
		  .type = BB_TLV_U64,
		  .is_required = true,
		  .out = &d.rate.bytes_out },
		{ .tag = ROUTE_TAG_TOKEN_REF, .type = BB_TLV_STR, .max = 1024, .out = &token },
		{ .tag = ROUTE_TAG_ORIGIN, .type = BB_TLV_STR, .max = 1024, .out = &origin },
		{ .tag = ROUTE_TAG_MATCH,
		  .type = BB_TLV_BYTES,
		  .max = POLICY_ROUTE_MAX,
		  .out = matches,
		  .count = &match_count,
		  .repeat_max = LIMIT_ROUTE_MATCHES },
	};
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (auth >= POLICY_NUM_AUTH_KINDS)
		return bb_err_set(err, -EPROTO, "auth kind %u is unknown", auth);
	if (private >= POLICY_NUM_PRIVATES)
		return bb_err_set(err, -EPROTO, "private %u is unknown", private);
	d.private = (enum policy_private) private;
	if (take_str(&d.host, host) < 0 || take_str(&d.auth_header, header) < 0 ||
	    take_str(&d.auth_query, parameter) < 0 || take_str(&d.auth_user, user) < 0 ||
	    take_str(&d.token_ref, token) < 0 || take_str(&d.origin, origin) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	d.auth = (enum policy_auth_kind)auth;
	r = take_bool(&d.is_wildcard, is_wildcard, err);
	if (r == 0)
		r = take_bool(&d.may_git_fetch, may_git_fetch, err);
	if (r == 0)
		r = take_ports(d.tls_ports, &d.tls_port_count, tls, err);
	if (r == 0)
		r = take_ports(d.plain_ports, &d.plain_port_count, plain, err);
	if (r == 0 && tls.n == 0 && plain.n == 0)
		r = bb_err_set(err, -EPROTO, "an encoded route has no port");
	for (size_t i = 0; r == 0 && i < match_count; i++) {
		struct policy_match *m = policy_match_add(&d);

		r = m == NULL ? bb_err_set(err, -ENOMEM, "out of memory")
			      : read_match(matches[i], m, err);
	}
	return r < 0 ? r : policy_add(p, &d, err);
}

int policy_decode(struct bb_view in, struct policy **ret, struct bb_err *err)
{
	BB_AUTO(policy) struct policy *p = policy_new();
	struct bb_view value;
	uint16_t tag;
	int r;

	if (p == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = bb_tlv_next(&in, &tag, &value);
	if (r != 1 || tag != POLICY_TAG_VERSION || value.n != 4 ||
	    bb_be32(value.p) != POLICY_VERSION)
		return bb_err_set(err, -EPROTO, "a policy does not begin with version %d",
				  POLICY_VERSION);
	r = bb_tlv_next(&in, &tag, &value);
	if (r != 1 || tag != POLICY_TAG_LOG || value.n != 4 || bb_be32(value.p) > 2)
		return bb_err_set(err, -EPROTO, "a policy has no log level behind its version");
	p->log = bb_be32(value.p);
	while ((r = bb_tlv_next(&in, &tag, &value)) == 1) {
		if (tag != POLICY_TAG_ROUTE)
			return bb_err_set(err, -EPROTO, "a policy has an unknown field %u", tag);
		r = read_route(p, value, err);
		if (r < 0)
			return bb_err_wrap(err, "route %zu of the policy", p->route_count + 1);
	}
	if (r < 0)
		return bb_err_set(err, -EPROTO, "a policy is cut off");
	*ret = bb_take_ptr(&p);
	return 0;
}
