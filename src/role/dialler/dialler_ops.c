/* What the monitor may ask of the dialler: one table. */
#include "base/cleanup.h"
#include "base/tlv.h"
#include "role/dialler/dialler_impl.h"
#include "sys/sandbox.h"

#define DIALLER_OWN_PORTS 64

static int op_setup(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct dialler *d = ctx;
	BB_AUTO_CLOSE int fd = ipc_message_take_fd(m, 0);
	struct bb_view policy = { 0 }, ports[DIALLER_OWN_PORTS];
	size_t port_count = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1,
		  .type = BB_TLV_BYTES,
		  .max = LIMIT_IPC_BODY,
		  .is_required = true,
		  .out = &policy },
		/* Ports of ours on 127.0.0.1; none so far: what listens for a machine does so on
		 * other addresses of loopback, which are never dialled (address.c). */
		{ .tag = 2,
		  .type = BB_TLV_STR,
		  .max = 8,
		  .out = ports,
		  .count = &port_count,
		  .repeat_max = DIALLER_OWN_PORTS },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (d->policy != NULL)
		return bb_err_set(err, -EPROTO, "the dialler is set up twice");
	d->egress_fd = bb_take_fd(&fd);
	return policy_decode(policy, &d->policy, err);
}

static int op_setup_done(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct dialler *d = ctx;
	int r;

	(void)m;
	if (d->policy == NULL)
		return bb_err_set(err, -EPROTO, "the dialler has no policy");
	r = sandbox_lock(SANDBOX_DIALLER, -1, err);
	if (r == 0)
		r = dialler_start(d, err);
	if (r < 0)
		return r;
	d->role.state = ROLE_SERVING;
	role_tell(&d->role, IPC_ROLE_READY, bb_view_of(NULL, 0));
	return 0;
}

static int op_shutdown(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct dialler *d = ctx;

	(void)m;
	(void)err;
	role_stop(&d->role, 0);
	return 0;
}

const struct ipc_op dialler_ops[] = {
	{ IPC_DIALLER_SETUP, "dialler set-up", IPC_IN(ROLE_SETUP), 1, LIMIT_IPC_BODY, 1, op_setup },
	{ IPC_SETUP_DONE, "set-up done", IPC_IN(ROLE_SETUP), 0, 0, 0, op_setup_done },
	{ IPC_SHUTDOWN, "shutdown", IPC_IN(ROLE_SETUP) | IPC_IN(ROLE_SERVING), 0, 0, 0,
	  op_shutdown },
};
const size_t dialler_op_count = BB_ARRAY_LEN(dialler_ops);
