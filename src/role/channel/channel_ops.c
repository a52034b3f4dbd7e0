/* What the monitor may ask of the channel: one table. */
#include <sys/stat.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "role/channel/channel_impl.h"
#include "sys/sandbox.h"

#define CHANNEL_HELLO_MAX_MS (10u * 60 * 1000)

/* One stream or one door, and a guest that has so long to say hello. */
static int set_deadline(struct channel *c, uint64_t hello_ms, struct bb_err *err)
{
	if (c->stream_fd >= 0 || c->door != NULL || hello_ms == 0 ||
	    hello_ms > CHANNEL_HELLO_MAX_MS)
		return bb_err_set(err, -EPROTO, "a stream is set up twice or without a deadline");
	c->hello_ms = hello_ms;
	return 0;
}

static int op_setup(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;
	uint64_t hello_ms = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U64, .is_required = true, .out = &hello_ms },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	r = set_deadline(c, hello_ms, err);
	if (r == 0)
		c->stream_fd = ipc_message_take_fd(m, 0);
	return r;
}

static int op_listen(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;
	uint64_t hello_ms = 0;
	struct bb_view uid = { 0 };
	struct door_plan plan = { .fd = m->fds[0] };
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U64, .is_required = true, .out = &hello_ms },
		{ .tag = 2, .type = BB_TLV_BYTES, .max = 4, .out = &uid },
		{ .tag = 3,
		  .type = BB_TLV_BYTES,
		  .max = CHANNEL_CREDENTIAL_BYTES,
		  .out = &plan.credential },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r == 0)
		r = set_deadline(c, hello_ms, err);
	if (r < 0)
		return r;
	plan.has_uid = uid.n == 4;
	plan.uid = plan.has_uid ? bb_be32(uid.p) : 0;
	r = door_new(c, &plan, err);
	if (r == 0)
		(void)ipc_message_take_fd(m, 0); /* the door has it */
	return r;
}

static int op_service(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;
	uint32_t service = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &service },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (service < PROTO_EGRESS || service >= PROTO_EGRESS + CHANNEL_SERVICES ||
	    c->services[service - PROTO_EGRESS] >= 0)
		return bb_err_set(err, -EPROTO, "service %u is unknown or set up twice", service);
	c->services[service - PROTO_EGRESS] = ipc_message_take_fd(m, 0);
	/* A service that does not keep up costs the guest a stream, not the channel its loop. */
	(void)bb_fd_set_nonblock(c->services[service - PROTO_EGRESS], 1);
	return 0;
}

static int op_console(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;

	if (c->console_fd >= 0)
		return bb_err_set(err, -EPROTO, "the console is set up twice");
	c->console_fd = ipc_message_take_fd(m, 0);
	c->console_log_fd = ipc_message_take_fd(m, 1);
	return 0;
}

static int op_setup_done(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;
	int r = sandbox_lock(c->door == NULL ? SANDBOX_CHANNEL : SANDBOX_CHANNEL_ACCEPT, -1, err);

	(void)m;
	if (r < 0)
		return r;
	channel_tell(c, IPC_ROLE_READY, 0, NULL);
	return channel_start(c, err);
}

static int op_provision(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;
	struct bb_view body = { 0 };
	uint32_t is_last = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1,
		  .type = BB_TLV_BYTES,
		  .max = LIMIT_PROTO_FRAME,
		  .is_required = true,
		  .out = &body },
		{ .tag = 2, .type = BB_TLV_U32, .out = &is_last },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	return lifecycle_provision(c, body, is_last == 1, err);
}

static int op_probe(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;
	struct bb_view fields = { 0 };
	struct bb_buf body;
	int r = bb_tlv_read(m->body,
			    &(struct bb_tlv_field){ .tag = 1,
						    .type = BB_TLV_BYTES,
						    .max = LIMIT_PROTO_FRAME,
						    .is_required = true,
						    .out = &fields },
			    1, err);

	if (r < 0)
		return r;
	c->has_probe_asked = true;
	bb_buf_init(&body, LIMIT_PROTO_FRAME);
	r = bb_buf_append_view(&body, fields);
	r = r < 0 ? bb_err_set(err, r, "a probe does not fit")
		  : lifecycle_send(c, LIFECYCLE_PROBE, &body, err);
	bb_buf_wipe(&body); /* it names the proxy's credential */
	return r;
}

/* A socket is relayed both ways; a regular file or a pipe only receives. */
static bool is_sink(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode);
}

static int op_open(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;
	uint32_t service = 0;
	struct bb_view open_fields = { 0 }, first = { 0 };
	uint64_t most = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &service },
		{ .tag = 2, .type = BB_TLV_BYTES, .max = LIMIT_PROTO_OPEN, .out = &open_fields },
		{ .tag = 3, .type = BB_TLV_BYTES, .max = LIMIT_IPC_BODY, .out = &first },
		{ .tag = 4, .type = BB_TLV_U64, .out = &most },
	};
	struct relay_plan plan = { .id = m->id };
	BB_AUTO_BUF struct bb_buf bytes = { 0 };
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (service != PROTO_EXEC && service != PROTO_FILE && service != PROTO_FORWARD)
		return bb_err_set(err, -EPROTO, "service %u cannot be opened from the host",
				  service);
	bb_buf_init(&bytes, LIMIT_PROTO_OPEN + LIMIT_IPC_BODY + 64);
	r = proto_put_open(&bytes, (enum proto_service)service, open_fields);
	if (r == 0)
		r = bb_buf_append_view(&bytes, first);
	if (r < 0)
		return bb_err_set(err, r, "an opening does not fit");
	r = c->state == CHANNEL_SERVING ? mux_open(c->mux, NULL, &plan.stream) : -ENOTCONN;
	if (r < 0) {
		channel_tell_u32(c, IPC_CHANNEL_CLOSED, m->id, (uint32_t)-r);
		return 0;
	}
	plan.fd = ipc_message_take_fd(m, 0);
	plan.most = most;
	plan.is_sink = is_sink(plan.fd);
	plan.first = bb_buf_peek(&bytes);
	r = relay_new(c, &plan);
	if (r < 0) {
		mux_stream_release(plan.stream);
		channel_tell_u32(c, IPC_CHANNEL_CLOSED, m->id, (uint32_t)-r);
	}
	return 0;
}

static int send_path(struct channel *c, struct ipc_message *m, uint8_t type, struct bb_err *err)
{
	struct bb_view path = { 0 };
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_STR, .max = 4096, .out = &path },
	};
	BB_AUTO_BUF struct bb_buf body = { 0 };
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	bb_buf_init(&body, 8192);
	if (path.n > 0)
		r = bb_tlv_put_view(&body, LIFECYCLE_TAG_PATH, path);
	return r < 0 ? bb_err_set(err, r, "a path does not fit")
		     : lifecycle_send(c, type, &body, err);
}

static int op_mark(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	return send_path(ctx, m, LIFECYCLE_MARK, err);
}

static int op_changed(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;

	c->changed_asked++;
	return send_path(c, m, LIFECYCLE_CHANGED, err);
}

static int op_guest_shutdown(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	(void)m;
	return lifecycle_send(ctx, LIFECYCLE_SHUTDOWN, NULL, err);
}

static int op_shutdown(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct channel *c = ctx;

	(void)m;
	(void)err;
	loop_stop(c->loop, 0);
	return 0;
}

#define STREAM_STATES \
	(IPC_IN(CHANNEL_HELLO) | IPC_IN(CHANNEL_PROVISIONING) | IPC_IN(CHANNEL_SERVING))
#define LATE_STATES (STREAM_STATES | IPC_IN(CHANNEL_ENDING)) /* may cross with a lost guest */
#define DONE_STATES (LATE_STATES | IPC_IN(CHANNEL_ACCEPTING))
#define ANY_STATE   (DONE_STATES | IPC_IN(CHANNEL_SETUP))

static const struct ipc_op channel_ops[] = {
	{ IPC_CHANNEL_SETUP, "channel set-up", IPC_IN(CHANNEL_SETUP), 1, 64, 1, op_setup },
	{ IPC_CHANNEL_LISTEN, "channel listen", IPC_IN(CHANNEL_SETUP), 1, 128, 1, op_listen },
	{ IPC_CHANNEL_SERVICE, "channel service", IPC_IN(CHANNEL_SETUP), 1, 64, 1, op_service },
	{ IPC_CHANNEL_CONSOLE, "channel console", IPC_IN(CHANNEL_SETUP), 0, 64, 2, op_console },
	{ IPC_SETUP_DONE, "set-up done", IPC_IN(CHANNEL_SETUP), 0, 0, 0, op_setup_done },
	{ IPC_CHANNEL_PROBE, "probe", IPC_IN(CHANNEL_PROVISIONING) | IPC_IN(CHANNEL_ENDING), 1,
	  LIMIT_IPC_BODY, 0, op_probe },
	{ IPC_CHANNEL_PROVISION, "provision", LATE_STATES, 1, LIMIT_IPC_BODY, 0, op_provision },
	{ IPC_CHANNEL_OPEN, "open", DONE_STATES, 1, LIMIT_IPC_BODY, 1, op_open },
	{ IPC_CHANNEL_MARK, "mark", LATE_STATES, 1, 8192, 0, op_mark },
	{ IPC_CHANNEL_CHANGED, "changed", LATE_STATES, 0, 8192, 0, op_changed },
	{ IPC_CHANNEL_SHUTDOWN, "guest shutdown", DONE_STATES, 0, 0, 0, op_guest_shutdown },
	{ IPC_SHUTDOWN, "shutdown", ANY_STATE, 0, 0, 0, op_shutdown },
};

int channel_dispatch(struct channel *c, struct ipc_message *m, struct bb_err *err)
{
	return ipc_dispatch(channel_ops, BB_ARRAY_LEN(channel_ops), (unsigned)c->state, c, m, err);
}
