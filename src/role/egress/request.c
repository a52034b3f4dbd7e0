/*
 * One request: read, judged, written anew. The order is DESIGN 7's: form, host and port, path and
 * method, credential. Every entry (CONNECT with TLS, CONNECT in clear, absolute form, transparent)
 * comes through request_read(), and none of them past judge().
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "http/field.h"
#include "http/target.h"
#include "http/write.h"
#include "role/egress/egress_impl.h"

/* Percent-encoding makes three bytes of one: of a path's, and of a credential's. */
#define REQUEST_TARGET_MAX (3 * LIMIT_HTTP_TARGET + 3 * LIMIT_SECRET + 256)
#define REQUEST_HEAD_MAX   (LIMIT_HTTP_HEAD + REQUEST_TARGET_MAX)

void request_reset(struct tunnel *t)
{
	bb_buf_wipe(&t->request.head);
	t->request = (struct request){ 0 };
	bb_buf_init(&t->request.head, REQUEST_HEAD_MAX);
	filter_free(t->response.body.filter);
	t->response = (struct response){ 0 };
	t->is_recorded = false;
	t->is_passing = false;
	t->answer_status = 0;
	bb_buf_done(&t->answer_text);
	t->has_first_byte = false;
	t->scanned = 0;
	if (bb_buf_size(&t->guest.in) == 0)
		bb_buf_done(&t->guest.in); /* an idle tunnel holds no memory */
}

static void copy(char *dst, size_t cap, struct bb_view v)
{
	size_t n = v.n < cap - 1 ? v.n : cap - 1;

	if (n > 0)
		memcpy(dst, v.p, n);
	dst[n] = '\0';
}

/* What the record shows: method and path as they came, escaped, without the query. */
static void note(struct request *q, const struct http_head *h)
{
	size_t n = 0;

	while (n < h->target.n && h->target.p[n] != '?')
		n++;
	copy(q->method, sizeof(q->method), h->method);
	copy(q->path, sizeof(q->path), bb_view_of(h->target.p, n));
	q->is_head_method = bb_view_eq_str(h->method, "HEAD");
}

/* Which host is meant, and the path part of the target. False: refused. */
static bool find_target(struct tunnel *t, const struct http_head *h, struct bb_view *ret_path)
{
	struct request *q = &t->request;
	struct bb_err err = { 0 };
	struct bb_view authority, asked, host;
	enum policy_reason reason;
	char name[EGRESS_HOST];
	uint16_t port;

	if (t->is_connect) {
		if (h->target.p[0] != '/') {
			answer_refuse(t, 400, "malformed", "the request target '%s' is not a path",
				      BB_ESCAPED(h->target));
			return false;
		}
		*ret_path = h->target;
		copy(q->host, sizeof(q->host), bb_view_str(t->host));
		q->port = t->port;
		q->is_tls = t->is_tls;
	} else {
		if (http_split_absolute(h->target, &authority, ret_path, &err) < 0 ||
		    http_parse_authority(authority, 80, &asked, &q->port, &err) < 0) {
			answer_refuse(t, 400, "malformed", "%s", err.msg);
			return false;
		}
		copy(q->path, sizeof(q->path), *ret_path);
		q->path[strcspn(q->path, "?")] = '\0';
		reason = policy_normalise_host(asked, q->host);
		if (reason == POLICY_HOST_INVALID) {
			answer_refuse(t, 400, policy_reason_word(reason),
				      "'%s' is not a valid host name", BB_ESCAPED(asked));
			return false;
		}
	}
	if (t->is_connect && t->verdict != POLICY_ALLOWED)
		return true; /* refused for its host; whatever Host says */
	if (http_parse_authority(h->host, q->is_tls ? 443 : 80, &host, &port, &err) < 0 ||
	    policy_normalise_host(host, name) == POLICY_HOST_INVALID ||
	    strcmp(name, q->host) != 0 || port != q->port) {
		answer_refuse(t, t->is_connect ? 421 : 400, "host_mismatch",
			      "Host '%s' is not the host of this connection, '%s' (port %u)",
			      BB_ESCAPED(h->host), q->host, q->port);
		return false;
	}
	return true;
}

/* Methods and fields that are refused whatever the policy says. False: refused. */
static bool check_form(struct tunnel *t, const struct http_head *h)
{
	if (bb_view_ieq_str(h->method, "TRACE") || bb_view_ieq_str(h->method, "TRACK")) {
		answer_refuse(t, 405, "method_refused",
			      "TRACE would return the request with its credential");
		return false;
	}
	if (h->wants_upgrade) {
		answer_refuse(t, 426, "upgrade_refused",
			      "an upgrade (such as WebSocket) is not passed on; use HTTP/1.1");
		return false;
	}
	return true;
}

/* Takes out of h what does not leave, so that rules judge what is sent and nothing else. */
static void keep_forwarded(struct http_head *h, const struct policy_route *route)
{
	bool is_kept[LIMIT_HTTP_HEADERS];
	size_t n = 0;

	for (size_t i = 0; i < h->field_count; i++)
		is_kept[i] = !http_is_hop_field(h, h->fields[i].name) &&
			     credential_keeps(route, &h->fields[i]);
	for (size_t i = 0; i < h->field_count; i++)
		if (is_kept[i])
			h->fields[n++] = h->fields[i];
	h->field_count = n;
}

/* The request as it leaves: every byte from what was parsed and judged. */
static int write_head(struct tunnel *t, const struct http_head *h, const struct http_path *path)
{
	BB_AUTO_WIPE struct bb_buf target = { 0 };
	struct request *q = &t->request;
	struct bb_buf *out = &q->head;
	char host[EGRESS_HOST + 8];
	int r;

	/* At once in its final size: a growing buffer would leave copies of the credential. */
	if (bb_buf_reserve(out, REQUEST_HEAD_MAX) == NULL)
		return -ENOMEM;
	(void)snprintf(host, sizeof(host), q->port == (q->is_tls ? 443 : 80) ? "%s" : "%s:%u",
		       q->host, q->port);
	bb_buf_init(&target, REQUEST_TARGET_MAX);
	if (bb_buf_reserve(&target, REQUEST_TARGET_MAX) == NULL)
		return -ENOMEM;
	r = credential_put_target(t, &target, path->path, bb_view_from(path->query, 1));
	if (r == 0)
		r = http_put_request_line(out, h->method, bb_buf_peek(&target));
	if (r == 0)
		r = http_put_field(out, "Host", bb_view_str(host));
	for (size_t i = 0; r == 0 && i < h->field_count; i++) {
		const struct bb_field *f = &h->fields[i];
		char name[256];

		if (f->name.n >= sizeof(name))
			return -EMSGSIZE;
		copy(name, sizeof(name), f->name);
		r = http_put_field(out, name, f->value);
	}
	if (r == 0)
		r = credential_put_fields(t, out);
	q->has_auth = q->route->auth != POLICY_AUTH_NONE;
	if (r == 0)
		r = http_put_framing(out, h->framing, h->length);
	return r < 0 ? r : http_put_end(out);
}

static void take_body(struct request *q, const struct http_head *h)
{
	q->body = (struct body){ .from = h->framing, .to = h->framing, .left = h->length };
	q->body.is_done =
		h->framing == HTTP_BODY_NONE || (h->framing == HTTP_BODY_LENGTH && h->length == 0);
	http_chunked_init(&q->body.chunked, false);
	q->expects_continue = h->expects_continue;
	q->is_persistent = h->is_persistent;
	q->is_old = h->minor == 0;
}

/* The verdict on one request; what passes goes on to the upstream. */
static void judge(struct tunnel *t, struct http_head *h)
{
	struct request *q = &t->request;
	BB_AUTO_BUF struct bb_buf target = { 0 };
	struct bb_err err = { 0 };
	struct bb_view path;
	struct http_path canonical;
	enum policy_reason reason;

	if (!t->is_connect && !listen_admits(t, h))
		return;
	if (bb_view_eq_str(h->method, "CONNECT")) {
		answer_refuse(t, 400, "nested_connect", "a CONNECT inside a connection");
		return;
	}
	if (!find_target(t, h, &path))
		return;
	reason = policy_decide_host(t->egress->policy, q->host, q->port, q->is_tls, &q->route);
	if (reason != POLICY_ALLOWED) {
		answer_policy(t, reason, q->host, q->port);
		return;
	}
	if (!check_form(t, h))
		return;
	bb_buf_init(&target, 3 * LIMIT_HTTP_TARGET + 16); /* each byte may become three */
	if (http_canonical_path(path, &target, &canonical, &err) < 0) {
		answer_refuse(t, 400, policy_reason_word(POLICY_PATH_INVALID), "%s", err.msg);
		return;
	}
	copy(q->path, sizeof(q->path), canonical.path);
	if (canonical.has_encoded_slash && q->route->match_count > 0) {
		answer_refuse(t, 403, policy_reason_word(POLICY_PATH_INVALID),
			      "an encoded slash in a path that rules judge");
		return;
	}
	keep_forwarded(h, q->route);
	reason = policy_decide_request(
		q->route, &(struct policy_request){ .method = h->method,
						    .path = canonical.path,
						    .query = bb_view_from(canonical.query, 1),
						    .headers = h->fields,
						    .header_count = h->field_count });
	if (reason != POLICY_ALLOWED) {
		answer_policy(t, reason, q->host, q->port);
		return;
	}
	if (credential_is_foreign(q->route, bb_view_from(canonical.query, 1))) {
		answer_refuse(
			t, 403, "foreign_credential",
			"host '%s' has a bound credential; another one in the query is refused",
			q->host);
		return;
	}
	if (write_head(t, h, &canonical) < 0) {
		answer_refuse(t, 431, "malformed", "the request head is too large");
		return;
	}
	take_body(q, h);
	if (!rate_admits(t, bb_buf_size(&q->head) + q->body.left))
		return;
	show_fields(t, "request to", h);
	upstream_get(t);
}

bool request_read(struct tunnel *t)
{
	struct bb_view in = bb_buf_peek(&t->guest.in);
	struct bb_err err = { 0 };
	struct http_head *h;
	int n = http_head_end(in, &t->scanned, &err);
	int r;

	if (n == 0)
		return false;
	h = n < 0 ? NULL : calloc(1, sizeof(*h)); /* 8 KiB: not on the stack */
	r = n < 0       ? n
	    : h == NULL ? -ENOMEM
			: http_parse_request(bb_view_of(in.p, (size_t)n), h, &err);
	if (h != NULL)
		note(&t->request, h);
	if (t->is_connect && t->verdict != POLICY_ALLOWED && r < 0)
		answer_policy(t, t->verdict, t->host, t->port);
	else if (r < 0)
		answer_refuse(t, r == -EMSGSIZE ? 431 : 400, "malformed", "malformed request: %s",
			      err.msg);
	else
		judge(t, h);
	free(h);
	if (n > 0)
		bb_buf_consume(&t->guest.in, (size_t)n);
	return true;
}
