/*
 * Our own answers. A refusal is text that a person, or an agent, can act upon: what was refused,
 * why, and which lines of the manifest would allow it. The record comes first; the answer is sent
 * when it is written. Always "Connection: close": what the client sends after a refusal is dropped.
 */
#include <stdarg.h>

#include "base/cleanup.h"
#include "http/write.h"
#include "role/egress/egress_impl.h"

#define ANSWER_RECORD_MS 5000
#define ANSWER_TEXT_MAX  8192 /* of which the rules of a route may be most */
#define ANSWER_CUT       "(cut off)\n"
#define ANSWER_FLUSH_MS                                                          \
	10000 /* to take the answer; then a client that does not read is cut off \
	       */

static void begin_text(struct tunnel *t, unsigned status)
{
	t->answer_status = status;
	bb_buf_done(&t->answer_text);
	bb_buf_init(&t->answer_text, ANSWER_TEXT_MAX);
}

void answer_plain(struct tunnel *t, unsigned status, const char *text)
{
	begin_text(t, status);
	(void)bb_buf_printf(&t->answer_text, "bot-bottle: %s\n", text); /* no memory: no text */
	answer_send(t);
}

/* The answer follows the record; one that cannot be written changes nothing: it is a refusal. */
static void record_refusal(struct tunnel *t, const struct record *r)
{
	t->is_passing = false;
	tunnel_set_state(t, TUNNEL_RECORD);
	tunnel_set_timeout(t, ANSWER_RECORD_MS);
	if (!links_record(t, r))
		answer_send(t);
}

void answer_refuse(struct tunnel *t, unsigned status, const char *reason, const char *fmt, ...)
{
	struct record r = { .reason = reason, .status = status };
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap); /* cut off is fine */
	va_end(ap);
	r.detail = detail;
	begin_text(t, status);
	(void)bb_buf_printf(&t->answer_text, "bot-bottle: refused: %s\n", detail);
	record_refusal(t, &r);
}

/* The lines that would allow the host. */
static void add_host(struct tunnel *t, const char *host, uint16_t port, bool is_tls)
{
	char ports[64] = "";

	if (!is_tls)
		(void)snprintf(ports, sizeof(ports), "        plain_ports: [%u]\n", port);
	else if (port != 443)
		(void)snprintf(ports, sizeof(ports), "        ports: [%u]\n", port);
	(void)bb_buf_printf(&t->answer_text,
			    "To allow it, the operator adds to the bottle's manifest and starts it "
			    "again:\n\n  egress:\n    routes:\n      - host: %s\n%s",
			    host, ports);
}

/* What the route does allow, as its manifest says it; never its credential. */
static void add_matches(struct tunnel *t, const struct policy_route *route)
{
	struct bb_buf *text = &t->answer_text;

	(void)bb_buf_append_str(text, "Allowed there, by the bottle's manifest:\n\n");
	if (policy_put_matches(route, 2, text) < 0)
		(void)bb_buf_append_str(text, ANSWER_CUT);
}

static void add_hint(struct tunnel *t, enum policy_reason reason, const char *host, uint16_t port,
		     bool is_tls)
{
	switch (reason) {
	case POLICY_HOST_NOT_ALLOWED:
	case POLICY_PORT_NOT_ALLOWED:
	case POLICY_PLAIN_NOT_ALLOWED:
		add_host(t, host, port, is_tls);
		break;
	case POLICY_METHOD_NOT_ALLOWED:
	case POLICY_PATH_NOT_ALLOWED:
	case POLICY_HEADER_NOT_ALLOWED:
	case POLICY_QUERY_NOT_ALLOWED:
		add_matches(t, t->request.route);
		break;
	case POLICY_GIT_FETCH_NOT_ALLOWED:
		(void)bb_buf_append_str(&t->answer_text,
					"To allow clones and fetches, the operator adds to this "
					"host's route:\n\n        git: {fetch: true}\n");
		break;
	case POLICY_GIT_PUSH_REFUSED:
	case POLICY_ALLOWED:
	case POLICY_HOST_INVALID:
	case POLICY_ADDRESS_LITERAL:
	case POLICY_PATH_INVALID:
		break;
	}
}

void answer_policy(struct tunnel *t, enum policy_reason reason, const char *host, uint16_t port)
{
	char text[400];
	unsigned status =
		reason == POLICY_PATH_INVALID || reason == POLICY_HOST_INVALID ? 400 : 403;
	struct record r = { .reason = policy_reason_word(reason),
			    .status = status,
			    .detail = text };

	policy_reason_text(reason, host, port, text, sizeof(text));
	begin_text(t, status);
	(void)bb_buf_printf(&t->answer_text, "bot-bottle: refused: %s.\n", text);
	add_hint(t, reason, host, port, t->is_connect ? t->is_tls : false);
	record_refusal(t, &r);
}

static int put_answer(struct tunnel *t, struct bb_buf *out)
{
	struct bb_view text = bb_buf_peek(&t->answer_text);
	unsigned status = t->answer_status;
	int r = http_put_status_line(out, status, bb_view_str(http_reason(status)));

	if (r == 0)
		r = http_put_field(out, "Content-Type", bb_view_str("text/plain; charset=utf-8"));
	if (r == 0 && status == 426)
		r = http_put_field(out, "Upgrade", bb_view_str("HTTP/1.1"));
	if (r == 0 && status == 429) {
		char seconds[16];

		(void)snprintf(seconds, sizeof(seconds), "%u", t->retry_after);
		r = http_put_field(out, "Retry-After", bb_view_str(seconds));
	}
	if (r == 0 && status == 405)
		r = http_put_field(out, "Allow",
				   bb_view_str("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
	if (r == 0)
		r = http_put_field(out, "Connection",
				   bb_view_str(status == 426 ? "close, Upgrade" : "close"));
	if (r == 0)
		r = http_put_framing(out, HTTP_BODY_LENGTH, text.n);
	if (r == 0)
		r = http_put_end(out);
	if (r == 0 && !t->request.is_head_method)
		r = bb_buf_append_view(out, text);
	return r;
}

void answer_send(struct tunnel *t)
{
	t->is_passing = false;
	peer_close(&t->upstream);
	bb_buf_wipe(&t->request.head);
	if (t->answer_status != 0 && put_answer(t, &t->guest.out) < 0) {
		tunnel_close(t);
		return;
	}
	tunnel_set_state(t, TUNNEL_FLUSH);
	tunnel_set_timeout(t, ANSWER_FLUSH_MS);
	if (t->answer_status == 0)
		tunnel_close(t);
}
