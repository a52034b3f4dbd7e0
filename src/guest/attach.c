/*
 * The stream side of a session: parsing the host's frames, replaying and following the ring.
 *
 * The host never half-closes an EXEC stream to say "end of input" (that is EXEC_STDIN_EOF), so the
 * end of its half is the loss of the attachment, like a reset.
 */
#include "guest/session_impl.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/num.h"
#include "base/tlv.h"

static void attach_free(struct attach *a)
{
	mux_stream_release(a->peer.stream);
	frames_done(&a->in);
	bb_buf_done(&a->pre);
	free(a);
}

/* The stream is gone, or over: a is freed. The session lives on where it should. */
static void attach_lost(struct attach *a)
{
	struct session *s = a->session;
	bool was_owner = a->is_owner;

	if (s != NULL) {
		for (struct attach **p = &s->attached; *p != NULL; p = &(*p)->next) {
			if (*p == a) {
				*p = a->next;
				break;
			}
		}
	}
	attach_free(a);
	if (s == NULL)
		return;
	if (was_owner)
		session_owner_lost(s);
	session_resume(s);
}

/* The last frame: after it only the host's close is awaited. */
static void attach_say_end(struct attach *a, uint8_t type, uint32_t code, const char *text)
{
	uint8_t body[4 + 512];
	size_t n = text == NULL ? 0 : strnlen(text, 512);

	bb_put_be32(body, code);
	if (n > 0)
		memcpy(body + 4, text, n);
	(void)proto_put_frame(&a->pre, type, body,
			      4 + n); /* the buffer has room for two of these */
	a->is_finished = true;
}

static void attach_fail(struct attach *a, uint32_t code, const char *text)
{
	attach_say_end(a, EXEC_FAILED, code, text);
	if (frames_flush(&a->pre, a->peer.stream))
		mux_stream_finish(a->peer.stream);
}

void attach_pump(struct attach *a)
{
	struct session *s = a->session;

	if (!frames_flush(&a->pre, a->peer.stream))
		return;
	if (a->is_finished) {
		mux_stream_finish(a->peer.stream);
		return;
	}
	if (s == NULL || s->state == SESSION_STARTING)
		return;
	for (;;) {
		struct bb_view v = ring_peek(&s->ring, a->position);
		size_t n = v.n == 0 ? 0 : mux_stream_write(a->peer.stream, v.p, v.n);

		if (v.n > 0 && n == 0)
			return;
		a->position += n;
		if (v.n == 0)
			break;
	}
	if (s->state != SESSION_FINISHED)
		return;
	attach_say_end(a, s->is_failed ? EXEC_FAILED : EXEC_EXIT, s->code,
		       s->is_failed ? s->failure : NULL);
	if (frames_flush(&a->pre, a->peer.stream))
		mux_stream_finish(a->peer.stream);
}

static void attach_say_started(struct attach *a)
{
	uint8_t id[4];

	bb_put_be32(id, a->session->id);
	(void)proto_put_frame(&a->pre, EXEC_STARTED, id, sizeof(id)); /* as above */
}

void attach_session_changed(struct session *s)
{
	for (struct attach *a = s->attached; a != NULL; a = a->next) {
		if (s->state == SESSION_RUNNING)
			attach_say_started(a);
		attach_pump(a);
	}
}

static void attach_join(struct attach *a, struct session *s)
{
	a->session = s;
	a->position = s->ring.tail;
	a->next = s->attached;
	s->attached = a;
}

static int attach_start(struct attach *a, struct bb_view body, struct bb_err *err)
{
	struct bb_view args[LIMIT_EXEC_ARGS], env[LIMIT_EXEC_ARGS], cwd = { 0 }, user = { 0 };
	struct process_plan plan = { .args = args, .env = env };
	uint32_t rows = UINT32_MAX, columns = UINT32_MAX, flags = 0;
	const struct bb_tlv_field fields[] = {
		{ EXEC_TAG_ARG, BB_TLV_STR, .max = LIMIT_PROTO_FRAME, .is_required = true,
		  .out = args, .count = &plan.arg_count, .repeat_max = BB_ARRAY_LEN(args) },
		{ EXEC_TAG_ENV, BB_TLV_STR, .max = LIMIT_PROTO_FRAME, .out = env,
		  .count = &plan.env_count, .repeat_max = BB_ARRAY_LEN(env) },
		{ EXEC_TAG_CWD, BB_TLV_STR, .max = 4096, .out = &cwd },
		{ EXEC_TAG_USER, BB_TLV_STR, .max = 32, .out = &user },
		{ EXEC_TAG_ROWS, BB_TLV_U32, .out = &rows },
		{ EXEC_TAG_COLUMNS, BB_TLV_U32, .out = &columns },
		{ EXEC_TAG_FLAGS, BB_TLV_U32, .out = &flags },
	};
	struct session *s;
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (flags & ~(EXEC_FLAG_KEEP | EXEC_FLAG_MAIN))
		return bb_err_set(err, -EPROTO, "flags %u are not known for a start", flags);
	if ((flags & EXEC_FLAG_MAIN) != 0 && session_find(a->guest, 0) != NULL)
		return bb_err_set(err, -EALREADY, "the bottle has its main session already");
	r = guest_user(a->guest, user, &plan.user, err);
	if (r < 0)
		return r;
	plan.cwd = cwd;
	plan.has_pty = rows != UINT32_MAX && columns != UINT32_MAX;
	plan.rows = (uint16_t)rows;
	plan.columns = (uint16_t)columns;
	s = session_start(a->guest, &plan, flags, err);
	if (s == NULL)
		return err->code;
	a->is_owner = true;
	attach_join(a, s);
	return 0;
}

static int attach_attach(struct attach *a, struct bb_view body, struct bb_err *err)
{
	uint32_t id = 0, flags = 0;
	const struct bb_tlv_field fields[] = {
		{ EXEC_TAG_SESSION, BB_TLV_U32, .out = &id },
		{ EXEC_TAG_FLAGS, BB_TLV_U32, .out = &flags },
	};
	struct session *s;
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (flags & ~EXEC_FLAG_OBSERVE)
		return bb_err_set(err, -EPROTO, "flags %u are not known for an attach", flags);
	s = session_find(a->guest, id);
	if (s == NULL)
		return bb_err_set(err, -ENOENT, "no session %u to attach to", id);
	a->is_observer = (flags & EXEC_FLAG_OBSERVE) != 0;
	attach_join(a, s);
	if (s->state != SESSION_STARTING && !s->is_failed)
		attach_say_started(a);
	attach_pump(a);
	return 0;
}

static void attach_first(struct attach *a, const struct proto_frame *f)
{
	struct bb_err err = { 0 };
	int r;

	if (a->guest->is_ending || !a->guest->is_ready)
		r = bb_err_set(&err, -ESHUTDOWN, "the bottle is %s",
			       a->guest->is_ending ? "ending" : "not ready");
	else if (f->type == EXEC_START)
		r = attach_start(a, f->body, &err);
	else if (f->type == EXEC_ATTACH)
		r = attach_attach(a, f->body, &err);
	else
		r = bb_err_set(&err, -EPROTO, "frame %u before a start", f->type);
	if (r < 0)
		attach_fail(a, 125, err.msg);
}

static void attach_frame(struct attach *a, const struct proto_frame *f)
{
	struct session *s = a->session;
	struct bb_view b = f->body;

	if (s == NULL) {
		attach_first(a, f);
		return;
	}
	if (a->is_observer)
		return;
	if (f->type == EXEC_STDIN)
		session_input(s, b);
	else if (f->type == EXEC_STDIN_EOF)
		session_input_eof(s);
	else if (f->type == EXEC_RESIZE && b.n == 4)
		session_resize(s, bb_be16(b.p), bb_be16(b.p + 2));
	else if (f->type == EXEC_SIGNAL && b.n == 4 && bb_be32(b.p) < 128)
		session_signal(s, (int)bb_be32(b.p));
	/* Anything else is not for us: a newer host may say more. */
}

void attach_input(struct attach *a)
{
	struct bb_err err = { 0 };
	struct proto_frame f;
	int r = 0;

	while (!a->is_finished) {
		/* What the process does not take stays in the stream, and the host waits. */
		if (a->session != NULL && !session_takes_input(a->session))
			return;
		r = frames_next(&a->in, a->peer.stream, &f, &err);
		if (r <= 0)
			break;
		attach_frame(a, &f);
		frames_pop(&a->in);
	}
	if (a->is_finished)
		frames_discard(a->peer.stream);
	if (r < 0 || mux_stream_at_eof(a->peer.stream))
		attach_lost(a);
}

static void attach_on_readable(void *peer)
{
	struct attach *a = peer;
	struct session *s = a->session;

	attach_input(a);
	if (s != NULL)
		session_collect(s);
}

static void attach_on_writable(void *peer)
{
	struct attach *a = peer;

	attach_pump(a);
	if (a->session != NULL)
		session_resume(a->session);
}

static void attach_on_reset(void *peer)
{
	struct attach *a = peer;
	struct session *s = a->session;

	attach_lost(a);
	if (s != NULL)
		session_collect(s);
}

static const struct peer_ops attach_ops = {
	.readable = attach_on_readable,
	.writable = attach_on_writable,
	.reset = attach_on_reset,
};

int exec_accept(struct guest *g, struct mux_stream *s)
{
	struct attach *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->peer = (struct peer){ .ops = &attach_ops, .stream = s };
	a->guest = g;
	frames_init(&a->in);
	bb_buf_init(&a->pre, 4096);
	mux_stream_set_owner(s, a);
	attach_input(a);
	return 0;
}

void session_free_all(struct guest *g)
{
	while (g->sessions != NULL) {
		struct session *s = g->sessions;

		while (s->attached != NULL) {
			struct attach *a = s->attached;

			s->attached = a->next;
			attach_free(a);
		}
		s->flags = 0;
		s->state = SESSION_FINISHED;
		s->has_exited = true;
		session_collect(s);
	}
}
