/* The process of a role; see role.h. */
#include "role/link/role.h"

#include <signal.h>

#include "base/log.h"
#include "ipc/messages.h"
#include "role/link/link.h"
#include "sys/sandbox.h"

static int on_message(void *arg, struct ipc_message *m, struct bb_err *err)
{
	struct role *r = arg;

	return ipc_dispatch(r->ops, r->op_count, (unsigned)r->state, r->ctx, m, err);
}

static void on_gone(void *arg, const struct bb_err *err)
{
	struct role *r = arg;

	if (err->code == 0)
		role_stop(r, 0);
	else
		role_fail(r, err);
}

static const struct link_handlers handlers = { on_message, on_gone };

int role_init(struct role *r, const char *program, const struct ipc_op *ops, size_t op_count,
	      void *ctx)
{
	struct bb_err err = { 0 };

	*r = (struct role){ .ops = ops, .op_count = op_count, .ctx = ctx };
	bb_log_init(program);
	(void)signal(SIGPIPE, SIG_IGN); /* a peer that has gone is an error code */
	if (sandbox_early(IPC_ROLE_FD + 1, &err) < 0) {
		bb_error("%s", err.msg);
		return -1;
	}
	r->loop = loop_new();
	r->monitor = r->loop == NULL ? NULL : link_new(r->loop, IPC_ROLE_FD, &handlers, r);
	if (r->monitor == NULL) {
		bb_error("out of memory, or started by hand: the monitor starts this program");
		return -1;
	}
	return 0;
}

int role_run(struct role *r)
{
	return loop_run(r->loop);
}

void role_done(struct role *r)
{
	link_free(r->monitor);
	loop_free(r->loop);
}

void role_tell(struct role *r, uint16_t type, struct bb_view body)
{
	(void)link_send(r->monitor, type, 0, body, NULL, 0); /* on_gone follows */
}

void role_stop(struct role *r, int code)
{
	loop_stop(r->loop, code);
}

void role_fail(struct role *r, const struct bb_err *err)
{
	bb_error("%s", err->msg);
	(void)link_send_text(r->monitor, IPC_ROLE_ERROR, 0, err->msg); /* it may be gone */
	role_stop(r, 1);
}
