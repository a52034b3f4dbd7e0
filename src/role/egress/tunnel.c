/*
 * One connection of the guest, from its first byte to its end; the states are in egress_impl.h.
 * Everything that happens to a tunnel ends in tunnel_run(): bytes are moved and the state's step is
 * taken until nothing changes, then the watches say what to wait for. A refused tunnel is answered
 * 200 like any other: only inside can the refusal be read (reference: five agents show a 403 inside
 * TLS within seconds and retry a refused CONNECT for minutes).
 */
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "http/target.h"
#include "role/egress/egress_impl.h"

#define TUNNEL_FIRST_MS    30000  /* to send the first head */
#define TUNNEL_STRANGER_MS 5000   /* the same without a credential: it comes with the head */
#define TUNNEL_PEEK_MS     30000  /* an allowed tunnel's first byte */
#define TUNNEL_REFUSED_MS  1000   /* a refused one's */
#define TUNNEL_TLS_MS      15000  /* the guest's handshake */
#define TUNNEL_IDLE_MS     300000 /* between requests */
#define TUNNEL_HEAD_MS     30000  /* from a head's first byte to its last */
#define TUNNEL_LINGER_MS   2000   /* after our last byte, for the guest to see it */
#define TUNNEL_ROUNDS      16     /* then others get their turn */

static const char *const state_names[] = {
	"first",        "peek",   "guest tls", "request", "dial",
	"upstream tls", "record", "exchange",  "flush",   "closed",
};
_Static_assert(BB_ARRAY_LEN(state_names) == TUNNEL_NUM_STATES, "one name for each");

void tunnel_set_state(struct tunnel *t, enum tunnel_state state)
{
	bb_debug("tunnel %s -> %s", state_names[t->state], state_names[state]);
	t->state = state;
	if (state == TUNNEL_REQUEST)
		tunnel_set_timeout(t, TUNNEL_IDLE_MS);
}

void tunnel_set_timeout(struct tunnel *t, unsigned ms)
{
	loop_timer_set(t->timer, ms);
}

void tunnel_close(struct tunnel *t)
{
	tunnel_set_state(t, TUNNEL_CLOSED);
}

void tunnel_free(struct tunnel *t)
{
	listen_forget(t);
	peer_close(&t->guest);
	peer_close(&t->upstream);
	loop_timer_free(t->timer);
	loop_timer_free(t->again);
	bb_buf_wipe(&t->request.head);
	bb_buf_done(&t->answer_text);
	filter_free(t->response.body.filter);
	*t->at = t->next;
	if (t->next != NULL)
		t->next->at = t->at;
	t->egress->tunnel_count--;
	free(t);
}

static void on_event(void *arg, int events)
{
	(void)events;
	tunnel_run(arg);
}

static void on_again(void *arg)
{
	tunnel_run(arg);
}

/* Nothing, or nothing readable, came in time. */
static void on_timeout(void *arg)
{
	struct tunnel *t = arg;

	switch (t->state) {
	case TUNNEL_PEEK:
		if (t->verdict == POLICY_ALLOWED)
			answer_refuse(t, 0, "timeout", "nothing came through the tunnel");
		else
			answer_refuse(t, 0, policy_reason_word(t->verdict),
				      "nothing came within %d ms that the refusal could be told to",
				      TUNNEL_REFUSED_MS);
		break;
	case TUNNEL_REQUEST:
		if (t->has_first_byte)
			answer_refuse(t, 408, "timeout", "the request's head took too long");
		else
			tunnel_close(t);
		break;
	case TUNNEL_DIAL:
	case TUNNEL_UPSTREAM_TLS:
		answer_refuse(t, 504, "upstream_unreachable", "host '%s' did not answer in time",
			      t->request.host);
		break;
	case TUNNEL_RECORD:
		t->record_id = 0;
		if (t->is_passing)
			answer_plain(t, 503, "the audit is not written in time, so nothing leaves");
		else
			answer_send(t);
		break;
	case TUNNEL_EXCHANGE:
		if (t->response.has_head)
			tunnel_close(t);
		else
			answer_plain(t, 504, "the upstream did not answer in time");
		break;
	case TUNNEL_GUEST_TLS:
		answer_refuse(t, 0, "timeout", "the TLS handshake took too long");
		break;
	case TUNNEL_FIRST:
	case TUNNEL_FLUSH:
	case TUNNEL_CLOSED:
		tunnel_close(t);
		break;
	}
	tunnel_run(t);
}

void tunnel_new(struct egress *e, int fd, enum tunnel_entry entry)
{
	struct tunnel *t = e->tunnel_count < LIMIT_EGRESS_TUNNELS ? calloc(1, sizeof(*t)) : NULL;

	if (t == NULL) {
		bb_debug("a tunnel is one too many");
		(void)close(fd);
		return;
	}
	t->egress = e;
	t->is_transparent = entry == TUNNEL_TRANSPARENT;
	t->needs_credential = t->is_stranger = entry == TUNNEL_LISTENER;
	e->stranger_count += t->is_stranger;
	t->verdict = POLICY_HOST_NOT_ALLOWED;
	peer_init(&t->guest, e->role.loop);
	peer_init(&t->upstream, e->role.loop);
	t->at = &e->tunnels;
	t->next = e->tunnels;
	if (t->next != NULL)
		t->next->at = &t->next;
	e->tunnels = t;
	e->tunnel_count++;
	request_reset(t);
	t->timer = loop_timer_new(e->role.loop, on_timeout, t);
	t->again = loop_timer_new(e->role.loop, on_again, t);
	if (peer_open(&t->guest, fd, on_event, t) < 0 || t->timer == NULL || t->again == NULL) {
		tunnel_free(t);
		return;
	}
	tunnel_set_timeout(t, t->is_stranger ? TUNNEL_STRANGER_MS : TUNNEL_FIRST_MS);
	tunnel_run(t);
}

/* CONNECT: the host is normalised, the port noted, the tunnel opened. Judged is what comes through
 * it. */
static void open_tunnel(struct tunnel *t, const struct http_head *h)
{
	struct bb_err err = { 0 };
	struct bb_view host;
	enum policy_reason reason;

	t->is_connect = true;
	if (!listen_admits(t, h))
		return;
	if (http_parse_authority(h->target, 0, &host, &t->port, &err) < 0) {
		answer_refuse(t, 400, policy_reason_word(POLICY_HOST_INVALID), "%s", err.msg);
		return;
	}
	reason = policy_normalise_host(host, t->host);
	if (reason == POLICY_HOST_INVALID) { /* no certificate could be made for it */
		answer_refuse(t, 400, policy_reason_word(reason), "'%s' is not a valid host name",
			      BB_ESCAPED(host));
		return;
	}
	/* Until the first byte tells TLS from HTTP: may anything come? */
	t->is_tls = policy_decide_host(t->egress->policy, t->host, t->port, false, NULL) !=
		    POLICY_ALLOWED;
	t->verdict = policy_decide_host(t->egress->policy, t->host, t->port, t->is_tls, NULL);
	if (bb_buf_append_str(&t->guest.out, "HTTP/1.1 200 Connection established\r\n\r\n") < 0) {
		tunnel_close(t);
		return;
	}
	tunnel_set_state(t, TUNNEL_PEEK);
	tunnel_set_timeout(t, policy_may_dial(t->egress->policy, t->host, t->port)
				      ? TUNNEL_PEEK_MS
				      : TUNNEL_REFUSED_MS);
}

static bool first_step(struct tunnel *t)
{
	struct bb_view in = bb_buf_peek(&t->guest.in);
	struct bb_err err = { 0 };
	struct http_head *h;
	int n;

	if (in.n >= 8 && memcmp(in.p, "CONNECT ", 8) != 0) {
		tunnel_set_state(t, TUNNEL_REQUEST);
		return true;
	}
	n = http_head_end(in, &t->scanned, &err);
	if (n == 0 && !t->guest.has_ended)
		return false;
	if (n == 0) {
		tunnel_close(t);
		return true;
	}
	t->is_connect = true;
	h = n < 0 ? NULL : calloc(1, sizeof(*h));
	if (n > 0 && h != NULL && http_parse_request(bb_view_of(in.p, (size_t)n), h, &err) == 0)
		open_tunnel(t, h);
	else
		answer_refuse(t, 400, "malformed", "malformed CONNECT: %s", err.msg);
	free(h);
	if (n > 0)
		bb_buf_consume(&t->guest.in, (size_t)n);
	return true;
}

static void start_guest_tls(struct tunnel *t)
{
	struct bb_err err = { 0 };
	struct tls_conn *tls = NULL;

	t->is_tls = true;
	t->verdict = policy_decide_host(t->egress->policy, t->host, t->port, true, NULL);
	if (tls_accept(t->egress->server, t->guest.fd, bb_buf_peek(&t->guest.in), t->host,
		       t->verdict == POLICY_ALLOWED, &tls, &err) < 0) {
		tunnel_close(t);
		return;
	}
	bb_buf_done(&t->guest.in);
	peer_start_tls(&t->guest, tls);
	tunnel_set_state(t, TUNNEL_GUEST_TLS);
	tunnel_set_timeout(t, TUNNEL_TLS_MS);
}

static bool is_ssh(struct bb_view in)
{
	return in.n >= 4 && memcmp(in.p, "SSH-", 4) == 0;
}

/* The first byte through the tunnel. */
static bool peek_step(struct tunnel *t)
{
	struct bb_view in = bb_buf_peek(&t->guest.in);

	if (bb_buf_size(&t->guest.out) > 0)
		return false; /* the 200 first */
	if (in.n == 0 && !t->guest.has_ended)
		return false;
	if (in.n == 0) {
		if (t->verdict == POLICY_ALLOWED)
			tunnel_close(t);
		else
			answer_refuse(t, 0, policy_reason_word(t->verdict),
				      "the tunnel was closed before anything came");
		return true;
	}
	if (in.p[0] == 0x16) {
		start_guest_tls(t);
		return true;
	}
	if (isupper(in.p[0]) && in.n < 4)
		return false; /* not enough to tell */
	if (!isupper(in.p[0]) || is_ssh(in)) {
		answer_refuse(t, 0,
			      t->verdict == POLICY_ALLOWED ? "not_http"
							   : policy_reason_word(t->verdict),
			      "neither TLS nor HTTP came: '%s'",
			      bb_text_escape((char[64]){ 0 }, 64, in, 16));
		return true;
	}
	t->is_tls = false;
	t->verdict = policy_decide_host(t->egress->policy, t->host, t->port, false, NULL);
	tunnel_set_state(t, TUNNEL_REQUEST);
	return true;
}

static bool guest_tls_step(struct tunnel *t)
{
	enum tls_hello hello;

	if (t->guest.is_shaking)
		return false;
	if (!t->guest.is_broken) {
		tunnel_set_state(t, TUNNEL_REQUEST);
		return true;
	}
	hello = tls_conn_hello(t->guest.tls);
	if (hello != TLS_HELLO_OK)
		answer_refuse(t, 0, tls_hello_word(hello), "the TLS hello does not fit host '%s'",
			      t->host);
	else
		answer_refuse(t, 0,
			      t->verdict == POLICY_ALLOWED ? "tls_failed"
							   : policy_reason_word(t->verdict),
			      "the guest did not finish its TLS handshake: %s", t->guest.err.msg);
	return true;
}

static bool request_step(struct tunnel *t)
{
	if (bb_buf_size(&t->guest.in) > 0) {
		if (!t->has_first_byte) {
			t->has_first_byte = true;
			tunnel_set_timeout(t, TUNNEL_HEAD_MS);
		}
		if (request_read(t))
			return true;
	}
	if (!t->guest.has_ended)
		return false;
	if (t->is_connect && t->verdict != POLICY_ALLOWED)
		answer_refuse(t, 0, policy_reason_word(t->verdict),
			      "the tunnel was closed before a request came");
	else
		tunnel_close(t);
	return true;
}

/* Our last bytes go out; then the end is said, and what still comes is dropped for a while: closing
 * with bytes unread would take the answer away from the guest (a reset). */
static bool flush_step(struct tunnel *t)
{
	size_t n = bb_buf_size(&t->guest.in);

	t->drained += n;
	bb_buf_reset(&t->guest.in);
	if (bb_buf_size(&t->guest.out) > 0)
		return n > 0;
	if (t->is_cut) {
		tunnel_close(t);
		return true;
	}
	if (!t->guest.is_shut) {
		peer_shut(&t->guest);
		tunnel_set_timeout(t, TUNNEL_LINGER_MS);
	}
	if (t->guest.has_ended || t->drained > LIMIT_EGRESS_REFUSED_BODY) {
		tunnel_close(t);
		return true;
	}
	return n > 0;
}

static bool step(struct tunnel *t)
{
	switch (t->state) {
	case TUNNEL_FIRST:
		return first_step(t);
	case TUNNEL_PEEK:
		return peek_step(t);
	case TUNNEL_GUEST_TLS:
		return guest_tls_step(t);
	case TUNNEL_REQUEST:
		return request_step(t);
	case TUNNEL_UPSTREAM_TLS:
		return upstream_step(t);
	case TUNNEL_EXCHANGE:
		return exchange_step(t);
	case TUNNEL_FLUSH:
		return flush_step(t);
	case TUNNEL_DIAL:
	case TUNNEL_RECORD:
	case TUNNEL_CLOSED:
		break;
	}
	return false;
}

/* A guest that broke off has nobody to answer; what was refused is still recorded. */
static void guest_broke(struct tunnel *t)
{
	if (t->is_connect && t->verdict != POLICY_ALLOWED && !t->is_recorded &&
	    (t->state == TUNNEL_PEEK || t->state == TUNNEL_REQUEST))
		answer_refuse(t, 0, policy_reason_word(t->verdict),
			      "the tunnel was closed before a request came");
	tunnel_close(t); /* a record that was sent is written without us */
}

void tunnel_run(struct tunnel *t)
{
	int rounds = 0;
	bool has_moved = true;

	if (t->is_running)
		return;
	t->is_running = true;
	while (has_moved && t->state != TUNNEL_CLOSED && rounds++ < TUNNEL_ROUNDS) {
		has_moved = peer_io(&t->guest);
		has_moved = peer_io(&t->upstream) || has_moved;
		if ((t->guest.is_broken || t->guest.is_mute) && t->state != TUNNEL_GUEST_TLS)
			guest_broke(t);
		has_moved = step(t) || has_moved;
	}
	t->is_running = false;
	if (t->state == TUNNEL_CLOSED) {
		tunnel_free(t);
		return;
	}
	peer_watch(&t->guest);
	peer_watch(&t->upstream);
	if (has_moved)
		loop_timer_set(t->again, 0);
}
