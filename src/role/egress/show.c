/*
 * What `egress.log` shows, in the bundle's log: 1, each refusal; 2, also each request that passes,
 * with the fields that leave, and the head of its response. The audit holds every verdict whatever
 * is shown. Never a body, a query, or the value of a field that carries a credential.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "http/field.h"
#include "role/egress/egress_impl.h"

#define SHOW_LINE 1500

void show_verdict(const struct tunnel *t, const struct record *r)
{
	const struct request *q = &t->request;
	const char *host = q->host[0] != '\0' ? q->host : t->host;
	unsigned port = q->host[0] != '\0' ? q->port : t->port;

	if (t->egress->policy->log < (r->is_allowed ? 2 : 1))
		return;
	bb_log_show("%s %s %s:%u%s: %s%s%s", r->is_allowed ? "allowed" : "refused",
		    q->method[0] != '\0' ? BB_ESCAPED(bb_view_str(q->method)) : "a tunnel to",
		    BB_ESCAPED(bb_view_str(host)), port, BB_ESCAPED(bb_view_str(q->path)),
		    r->reason, r->detail != NULL ? ": " : "", r->detail != NULL ? r->detail : "");
}

static bool is_secret(const struct bb_field *f)
{
	return http_is_credential_field(f->name) || http_is_credential_value(f->value);
}

void show_fields(const struct tunnel *t, const char *what, const struct http_head *h)
{
	BB_AUTO_BUF struct bb_buf line = { 0 };
	int r = 0;

	if (t->egress->policy->log < 2)
		return;
	bb_buf_init(&line, SHOW_LINE);
	for (size_t i = 0; r == 0 && i < h->field_count; i++) {
		const struct bb_field *f = &h->fields[i];

		r = bb_buf_printf(&line, "%s%s: %s", i > 0 ? ", " : "", BB_ESCAPED(f->name),
				  is_secret(f) ? "***" : BB_ESCAPED(f->value));
	}
	bb_log_show("%s %s: %.*s%s", what, t->request.host, BB_VIEW_ARG(bb_buf_peek(&line)),
		    r < 0 ? ", ..." : "");
}
