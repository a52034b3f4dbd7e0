/*
 * A request that passed, and its response: both bodies move as they come, each decoded and framed
 * anew, with at most PEER_OUT_HIGH bytes waiting in a direction. Nothing is held back: what an
 * upstream has sent is with the guest in the same turn (server-sent events).
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "http/field.h"
#include "http/write.h"
#include "role/egress/egress_impl.h"

#define EXCHANGE_IDLE_MS 600000 /* a model may think for minutes before its first byte */
#define EXCHANGE_PIECE   16384

void exchange_start(struct tunnel *t)
{
	struct request *q = &t->request;

	tunnel_set_state(t, TUNNEL_EXCHANGE);
	tunnel_set_timeout(t, EXCHANGE_IDLE_MS);
	if (bb_buf_append_view(&t->upstream.out, bb_buf_peek(&q->head)) < 0) {
		answer_plain(t, 503, "out of memory");
		return;
	}
	bb_buf_wipe(&q->head);
	/* Answered here: the verdict is known, the upstream is there, and the field is not passed
	 * on. */
	if (q->expects_continue && !q->body.is_done && bb_buf_size(&t->guest.in) == 0 &&
	    bb_buf_append_str(&t->guest.out, "HTTP/1.1 100 Continue\r\n\r\n") < 0)
		tunnel_close(t);
}

static int put_piece(struct bb_buf *out, enum http_framing framing, struct bb_view piece)
{
	if (piece.n == 0)
		return 0;
	return framing == HTTP_BODY_CHUNKED ? http_put_chunk(out, piece)
					    : bb_buf_append_view(out, piece);
}

/* What a filter lets go, and the end once it has come through. */
static int move_filtered(struct body *b, struct peer *to, struct bb_err *err)
{
	struct bb_view piece;
	int end = filter_take(b->filter, &piece, err);
	int r = end < 0 ? end : put_piece(&to->out, b->to, piece);

	if (end < 0)
		return end;
	b->is_done = end > 0;
	if (r == 0 && b->is_done && b->to == HTTP_BODY_CHUNKED)
		r = http_put_last_chunk(&to->out);
	return r < 0 ? bb_err_set(err, r, "out of memory") : 1;
}

/* The next piece out of the framing of b. Bytes used, or negative; *ret_is_end: it was the last. */
static ssize_t next_piece(struct body *b, struct bb_view in, struct bb_view *ret, bool *ret_is_end,
			  struct bb_err *err)
{
	ssize_t used;

	if (in.n > EXCHANGE_PIECE)
		in.n = EXCHANGE_PIECE;
	*ret = in;
	*ret_is_end = false;
	if (b->from == HTTP_BODY_CHUNKED) {
		used = http_chunked_read(&b->chunked, in, ret, err);
		*ret_is_end = used >= 0 && b->chunked.state == HTTP_CHUNK_DONE;
		return used;
	}
	if (b->from == HTTP_BODY_LENGTH) {
		if (ret->n > b->left)
			ret->n = (size_t)b->left;
		b->left -= ret->n;
		*ret_is_end = b->left == 0;
	}
	return (ssize_t)ret->n;
}

/* Moves one piece. 1: moved; 0: nothing to move; negative: malformed, or out of memory. */
static int move_body(struct body *b, struct peer *from, struct peer *to, struct bb_err *err)
{
	struct bb_view in = bb_buf_peek(&from->in), piece;
	bool is_end;
	ssize_t used;
	int r;

	if (b->is_done || !peer_has_room(to))
		return 0;
	if (b->filter != NULL && filter_is_busy(b->filter))
		return move_filtered(b, to, err);
	if (in.n == 0)
		return 0;
	used = next_piece(b, in, &piece, &is_end, err);
	if (used < 0)
		return (int)used;
	if (b->filter != NULL) {
		r = filter_give(b->filter, piece, is_end);
	} else {
		b->is_done = is_end;
		r = put_piece(&to->out, b->to, piece);
		if (r == 0 && is_end && b->to == HTTP_BODY_CHUNKED)
			r = http_put_last_chunk(&to->out);
	}
	bb_buf_consume(&from->in, (size_t)used);
	return r < 0 ? bb_err_set(err, r, "out of memory") : 1;
}

/* A response that cannot be passed on as what it claims: before its head, say so; after, cut off.
 */
static void fail(struct tunnel *t, unsigned status, const char *text)
{
	if (t->response.has_head)
		tunnel_close(t);
	else
		answer_plain(t, status, text);
}

/* A body without an announced length is counted as it comes. False: it was cut off. */
static bool count_request(struct tunnel *t, size_t before)
{
	size_t more = bb_buf_size(&t->upstream.out) - before;

	if (t->request.body.from != HTTP_BODY_CHUNKED || more == 0 || rate_admits_more(t, more))
		return true;
	peer_close(&t->upstream); /* with what was not sent yet */
	if (t->response.has_head)
		tunnel_close(t);
	else
		rate_cut(t);
	return false;
}

static bool move_request(struct tunnel *t)
{
	struct bb_err err = { 0 };
	size_t before = bb_buf_size(&t->upstream.out);
	int r = move_body(&t->request.body, &t->guest, &t->upstream, &err);

	if (r > 0 && !count_request(t, before))
		return true;
	if (r >= 0)
		return r > 0;
	/* Half of it is with the upstream: that connection is over. */
	peer_close(&t->upstream);
	if (t->response.has_head || r == -ENOMEM || r == -EMSGSIZE)
		tunnel_close(t);
	else
		answer_refuse(t, 400, "malformed", "malformed request body: %s", err.msg);
	return true;
}

static int write_response_head(struct tunnel *t, const struct http_head *h)
{
	struct response *p = &t->response;
	struct bb_buf *out = &t->guest.out;
	int r = http_put_status_line(out, h->status, h->reason);

	for (size_t i = 0; r == 0 && i < h->field_count; i++) {
		const struct bb_field *f = &h->fields[i];
		BB_AUTO_FREE char *name = NULL;

		if (http_is_hop_field(h, f->name) ||
		    (p->is_decoded && bb_view_ieq_str(f->name, "content-encoding")))
			continue;
		name = strndup((const char *)f->name.p, f->name.n);
		r = name == NULL ? -ENOMEM : http_put_field(out, name, f->value);
	}
	if (r == 0 && !p->is_persistent)
		r = http_put_field(out, "Connection", bb_view_str("close"));
	else if (r == 0 && t->request.is_old)
		r = http_put_field(out, "Connection", bb_view_str("keep-alive"));
	if (r == 0 && p->body.to == HTTP_BODY_NONE && !p->is_decoded &&
	    http_find(h, "Content-Length") != NULL && h->status != 204)
		r = http_put_field(out, "Content-Length", http_find(h, "Content-Length")->value);
	if (r == 0)
		r = http_put_framing(out, p->body.to, h->length);
	return r < 0 ? r : http_put_end(out);
}

/* From a host with a bound credential a body passes through a filter. False: it cannot. */
static bool add_filter(struct tunnel *t, const struct http_head *h, enum http_framing *to)
{
	const struct egress_auth *auth = credential_of(t->egress, t->request.route);
	enum http_coding coding = HTTP_CODING_IDENTITY;
	struct response *p = &t->response;

	if (auth == NULL)
		return true;
	for (size_t i = 0; i < h->field_count; i++) {
		if (!bb_view_ieq_str(h->fields[i].name, "content-encoding"))
			continue;
		if (coding != HTTP_CODING_IDENTITY)
			return false;
		coding = http_coding_of(h->fields[i].value);
	}
	p->is_decoded = coding != HTTP_CODING_IDENTITY;
	if (p->body.is_done)
		return true;
	if (coding == HTTP_CODING_UNKNOWN || (p->is_decoded && h->status == 206))
		return false; /* part of a compressed body is nothing that can be looked through */
	if (p->is_decoded && *to == HTTP_BODY_LENGTH)
		*to = t->request.is_old ? HTTP_BODY_CLOSE : HTTP_BODY_CHUNKED;
	p->body.filter = filter_new(auth->scrub, coding);
	return p->body.filter != NULL;
}

static void take_response(struct tunnel *t, const struct http_head *h)
{
	struct response *p = &t->response;
	enum http_framing to = h->framing;

	/* What ends with the connection does so for the guest as well, with a close_notify only
	 * where the upstream had one: the guest judges a cut as it would without us. HTTP/1.0 knows
	 * no chunks. */
	if (to == HTTP_BODY_CHUNKED && t->request.is_old)
		to = HTTP_BODY_CLOSE;
	p->body = (struct body){ .from = h->framing, .left = h->length };
	p->body.is_done =
		h->framing == HTTP_BODY_NONE || (h->framing == HTTP_BODY_LENGTH && h->length == 0);
	http_chunked_init(&p->body.chunked, true);
	if (!add_filter(t, h, &to)) {
		answer_plain(t, 502,
			     "the response is compressed in a way that the credential could not be "
			     "taken out of");
		return;
	}
	p->body.to = to;
	p->is_persistent = t->request.is_persistent && to != HTTP_BODY_CLOSE;
	if (!h->is_persistent) /* this connection is not used again; the guest's may be */
		t->upstream_port = 0;
	p->has_head = true;
	show_fields(t, "response of", h);
	if (write_response_head(t, h) < 0)
		tunnel_close(t);
}

/* The host must not tell the guest what only the host may know: in no field of its answer. */
static void hide_credential(struct tunnel *t, int head_bytes)
{
	const struct egress_auth *auth = credential_of(t->egress, t->request.route);

	if (auth != NULL && head_bytes > 0)
		http_scrub_mask(auth->scrub, t->upstream.in.p + t->upstream.in.off,
				(size_t)head_bytes);
}

static bool read_response_head(struct tunnel *t)
{
	struct bb_view in = bb_buf_peek(&t->upstream.in);
	struct bb_err err = { 0 };
	struct http_head *h;
	int n = http_head_end(in, &t->response.scanned, &err);
	int r;

	if (n == 0)
		return false;
	h = n < 0 ? NULL : calloc(1, sizeof(*h));
	hide_credential(t, n);
	r = n < 0       ? n
	    : h == NULL ? -ENOMEM
			: http_parse_response(bb_view_of(in.p, (size_t)n),
					      t->request.is_head_method, h, &err);
	if (r == 0 && h->status == 101)
		r = bb_err_set(&err, -EPROTO, "it switches protocols unasked");
	if (r == 0) /* what h points to stays until more is read */
		bb_buf_consume(&t->upstream.in, (size_t)n);
	if (r < 0)
		answer_plain(t, 502, "the upstream's response is malformed");
	else if (h->status >= 200) /* interim ones are dropped */
		take_response(t, h);
	free(h);
	return true;
}

static void upstream_ended(struct tunnel *t)
{
	struct response *p = &t->response;

	if (!p->has_head) {
		fail(t, 502, "the upstream closed the connection without an answer");
		return;
	}
	if (p->body.from == HTTP_BODY_CLOSE && p->body.filter != NULL && !t->upstream.is_broken &&
	    filter_give(p->body.filter, bb_view_of(NULL, 0), true) == 0)
		return; /* what it holds goes first */
	/* The guest sees an end that was none: no last chunk, too few bytes, no close_notify. */
	t->is_cut = p->body.from != HTTP_BODY_CLOSE || t->upstream.is_broken;
	p->is_persistent = false;
	p->body.is_done = true;
}

static bool move_response(struct tunnel *t)
{
	struct bb_err err = { 0 };
	int r;

	if (!peer_has_room(&t->guest))
		return false;
	if (!t->response.has_head && read_response_head(t))
		return true;
	r = t->response.has_head ? move_body(&t->response.body, &t->upstream, &t->guest, &err) : 0;
	if (r < 0) {
		tunnel_close(t);
		return true;
	}
	if (r == 0 && !t->response.body.is_done && bb_buf_size(&t->upstream.in) == 0 &&
	    (t->upstream.has_ended || t->upstream.is_broken)) {
		upstream_ended(t);
		return true;
	}
	/* A head that can never be completed. */
	if (r == 0 && !t->response.has_head && (t->upstream.has_ended || t->upstream.is_broken)) {
		upstream_ended(t);
		return true;
	}
	return r > 0;
}

static void finish(struct tunnel *t)
{
	bool is_reusable = t->request.body.is_done && t->response.is_persistent;

	if (!t->request.body.is_done || t->upstream_port == 0 || bb_buf_size(&t->upstream.in) > 0)
		peer_close(&t->upstream); /* bytes nobody asked for are never the next response */
	if (is_reusable) {
		request_reset(t);
		tunnel_set_state(t, TUNNEL_REQUEST);
		return;
	}
	peer_close(&t->upstream);
	tunnel_set_state(t, TUNNEL_FLUSH);
	tunnel_set_timeout(t, EXCHANGE_IDLE_MS);
}

bool exchange_step(struct tunnel *t)
{
	bool has_moved = move_request(t);

	if (t->state == TUNNEL_EXCHANGE)
		has_moved = move_response(t) || has_moved;
	if (t->state != TUNNEL_EXCHANGE)
		return true;
	if (t->response.has_head && t->response.body.is_done) {
		finish(t);
		return true;
	}
	if (!t->request.body.is_done && bb_buf_size(&t->guest.in) == 0 && t->guest.has_ended) {
		tunnel_close(t);
		return true;
	}
	if (has_moved)
		tunnel_set_timeout(t, EXCHANGE_IDLE_MS);
	return has_moved;
}
