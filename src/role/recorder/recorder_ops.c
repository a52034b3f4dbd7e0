/* What the monitor may ask of the recorder: one table. */
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "role/recorder/recorder_impl.h"
#include "sys/sandbox.h"

static int op_setup(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct recorder *r = ctx;
	uint64_t size = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U64, .is_required = true, .out = &size },
	};
	int result = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);
	struct stat st;

	if (result < 0)
		return result;
	if (r->audit_fd >= 0)
		return bb_err_set(err, -EPROTO, "the audit is set up twice");
	r->audit_fd = ipc_message_take_fd(m, 0);
	if (fstat(r->audit_fd, &st) < 0)
		return bb_err_errno(err, "cannot look at the audit file");
	r->size = (uint64_t)st.st_size > size ? (uint64_t)st.st_size : size;
	return 0;
}

static int op_writer(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct recorder *r = ctx;

	if (r->writer_count == RECORDER_WRITERS)
		return bb_err_set(err, -EPROTO, "the recorder has %d writers already",
				  RECORDER_WRITERS);
	r->writers[r->writer_count++] =
		(struct writer){ .recorder = r, .fd = ipc_message_take_fd(m, 0) };
	return 0;
}

static int op_setup_done(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct recorder *r = ctx;
	int result;

	(void)m;
	if (r->audit_fd < 0)
		return bb_err_set(err, -EPROTO, "the recorder has no audit file");
	result = sandbox_lock(SANDBOX_RECORDER, -1, err);
	if (result == 0)
		result = recorder_start(r, err);
	if (result < 0)
		return result;
	r->role.state = ROLE_SERVING;
	role_tell(&r->role, IPC_ROLE_READY, bb_view_of(NULL, 0));
	return 0;
}

static int op_shutdown(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	(void)m;
	(void)err;
	recorder_shut_down(ctx);
	return 0;
}

const struct ipc_op recorder_ops[] = {
	{ IPC_RECORDER_SETUP, "recorder set-up", IPC_IN(ROLE_SETUP), 1, 64, 1, op_setup },
	{ IPC_RECORDER_WRITER, "recorder writer", IPC_IN(ROLE_SETUP), 0, 0, 1, op_writer },
	{ IPC_SETUP_DONE, "set-up done", IPC_IN(ROLE_SETUP), 0, 0, 0, op_setup_done },
	{ IPC_SHUTDOWN, "shutdown", IPC_IN(ROLE_SETUP) | IPC_IN(ROLE_SERVING), 0, 0, 0,
	  op_shutdown },
};
const size_t recorder_op_count = BB_ARRAY_LEN(recorder_ops);
