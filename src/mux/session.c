/*
 * The session side of the stream: parses what the peer sends (untrusted, byte by byte), keeps the
 * table of streams and the output buffer. Invariants: nothing is allocated for a frame that its
 * limits do not allow; after an error nothing is parsed any more; a stream is looked up again after
 * every callback, for a callback may release it.
 */
#include <stdlib.h>

#include "base/limit.h"
#include "mux/mux_impl.h"

#define MUX_REFUSED_MAX \
	4096 /* opens beyond the limit in a row: then it is an attack, not a burst */
#define MUX_DEAD_ALLOWANCE \
	65536 /* control frames that may cross with our reset, counted as bytes */

struct mux *mux_new(const struct mux_config *config, const struct mux_handlers *handlers, void *arg)
{
	struct mux *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->config = *config;
	if (m->config.max_streams == 0)
		m->config.max_streams = LIMIT_MUX_STREAMS;
	if (m->config.window == 0)
		m->config.window = LIMIT_MUX_WINDOW;
	if (m->config.window_max < m->config.window)
		m->config.window_max = m->config.window > LIMIT_MUX_WINDOW_MAX
					       ? m->config.window
					       : LIMIT_MUX_WINDOW_MAX;
	if (m->config.max_buffered == 0)
		m->config.max_buffered = LIMIT_MUX_BUFFERED;
	m->handlers = handlers;
	m->arg = arg;
	m->next_id = config->side == MUX_GUEST ? 1 : 2;
	m->last_blocked = &m->first_blocked;
	bb_buf_init(&m->output, MUX_OUTPUT_HARD);
	return m;
}

void mux_free(struct mux *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < MUX_BUCKETS; i++) {
		while (m->buckets[i] != NULL) {
			struct mux_stream *s = m->buckets[i];

			m->buckets[i] = s->next;
			bb_buf_done(&s->received);
			free(s);
		}
	}
	bb_buf_done(&m->output);
	free(m);
}

static struct mux_stream *find(struct mux *m, uint32_t id)
{
	struct mux_stream *s = m->buckets[id / 2 % MUX_BUCKETS];

	while (s != NULL && s->id != id)
		s = s->next;
	return s;
}

void mux_tell_output(struct mux *m)
{
	if (m->has_told_output || bb_buf_size(&m->output) == 0)
		return;
	m->has_told_output = true;
	m->handlers->on_output(m->arg);
}

size_t mux_output_room(const struct mux *m)
{
	size_t used = bb_buf_size(&m->output);

	return used >= MUX_OUTPUT_HIGH ? 0 : MUX_OUTPUT_HIGH - used;
}

void mux_send_control(struct mux *m, enum mux_type type, uint16_t flags, uint32_t id,
		      uint32_t length)
{
	const struct mux_header h = { .type = type, .flags = flags, .id = id, .length = length };
	uint8_t raw[MUX_HEADER];

	if (m->error.code != 0)
		return;
	mux_codec_put(raw, &h);
	if (bb_buf_append(&m->output, raw, sizeof(raw)) < 0) {
		(void)bb_err_set(&m->error, -ENOBUFS,
				 "the peer makes answers faster than it takes them");
		return;
	}
	mux_tell_output(m);
}

struct bb_view mux_output(struct mux *m)
{
	return bb_buf_peek(&m->output);
}

void mux_output_consume(struct mux *m, size_t n)
{
	bool was_full = mux_output_room(m) == 0;

	bb_buf_consume(&m->output, n);
	if (bb_buf_size(&m->output) == 0)
		m->has_told_output = false;
	if (m->first_blocked != NULL &&
	    (!was_full || bb_buf_size(&m->output) <= MUX_OUTPUT_HIGH / 2))
		mux_wake_blocked(m);
}

void mux_go_away(struct mux *m)
{
	if (m->has_sent_go_away)
		return;
	m->has_sent_go_away = true;
	mux_send_control(m, MUX_GO_AWAY, 0, 0, 0);
}

size_t mux_open_streams(const struct mux *m)
{
	return m->stream_count;
}

int mux_open(struct mux *m, void *owner, struct mux_stream **ret)
{
	struct mux_stream *s;

	if (m->error.code != 0 || m->has_got_go_away || m->next_id > UINT32_MAX - 2)
		return -ESHUTDOWN;
	if (m->stream_count >= m->config.max_streams)
		return -EMFILE;
	s = mux_stream_new(m, m->next_id, owner);
	if (s == NULL)
		return -ENOMEM;
	m->next_id += 2;
	*ret = s;
	mux_send_control(m, MUX_WINDOW, MUX_SYN, s->id, 0);
	return 0;
}

void mux_expect_dead_frames(struct mux *m, const struct mux_stream *s)
{
	m->dead_budget += (uint64_t)s->recv_credit + MUX_DEAD_ALLOWANCE;
}

static bool is_peer_id(const struct mux *m, uint32_t id)
{
	return (id % 2 == 1) == (m->config.side == MUX_HOST);
}

/* A frame for a stream that is gone: fine when it crossed with our reset, as far as credit went. */
static int account_dead_frame(struct mux *m, const struct mux_header *h)
{
	uint64_t cost = h->type == MUX_DATA ? (uint64_t)h->length + MUX_HEADER : MUX_HEADER;
	bool was_open = is_peer_id(m, h->id) ? h->id <= m->last_peer_id : h->id < m->next_id;

	if (!was_open)
		return bb_err_set(&m->error, -EPROTO,
				  "a frame is for stream %u, which was never opened", h->id);
	if (cost > m->dead_budget)
		return bb_err_set(&m->error, -EPROTO, "stream %u is closed and still gets frames",
				  h->id);
	m->dead_budget -= cost;
	return 0;
}

static int open_by_peer(struct mux *m, const struct mux_header *h)
{
	struct mux_stream *s;
	int r;

	if (!is_peer_id(m, h->id) || h->id <= m->last_peer_id)
		return bb_err_set(&m->error, -EPROTO,
				  "the peer opens stream %u, which is not its next", h->id);
	m->last_peer_id = h->id;
	if (m->has_sent_go_away || m->stream_count >= m->config.max_streams) {
		if (++m->refused_opens > MUX_REFUSED_MAX)
			return bb_err_set(&m->error, -EPROTO,
					  "the peer opens more than %u streams again and again",
					  m->config.max_streams);
		m->dead_budget += (uint64_t)m->config.window + MUX_DEAD_ALLOWANCE;
		mux_send_control(m, MUX_WINDOW, MUX_RST, h->id, 0);
		return m->error.code;
	}
	m->refused_opens = 0;
	s = mux_stream_new(m, h->id, NULL);
	if (s == NULL)
		return bb_err_set(&m->error, -ENOMEM, "out of memory for a stream");
	mux_send_control(m, MUX_WINDOW, MUX_ACK, s->id, 0);
	r = m->handlers->on_open(m->arg, s);
	if (r < 0)
		mux_stream_release(s);
	return m->error.code;
}

static void peer_reset(struct mux *m, struct mux_stream *s)
{
	if (s->is_reset)
		return;
	s->is_reset = true;
	mux_drop_received(s);
	m->handlers->on_reset(m->arg, s, s->owner);
}

static int add_credit(struct mux *m, struct mux_stream *s, uint32_t delta)
{
	if (__builtin_add_overflow(s->send_credit, delta, &s->send_credit))
		return bb_err_set(&m->error, -EPROTO, "the credit of stream %u overflows", s->id);
	if (!s->is_blocked || s->send_credit == 0)
		return 0;
	if (mux_takes_now(s) > 0) {
		s->is_blocked = false;
		m->handlers->on_writable(m->arg, s, s->owner);
	} else if (!s->has_sent_fin) {
		mux_list_blocked(s);
	}
	return m->error.code;
}

static int fin_by_peer(struct mux *m, struct mux_stream *s)
{
	if (s->has_got_fin)
		return bb_err_set(&m->error, -EPROTO, "stream %u is finished twice", s->id);
	s->has_got_fin = true;
	m->handlers->on_readable(m->arg, s, s->owner);
	return m->error.code;
}

/* One whole header of a data or window frame. Data bytes, if any, follow by data_id and data_left.
 */
static int stream_frame(struct mux *m, const struct mux_header *h)
{
	struct mux_stream *s;
	int r;

	if ((h->flags & MUX_SYN) != 0) {
		r = open_by_peer(m, h);
		if (r < 0)
			return r;
	}
	s = find(m, h->id);
	if (s == NULL || s->is_reset) {
		m->data_id = 0;
		r = account_dead_frame(m, h);
		m->data_left = r == 0 && h->type == MUX_DATA ? h->length : 0;
		return r;
	}
	if ((h->flags & MUX_RST) != 0) {
		/* What a reset frame carries is dropped with the stream. */
		m->data_id = 0;
		m->data_left = h->type == MUX_DATA ? h->length : 0;
		peer_reset(m, s);
		return m->error.code;
	}
	if (h->type == MUX_WINDOW) {
		r = add_credit(m, s, h->length);
		s = find(m, h->id);
		if (r == 0 && s != NULL && !s->is_reset && (h->flags & MUX_FIN) != 0)
			r = fin_by_peer(m, s);
		return r;
	}
	if (s->has_got_fin && h->length > 0)
		return bb_err_set(&m->error, -EPROTO, "stream %u gets data after its end", h->id);
	if (h->length > s->recv_credit)
		return bb_err_set(&m->error, -EPROTO, "stream %u gets %u bytes, its credit is %u",
				  h->id, h->length, s->recv_credit);
	if (h->length > 0 && (h->flags & MUX_FIN) != 0)
		return bb_err_set(&m->error, -EPROTO,
				  "a frame of stream %u carries both data and its end", h->id);
	s->recv_credit -= h->length;
	m->data_id = h->id;
	m->data_left = h->length;
	return (h->flags & MUX_FIN) != 0 ? fin_by_peer(m, s) : 0;
}

static int whole_header(struct mux *m, const struct mux_header *h)
{
	switch (h->type) {
	case MUX_DATA:
	case MUX_WINDOW:
		return stream_frame(m, h);
	case MUX_PING:
		if ((h->flags & MUX_SYN) != 0)
			mux_send_control(m, MUX_PING, MUX_ACK, 0, h->length);
		return m->error.code;
	case MUX_GO_AWAY:
		m->has_got_go_away = true;
		return 0;
	}
	return -EPROTO;
}

/* Keeps bytes that the owner has not taken; false when the session may not hold that much. */
static bool keep_received(struct mux *m, struct mux_stream *s, struct bb_view v)
{
	size_t before = s->received.alloc;

	if (bb_buf_append_view(&s->received, v) < 0) {
		(void)bb_err_set(&m->error, -ENOMEM, "out of memory for %zu received bytes", v.n);
		return false;
	}
	m->kept += s->received.alloc - before;
	/* A buffer doubles and stays while its stream holds a byte: a peer that leaves one byte in
	 * each of many is stopped here. */
	return m->kept <= 4 * m->config.max_buffered;
}

/* Hands bytes to the owner: where they lie, when nothing waits before them, and what it then leaves
 * is kept; else behind what waits. False when the session may not hold that much. */
static bool hand_over(struct mux *m, struct mux_stream *s, struct bb_view v)
{
	uint32_t id = s->id;

	if (v.n > m->config.max_buffered - m->buffered)
		return false;
	m->buffered += v.n;
	if (bb_buf_size(&s->received) > 0) {
		if (!keep_received(m, s, v)) {
			/* Not counted twice: only what the buffer holds is taken back. */
			m->buffered -= m->error.code != 0 ? v.n : 0;
			return false;
		}
		m->handlers->on_readable(m->arg, s, s->owner);
		return true;
	}
	s->direct = v;
	m->handlers->on_readable(m->arg, s, s->owner);
	s = find(m, id);
	if (s == NULL || s->direct.n == 0)
		return true;
	v = s->direct;
	s->direct = bb_view_of(NULL, 0);
	return keep_received(m, s, v);
}

/* Up to n payload bytes of the current data frame; returns how many were taken, or negative. */
static long payload(struct mux *m, const uint8_t *p, size_t n)
{
	size_t take = n < m->data_left ? n : m->data_left;
	struct mux_stream *s = m->data_id == 0 ? NULL : find(m, m->data_id);

	m->data_left -= (uint32_t)take;
	if (s == NULL || s->is_reset)
		return (long)take;
	if (!hand_over(m, s, bb_view_of(p, take)) && m->error.code == 0) {
		/* The session holds too much: this stream gives way, the others go on. */
		mux_stream_reset(s);
		m->handlers->on_reset(m->arg, s, s->owner);
	}
	return m->error.code != 0 ? m->error.code : (long)take;
}

int mux_input(struct mux *m, const void *p, size_t n, struct bb_err *err)
{
	const uint8_t *at = p;

	while (n > 0 && m->error.code == 0) {
		struct mux_header h;
		size_t take;

		if (m->data_left > 0) {
			long used = payload(m, at, n);

			if (used < 0)
				break;
			at += used;
			n -= (size_t)used;
			continue;
		}
		take = MUX_HEADER - m->head_len;
		if (take > n)
			take = n;
		memcpy(m->head + m->head_len, at, take);
		m->head_len += take;
		at += take;
		n -= take;
		if (m->head_len < MUX_HEADER)
			break;
		m->head_len = 0;
		if (mux_codec_get(m->head, &h, &m->error) < 0 || whole_header(m, &h) < 0)
			break;
	}
	if (m->error.code != 0)
		return bb_err_set(err, m->error.code, "%s", m->error.msg);
	return 0;
}
