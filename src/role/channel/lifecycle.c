/*
 * The lifecycle stream: hello, provision, ready, main exit, changed, bye. What the guest says is a
 * frame of a known type with known fields, in a state that allows it; all else ends the bottle.
 */
#include "base/log.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "role/channel/channel_impl.h"

/* Sends what waits, as far as credit goes; the rest goes when more is given. */
static void lifecycle_flush(struct channel *c)
{
	struct bb_view v = bb_buf_peek(&c->provision);

	if (c->lifecycle == NULL || v.n == 0)
		return;
	bb_buf_consume(&c->provision, mux_stream_write(c->lifecycle, v.p, v.n));
}

int lifecycle_send(struct channel *c, uint8_t type, const struct bb_buf *body, struct bb_err *err)
{
	struct bb_view v = body == NULL ? bb_view_of(NULL, 0) : bb_buf_peek(body);
	int r;

	if (c->lifecycle == NULL)
		return 0; /* the guest is gone; the monitor has been told */
	r = proto_put_frame(&c->provision, type, v.p, v.n);
	if (r < 0)
		return bb_err_set(err, r, "too much is waiting for the guest");
	/* Before the hello only the opening goes out; the rest waits for a guest that speaks our
	 * version. */
	if (c->state != CHANNEL_HELLO)
		lifecycle_flush(c);
	return 0;
}

int lifecycle_provision(struct channel *c, struct bb_view body, bool is_last, struct bb_err *err)
{
	struct bb_buf b = {
		.p = (uint8_t *)(uintptr_t)body.p, .len = body.n, .alloc = body.n, .cap = body.n
	};
	int r = lifecycle_send(c, LIFECYCLE_PROVISION, &b, err);

	if (r == 0 && is_last)
		r = lifecycle_send(c, LIFECYCLE_PROVISION_END, NULL, err);
	return r;
}

static int guest_hello(struct channel *c, struct bb_view body, struct bb_err *err)
{
	struct bb_view kernel = { 0 };
	uint32_t version = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = LIFECYCLE_TAG_VERSION,
		  .type = BB_TLV_U32,
		  .is_required = true,
		  .out = &version },
		{ .tag = LIFECYCLE_TAG_KERNEL, .type = BB_TLV_STR, .max = 128, .out = &kernel },
	};
	char shown[256];
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (version != PROTO_VERSION)
		return bb_err_set(err, -EPROTO,
				  "the guest's hello has version %u, this side speaks %d: the "
				  "image is from another "
				  "release; rebuild it with 'bot-bottle image build'",
				  version, PROTO_VERSION);
	loop_timer_stop(c->hello_timer);
	channel_set_state(c, CHANNEL_PROVISIONING);
	channel_tell_str(c, IPC_CHANNEL_HELLO, bb_text_escape(shown, sizeof(shown), kernel, 60));
	lifecycle_flush(c);
	return 0;
}

static int guest_ready(struct channel *c, struct bb_view body, struct bb_err *err)
{
	struct bb_view text = { 0 };
	const struct bb_tlv_field fields[] = {
		{ .tag = LIFECYCLE_TAG_ERROR, .type = BB_TLV_STR, .max = 512, .out = &text },
	};
	char shown[1024];
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (text.n == 0) {
		channel_set_state(c, CHANNEL_SERVING);
		channel_tell(c, IPC_CHANNEL_READY, 0, NULL);
		return 0;
	}
	channel_tell_str(c, IPC_CHANNEL_READY, bb_text_escape(shown, sizeof(shown), text, 250));
	return 0;
}

static int guest_number(struct channel *c, struct bb_view body, uint16_t tag, uint16_t type,
			struct bb_err *err)
{
	uint32_t value = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = tag, .type = BB_TLV_U32, .is_required = true, .out = &value },
	};
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r == 0)
		channel_tell_u32(c, type, 0, value);
	return r;
}

static int guest_main_exit(struct channel *c, struct bb_view body, struct bb_err *err)
{
	if (c->has_main_exit)
		return bb_err_set(err, -EPROTO, "the main session ends twice");
	c->has_main_exit = true;
	return guest_number(c, body, LIFECYCLE_TAG_EXIT_CODE, IPC_CHANNEL_MAIN_EXIT, err);
}

static int guest_changed(struct channel *c, struct bb_view body, struct bb_err *err)
{
	if (c->changed_asked == 0)
		return bb_err_set(err, -EPROTO, "an answer comes that nobody asked for");
	c->changed_asked--;
	return guest_number(c, body, LIFECYCLE_TAG_CHANGED, IPC_CHANNEL_CHANGED, err);
}

static int guest_probed(struct channel *c, struct bb_view body, struct bb_err *err)
{
	uint32_t v[4] = { 0 };
	const struct bb_tlv_field fields[] = {
		{ LIFECYCLE_TAG_PROBED_TCP, BB_TLV_U32, .is_required = true, .out = &v[0] },
		{ LIFECYCLE_TAG_PROBED_UDP, BB_TLV_U32, .is_required = true, .out = &v[1] },
		{ LIFECYCLE_TAG_PROBED_LISTENS, BB_TLV_U32, .is_required = true, .out = &v[2] },
		{ LIFECYCLE_TAG_PROBED_BUNDLE, BB_TLV_U32, .is_required = true, .out = &v[3] },
	};
	struct bb_buf out;
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (!c->has_probe_asked)
		return bb_err_set(err, -EPROTO, "a probe is answered that nobody asked for");
	c->has_probe_asked = false;
	bb_buf_init(&out, 64);
	for (uint16_t i = 0; r == 0 && i < BB_ARRAY_LEN(v); i++)
		r = bb_tlv_put_u32(&out, i + 1, v[i]);
	if (r == 0)
		channel_tell(c, IPC_CHANNEL_PROBED, 0, &out);
	bb_buf_done(&out);
	return r < 0 ? bb_err_set(err, r, "out of memory") : 0;
}

static int guest_bye(struct channel *c, struct bb_view body, struct bb_err *err)
{
	(void)body;
	(void)err;
	channel_tell(c, IPC_CHANNEL_BYE, 0, NULL);
	channel_set_state(c, CHANNEL_ENDING);
	return 0;
}

/* What a guest may say, and when. */
static const struct {
	uint8_t type;
	uint32_t states;
	size_t body_max;
	int (*handle)(struct channel *c, struct bb_view body, struct bb_err *err);
} guest_words[] = {
	{ LIFECYCLE_HELLO, IPC_IN(CHANNEL_HELLO), 1024, guest_hello },
	{ LIFECYCLE_READY, IPC_IN(CHANNEL_PROVISIONING), 1024, guest_ready },
	{ LIFECYCLE_PROBED, IPC_IN(CHANNEL_PROVISIONING), 64, guest_probed },
	{ LIFECYCLE_MAIN_EXIT, IPC_IN(CHANNEL_SERVING), 64, guest_main_exit },
	{ LIFECYCLE_CHANGED, IPC_IN(CHANNEL_SERVING), 64, guest_changed },
	{ LIFECYCLE_BYE, IPC_IN(CHANNEL_SERVING) | IPC_IN(CHANNEL_PROVISIONING), 64, guest_bye },
};

static int guest_word(struct channel *c, const struct proto_frame *f, struct bb_err *err)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(guest_words); i++) {
		if (guest_words[i].type != f->type)
			continue;
		if ((guest_words[i].states & IPC_IN(c->state)) == 0 ||
		    f->body.n > guest_words[i].body_max)
			return bb_err_set(err, -EPROTO,
					  "lifecycle frame %u comes out of turn or is too long",
					  f->type);
		return guest_words[i].handle(c, f->body, err);
	}
	return bb_err_set(err, -EPROTO, "lifecycle frame %u is unknown", f->type);
}

static void on_readable(struct channel *c, struct owner *o)
{
	struct bb_err err = { 0 };
	struct proto_frame f;

	(void)o;
	while (c->lifecycle != NULL && c->state != CHANNEL_ENDING) {
		int n = proto_get_frame(mux_stream_peek(c->lifecycle), &f, &err);

		if (n > 0)
			n = guest_word(c, &f, &err) < 0 ? -EPROTO : n;
		if (n < 0) {
			channel_lost(c, "the guest broke the lifecycle protocol: %s", err.msg);
			return;
		}
		if (n == 0)
			break;
		mux_stream_consume(c->lifecycle, (size_t)n);
	}
	if (c->lifecycle != NULL && mux_stream_at_eof(c->lifecycle))
		channel_lost(c, "the guest closed its lifecycle stream");
}

static void on_writable(struct channel *c, struct owner *o)
{
	(void)o;
	lifecycle_flush(c);
}

static void on_reset(struct channel *c, struct owner *o)
{
	(void)o;
	mux_stream_release(bb_take_ptr(&c->lifecycle));
	channel_lost(c, "the guest reset its lifecycle stream");
}

static const struct owner_ops lifecycle_ops = { on_readable, on_writable, on_reset };
static struct owner lifecycle_owner = { &lifecycle_ops };

int lifecycle_start(struct channel *c, struct bb_err *err)
{
	int r = mux_open(c->mux, &lifecycle_owner, &c->lifecycle);

	if (r == 0)
		r = proto_put_open(&c->provision, PROTO_LIFECYCLE, bb_view_of(NULL, 0));
	if (r < 0)
		return bb_err_set(err, r, "cannot open the lifecycle stream");
	lifecycle_flush(c);
	return 0;
}
