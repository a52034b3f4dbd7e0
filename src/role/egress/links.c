/*
 * The links to channel (streams come), recorder and dialler (questions go, answers come). An answer
 * is matched to its tunnel by number; one whose tunnel has gone is dropped, its descriptor closed.
 * A link that ends, or says something malformed, ends egress: nothing goes around a part that died.
 */
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "base/tlv.h"
#include "role/egress/egress_impl.h"

static uint32_t next_id(struct egress *e)
{
	if (++e->last_id == 0)
		e->last_id = 1; /* 0 means: no question */
	return e->last_id;
}

/* channel */

static int on_stream(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = ctx;
	uint32_t path = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .out = &path },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	tunnel_new(e, ipc_message_take_fd(m, 0), path == 1 ? TUNNEL_TRANSPARENT : TUNNEL_EXPLICIT);
	return 0;
}

static const struct ipc_op channel_ops[] = {
	{ IPC_STREAM, "stream", IPC_IN(ROLE_SERVING), 0, 64, 1, on_stream },
};

static int on_channel(void *arg, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = arg;

	return ipc_dispatch(channel_ops, BB_ARRAY_LEN(channel_ops), (unsigned)e->role.state, e, m,
			    err);
}

/* recorder */

static void recorded(struct tunnel *t, uint32_t error)
{
	t->record_id = 0;
	if (t->state != TUNNEL_RECORD)
		return;
	if (error != 0)
		bb_error("the audit cannot be written: %s", bb_err_name(-(int)error));
	if (error != 0 && t->is_passing) {
		answer_plain(
			t, 503,
			"the audit of this bottle cannot be written (disk full, or its file at "
			"its limit), so nothing leaves");
	} else if (t->is_passing) {
		exchange_start(t);
	} else {
		answer_send(t);
	}
	tunnel_run(t);
}

static int on_record_done(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = ctx;
	uint32_t error = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &error },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	for (struct tunnel *t = e->tunnels; t != NULL; t = t->next)
		if (m->id != 0 && t->record_id == m->id) {
			recorded(t, error > 4095 ? EIO : error);
			break;
		}
	return 0;
}

static const struct ipc_op recorder_link_ops[] = {
	{ IPC_RECORD_DONE, "record done", IPC_IN(ROLE_SERVING), 1, 64, 0, on_record_done },
};

static int on_recorder(void *arg, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = arg;

	return ipc_dispatch(recorder_link_ops, BB_ARRAY_LEN(recorder_link_ops),
			    (unsigned)e->role.state, e, m, err);
}

static int put_record(struct bb_buf *b, const struct tunnel *t, const struct record *r)
{
	const struct request *q = &t->request;
	const char *entry = !t->is_connect      ? "absolute"
			    : t->is_transparent ? "transparent"
						: "connect";
	int error = bb_tlv_put_str(b, RECORD_HOST, q->host[0] != '\0' ? q->host : t->host);

	error = error < 0 ? error
			  : bb_tlv_put_u32(b, RECORD_PORT, q->host[0] != '\0' ? q->port : t->port);
	if (error == 0 && q->method[0] != '\0')
		error = bb_tlv_put_str(b, RECORD_METHOD, q->method);
	if (error == 0 && q->path[0] != '\0')
		error = bb_tlv_put_str(b, RECORD_PATH, q->path);
	error = error < 0 ? error : bb_tlv_put_u32(b, RECORD_VERDICT, r->is_allowed);
	error = error < 0 ? error : bb_tlv_put_str(b, RECORD_REASON, r->reason);
	error = error < 0 ? error : bb_tlv_put_str(b, RECORD_ENTRY, entry);
	if (error == 0 && r->detail != NULL)
		error = bb_tlv_put_str(b, RECORD_DETAIL, r->detail);
	if (error == 0 && r->status != 0)
		error = bb_tlv_put_u32(b, RECORD_STATUS, r->status);
	if (error == 0 && r->is_allowed && q->body.from == HTTP_BODY_LENGTH)
		error = bb_tlv_put_u64(b, RECORD_BYTES_OUT, q->body.left);
	if (error == 0 && peer_is_open(&t->upstream) && t->upstream_address[0] != '\0')
		error = bb_tlv_put_str(b, RECORD_ADDRESS, t->upstream_address);
	if (error == 0 && r->is_allowed && q->has_auth)
		error = bb_tlv_put_u32(b, RECORD_AUTH, 1);
	return error;
}

bool links_record(struct tunnel *t, const struct record *r)
{
	struct egress *e = t->egress;
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, LIMIT_AUDIT_RECORD);
	t->record_id = next_id(e);
	t->is_recorded = true;
	show_verdict(t, r);
	if (put_record(&body, t, r) < 0 ||
	    link_send(e->recorder, IPC_RECORD, t->record_id, bb_buf_peek(&body), NULL, 0) < 0) {
		t->record_id = 0;
		return false;
	}
	return true;
}

/* dialler */

bool links_dial(struct tunnel *t)
{
	struct egress *e = t->egress;
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 1024);
	t->dial_id = next_id(e);
	if (bb_tlv_put_str(&body, 1, t->request.host) < 0 ||
	    bb_tlv_put_u32(&body, 2, t->request.port) < 0 ||
	    link_send(e->dialler, IPC_DIAL, t->dial_id, bb_buf_peek(&body), NULL, 0) < 0) {
		t->dial_id = 0;
		return false;
	}
	return true;
}

/* Not by ipc_dispatch(): a success has a descriptor, a refusal has none. */
static int on_dialler(void *arg, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = arg;
	struct bb_view text = { 0 }, address = { 0 };
	uint32_t result = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &result },
		{ .tag = 2, .type = BB_TLV_STR, .max = 1024, .out = &text },
		{ .tag = 3, .type = BB_TLV_STR, .max = 63, .out = &address },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (m->type != IPC_DIAL_DONE || result >= DIAL_NUM_RESULTS ||
	    m->fd_count != (result == DIAL_OK ? 1 : 0))
		return bb_err_set(err, -EPROTO, "the dialler answered with type %u, result %u",
				  m->type, result);
	for (struct tunnel *t = e->tunnels; t != NULL; t = t->next)
		if (m->id != 0 && t->dial_id == m->id) {
			t->dial_id = 0;
			upstream_dialled(t, ipc_message_take_fd(m, 0), (enum dial_result)result,
					 text, address);
			tunnel_run(t);
			break;
		}
	return 0;
}

/* A part that goes away takes egress with it; the monitor ends the bottle and says why. */
static void on_gone(void *arg, const struct bb_err *err)
{
	struct egress *e = arg;

	if (err->code < 0)
		role_fail(&e->role, err);
	else
		role_stop(&e->role, 0);
}

int links_start(struct egress *e, struct bb_err *err)
{
	static const struct link_handlers channel_handlers = { on_channel, on_gone },
					  dialler_handlers = { on_dialler, on_gone },
					  recorder_handlers = { on_recorder, on_gone };

	e->channel = link_new(e->role.loop, e->channel_fd, &channel_handlers, e);
	e->dialler = link_new(e->role.loop, e->dialler_fd, &dialler_handlers, e);
	e->recorder = link_new(e->role.loop, e->recorder_fd, &recorder_handlers, e);
	if (e->channel == NULL || e->dialler == NULL || e->recorder == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	e->channel_fd = e->dialler_fd = e->recorder_fd = -1; /* the links have them */
	return 0;
}
