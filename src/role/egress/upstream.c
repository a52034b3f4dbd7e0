/*
 * The connection to the host of a request. It is dialled after the verdict only, kept for the next
 * request of the same tunnel to the same host and port, and never shared between tunnels. Under TLS
 * the certificate is verified before the record is written, so no credential meets a host that did
 * not prove its name.
 */
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "role/egress/egress_impl.h"

#define UPSTREAM_DIAL_MS   30000 /* the dialler's own limits are shorter */
#define UPSTREAM_TLS_MS    15000
#define UPSTREAM_RECORD_MS 10000

static void on_event(void *arg, int events)
{
	(void)events;
	tunnel_run(arg);
}

static void record_allowed(struct tunnel *t)
{
	const struct record r = { .is_allowed = true,
				  .reason = policy_reason_word(POLICY_ALLOWED) };

	t->is_passing = true;
	tunnel_set_state(t, TUNNEL_RECORD);
	tunnel_set_timeout(t, UPSTREAM_RECORD_MS);
	if (!links_record(t, &r))
		answer_plain(t, 503,
			     "the audit of this bottle cannot be written, so nothing leaves");
}

void upstream_get(struct tunnel *t)
{
	const struct request *q = &t->request;

	if (peer_is_open(&t->upstream) && !t->upstream.has_ended && !t->upstream.is_broken &&
	    bb_buf_size(&t->upstream.in) == 0 && t->upstream_port == q->port &&
	    t->upstream_is_tls == q->is_tls && strcmp(t->upstream_host, q->host) == 0) {
		record_allowed(t);
		return;
	}
	peer_close(&t->upstream);
	tunnel_set_state(t, TUNNEL_DIAL);
	tunnel_set_timeout(t, UPSTREAM_DIAL_MS);
	if (!links_dial(t))
		answer_refuse(t, 503, "dialler_gone", "no connection can be made now");
}

static void refuse_dial(struct tunnel *t, enum dial_result result, struct bb_view text)
{
	static const struct {
		unsigned status;
		const char *reason;
	} answers[DIAL_NUM_RESULTS] = {
		[DIAL_OK] = { 502, "upstream_failed" },
		[DIAL_NOT_ALLOWED] = { 403, "dial_not_allowed" },
		[DIAL_NO_NAME] = { 502, "name_not_found" },
		[DIAL_BAD_ADDRESS] = { 403, "address_not_allowed" },
		[DIAL_UNREACHABLE] = { 502, "upstream_unreachable" },
		[DIAL_BUSY] = { 503, "too_many_dials" },
	};

	answer_refuse(t, answers[result].status, answers[result].reason, "%s", BB_ESCAPED(text));
}

static void start_tls(struct tunnel *t)
{
	struct bb_err err = { 0 };
	struct tls_conn *tls = NULL;
	int r = egress_load_roots(t->egress, &err);

	if (r == 0)
		r = tls_connect(t->egress->client, t->upstream.fd, t->request.host, &tls, &err);
	if (r < 0) {
		answer_refuse(t, 502, "upstream_tls", "%s", err.msg);
		return;
	}
	peer_start_tls(&t->upstream, tls);
	tunnel_set_state(t, TUNNEL_UPSTREAM_TLS);
	tunnel_set_timeout(t, UPSTREAM_TLS_MS);
}

void upstream_dialled(struct tunnel *t, int fd, enum dial_result result, struct bb_view text,
		      struct bb_view address)
{
	const struct request *q = &t->request;

	if (t->state != TUNNEL_DIAL) { /* given up meanwhile */
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	if (result != DIAL_OK) {
		refuse_dial(t, result, text);
		return;
	}
	if (peer_open(&t->upstream, fd, on_event, t) < 0) {
		answer_refuse(t, 503, "out_of_memory", "out of memory");
		return;
	}
	(void)snprintf(t->upstream_address, sizeof(t->upstream_address), "%s", BB_ESCAPED(address));
	(void)snprintf(t->upstream_host, sizeof(t->upstream_host), "%s", q->host);
	t->upstream_port = q->port;
	t->upstream_is_tls = q->is_tls;
	if (q->is_tls)
		start_tls(t);
	else
		record_allowed(t);
}

bool upstream_step(struct tunnel *t)
{
	if (t->upstream.is_broken) {
		answer_refuse(t, 502, "upstream_tls", "host '%s': %s", t->request.host,
			      t->upstream.err.msg[0] != '\0' ? t->upstream.err.msg
							     : "the TLS handshake failed");
		return true;
	}
	if (t->upstream.is_shaking)
		return false;
	record_allowed(t);
	return true;
}
