/* One stream of the session: credit both ways, half-closes, reset, release; see mux.h for the
 * contract. */
#include <assert.h>
#include <stdlib.h>

#include "base/limit.h"
#include "mux/mux_impl.h"

struct mux_stream *mux_stream_new(struct mux *m, uint32_t id, void *owner)
{
	struct mux_stream *s = calloc(1, sizeof(*s));
	struct mux_stream **bucket = &m->buckets[id / 2 % MUX_BUCKETS];

	if (s == NULL)
		return NULL;
	s->m = m;
	s->id = id;
	s->owner = owner;
	s->window = m->config.window;
	s->recv_credit = m->config.window;
	s->send_credit = m->config.window;
	/* Credit can be outstanding while the window grows: twice the largest window bounds the
	 * content. */
	bb_buf_init(&s->received, 2 * (size_t)m->config.window_max);
	s->next = *bucket;
	*bucket = s;
	m->stream_count++;
	return s;
}

void mux_stream_set_owner(struct mux_stream *s, void *owner)
{
	s->owner = owner;
}

uint32_t mux_stream_id(const struct mux_stream *s)
{
	return s->id;
}

struct bb_view mux_stream_peek(struct mux_stream *s)
{
	return s->direct.n > 0 ? s->direct : bb_buf_peek(&s->received);
}

static size_t held(const struct mux_stream *s)
{
	return s->direct.n + bb_buf_size(&s->received);
}

/* The peer used its whole window before we told it of new credit: the window is what slows it down.
 */
static void grow_window(struct mux_stream *s)
{
	const struct mux *m = s->m;

	if (s->recv_credit >= s->window / 4 || s->window >= m->config.window_max ||
	    m->buffered > m->config.max_buffered / 4)
		return;
	s->consumed +=
		s->window > m->config.window_max / 2 ? m->config.window_max - s->window : s->window;
	s->window = s->window > m->config.window_max / 2 ? m->config.window_max : 2 * s->window;
}

void mux_stream_consume(struct mux_stream *s, size_t n)
{
	if (n == 0)
		return;
	if (s->direct.n > 0) {
		assert(n <= s->direct.n);
		s->direct = bb_view_from(s->direct, n);
	} else {
		bb_buf_consume(&s->received, n);
	}
	s->m->buffered -= n;
	if (held(s) == 0 && s->m->kept > s->m->config.max_buffered / 4)
		mux_drop_received(s);
	if (s->is_reset || s->has_got_fin)
		return;
	s->consumed += (uint32_t)n;
	if (s->consumed < s->window / 2)
		return;
	grow_window(s);
	s->recv_credit += s->consumed;
	mux_send_control(s->m, MUX_WINDOW, 0, s->id, s->consumed);
	s->consumed = 0;
}

void mux_drop_received(struct mux_stream *s)
{
	s->m->buffered -= held(s);
	s->direct = bb_view_of(NULL, 0);
	s->m->kept -= s->received.alloc;
	bb_buf_done(&s->received);
}

bool mux_stream_at_eof(const struct mux_stream *s)
{
	return s->has_got_fin && held(s) == 0;
}

void mux_list_blocked(struct mux_stream *s)
{
	struct mux *m = s->m;

	if (s->is_listed)
		return;
	s->is_listed = true;
	s->next_blocked = NULL;
	*m->last_blocked = s;
	m->last_blocked = &s->next_blocked;
}

static void unlist_blocked(struct mux_stream *s)
{
	struct mux *m = s->m;

	if (!s->is_listed)
		return;
	for (struct mux_stream **at = &m->first_blocked; *at != NULL; at = &(*at)->next_blocked) {
		if (*at != s)
			continue;
		*at = s->next_blocked;
		if (m->last_blocked == &s->next_blocked)
			m->last_blocked = at;
		break;
	}
	s->is_listed = false;
}

void mux_wake_blocked(struct mux *m)
{
	size_t turns = m->stream_count;

	/* Each waits at the back again when it finds no room: everyone gets its turn. */
	while (m->first_blocked != NULL && turns-- > 0 && m->error.code == 0 &&
	       mux_output_room(m) > MUX_HEADER) {
		struct mux_stream *s = m->first_blocked;

		unlist_blocked(s);
		if (s->is_reset || s->send_credit == 0)
			continue;
		s->is_blocked = false;
		m->handlers->on_writable(m->arg, s, s->owner);
	}
}

size_t mux_takes_now(const struct mux_stream *s)
{
	size_t room = mux_output_room(s->m);

	if (s->is_reset || s->has_sent_fin || s->m->error.code != 0)
		return 0;
	room = room > MUX_HEADER ? room - MUX_HEADER : 0;
	return room < s->send_credit ? room : s->send_credit;
}

/* The owner has seen that nothing fits: it is owed on_writable. */
static void wait_for_room(struct mux_stream *s)
{
	if (s->is_reset || s->has_sent_fin)
		return;
	s->is_blocked = true;
	if (s->send_credit > 0)
		mux_list_blocked(s);
}

size_t mux_stream_writable(struct mux_stream *s)
{
	size_t n = mux_takes_now(s);

	if (n == 0)
		wait_for_room(s);
	return n;
}

uint8_t *mux_stream_reserve(struct mux_stream *s, size_t *ret_room)
{
	struct mux *m = s->m;
	size_t room = mux_stream_writable(s);
	uint8_t *dst;

	if (room > LIMIT_MUX_FRAME)
		room = LIMIT_MUX_FRAME;
	if (room == 0)
		return NULL;
	dst = bb_buf_reserve(&m->output, MUX_HEADER + room);
	if (dst == NULL) {
		(void)bb_err_set(&m->error, -ENOMEM, "out of memory for output");
		return NULL;
	}
	*ret_room = room;
	return dst + MUX_HEADER;
}

void mux_stream_commit(struct mux_stream *s, size_t n)
{
	struct mux *m = s->m;
	const struct mux_header h = { .type = MUX_DATA, .id = s->id, .length = (uint32_t)n };

	assert(n <= s->send_credit && n <= LIMIT_MUX_FRAME);
	if (n == 0)
		return;
	mux_codec_put(m->output.p + m->output.len, &h); /* where reserve made room */
	bb_buf_commit(&m->output, MUX_HEADER + n);
	s->send_credit -= (uint32_t)n;
	mux_tell_output(m);
}

size_t mux_stream_write(struct mux_stream *s, const void *p, size_t n)
{
	const uint8_t *at = p;
	size_t left = n;

	assert(!s->has_sent_fin);
	while (left > 0) {
		size_t take = left;
		uint8_t *dst;

		if (s->is_reset || s->m->error.code != 0)
			return n; /* nobody will read it */
		dst = mux_stream_reserve(s, &take);
		if (dst == NULL)
			break;
		if (take > left)
			take = left;
		memcpy(dst, at, take);
		mux_stream_commit(s, take);
		at += take;
		left -= take;
	}
	return s->m->error.code != 0 ? n : n - left;
}

void mux_stream_finish(struct mux_stream *s)
{
	if (s->has_sent_fin || s->is_reset)
		return;
	s->has_sent_fin = true;
	s->is_blocked = false; /* nothing more will be written: nobody waits for room */
	unlist_blocked(s);
	mux_send_control(s->m, MUX_DATA, MUX_FIN, s->id, 0);
}

void mux_stream_reset(struct mux_stream *s)
{
	struct mux *m = s->m;

	if (s->is_reset)
		return;
	s->is_reset = true;
	mux_drop_received(s);
	if (!(s->has_sent_fin && s->has_got_fin)) {
		mux_expect_dead_frames(m, s);
		mux_send_control(m, MUX_WINDOW, MUX_RST, s->id, 0);
	}
}

void mux_stream_release(struct mux_stream *s)
{
	struct mux *m = s->m;
	struct mux_stream **at = &m->buckets[s->id / 2 % MUX_BUCKETS];

	mux_stream_reset(s);
	/* Window updates and a reset of the peer may still be on their way. */
	m->dead_budget += 4096;
	unlist_blocked(s);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	m->stream_count--;
	mux_drop_received(s);
	free(s);
}
