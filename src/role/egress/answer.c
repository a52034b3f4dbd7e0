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
#define ANSWER_FLUSH_MS                                                          \
	10000 /* to take the answer; then a client that does not read is cut off \
	       */

void answer_plain(struct tunnel *t, unsigned status, const char *text)
{
	t->answer_status = status;
	(void)snprintf(t->answer_text, sizeof(t->answer_text), "bot-bottle: %s\n", text);
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
	const char *prefix = "bot-bottle: refused: ";
	struct record r = { .reason = reason, .status = status };
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap); /* cut off is fine */
	va_end(ap);
	r.detail = detail;
	t->answer_status = status;
	(void)snprintf(t->answer_text, sizeof(t->answer_text), "%s%s\n", prefix, detail);
	record_refusal(t, &r);
}

/* The lines that would allow it. */
static void add_hint(struct tunnel *t, enum policy_reason reason, const char *host, uint16_t port,
		     bool is_tls)
{
	char ports[64] = "";
	size_t n = strlen(t->answer_text);

	if (reason != POLICY_HOST_NOT_ALLOWED && reason != POLICY_PORT_NOT_ALLOWED &&
	    reason != POLICY_PLAIN_NOT_ALLOWED)
		return;
	if (!is_tls)
		(void)snprintf(ports, sizeof(ports), "        plain_ports: [%u]\n", port);
	else if (port != 443)
		(void)snprintf(ports, sizeof(ports), "        ports: [%u]\n", port);
	(void)snprintf(t->answer_text + n, sizeof(t->answer_text) - n,
		       "To allow it, the operator adds to the bottle's manifest and starts it "
		       "again:\n\n  egress:\n    routes:\n      - host: %s\n%s",
		       host, ports);
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
	t->answer_status = status;
	(void)snprintf(t->answer_text, sizeof(t->answer_text), "bot-bottle: refused: %s.\n", text);
	add_hint(t, reason, host, port, t->is_connect ? t->is_tls : false);
	record_refusal(t, &r);
}

static int put_answer(struct tunnel *t, struct bb_buf *out)
{
	struct bb_view text = bb_view_str(t->answer_text);
	unsigned status = t->answer_status;
	int r = http_put_status_line(out, status, bb_view_str(http_reason(status)));

	if (r == 0)
		r = http_put_field(out, "Content-Type", bb_view_str("text/plain; charset=utf-8"));
	if (r == 0 && status == 426)
		r = http_put_field(out, "Upgrade", bb_view_str("HTTP/1.1"));
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
