/* What the parts may say to the monitor, each on its own link, in which phase. */
#include "role/monitor/monitor_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"

#define ANY_PHASE                                                                       \
	(IPC_IN(MONITOR_LAUNCHING) | IPC_IN(MONITOR_RUNNING) | IPC_IN(MONITOR_SAVING) | \
	 IPC_IN(MONITOR_ENDING))
#define LATER_PHASES (ANY_PHASE & ~IPC_IN(MONITOR_LAUNCHING))
#define TEXT_MAX     1024
#define CA_PEM_MAX   8192

static int read_text(struct ipc_message *msg, struct bb_view *ret, struct bb_err *err)
{
	return bb_tlv_read(
		msg->body,
		&(struct bb_tlv_field){ .tag = 1, .type = BB_TLV_STR, .max = TEXT_MAX, .out = ret },
		1, err);
}

static int read_number(struct ipc_message *msg, uint32_t *ret, struct bb_err *err)
{
	return bb_tlv_read(msg->body,
			   &(struct bb_tlv_field){
				   .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = ret },
			   1, err);
}

static int part_error(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	struct bb_view text = { 0 };
	int r = read_text(msg, &text, err);

	if (r < 0)
		return r;
	if (p->error[0] == '\0')
		(void)bb_text_escape(p->error, sizeof(p->error), text, 200);
	return 0;
}

static int part_ready(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;

	(void)msg;
	if (p->is_ready)
		return bb_err_set(err, -EPROTO, "it was ready before");
	p->is_ready = true;
	launch_advance(p->m);
	return 0;
}

static int read_certificate(struct ipc_message *msg, struct bb_view *ret, struct bb_err *err)
{
	return bb_tlv_read(msg->body,
			   &(struct bb_tlv_field){ .tag = 1,
						   .type = BB_TLV_BYTES,
						   .max = CA_PEM_MAX,
						   .is_required = true,
						   .out = ret },
			   1, err);
}

static int keep_certificate(struct launch *launch, struct bb_view pem, struct bb_err *err)
{
	if (launch->ca_pem != NULL)
		return bb_err_set(err, -EPROTO, "its certificate was there before");
	launch->ca_pem = malloc(pem.n + 1);
	if (launch->ca_pem == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	memcpy(launch->ca_pem, pem.p, pem.n);
	launch->ca_pem_size = pem.n;
	return 0;
}

static int egress_minted(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	struct bb_view pem = { 0 };
	int r = read_certificate(msg, &pem, err);

	if (r == 0)
		r = keep_certificate(&p->m->launch, pem, err);
	if (r == 0)
		kept_minted(p->m);
	return r;
}

static int egress_ready(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	struct launch *launch = &p->m->launch;
	struct bb_view pem = { 0 };
	int r = read_certificate(msg, &pem, err);

	if (r < 0)
		return r;
	/* One that minted before is asked for the same certificate only once more. */
	if (launch->kept.has_bundle && !p->is_ready)
		r = bb_view_eq(pem, bb_view_of(launch->ca_pem, launch->ca_pem_size))
			    ? 0
			    : bb_err_set(err, -EPROTO, "its certificate has changed");
	else
		r = keep_certificate(launch, pem, err);
	return r < 0 ? r : part_ready(ctx, msg, err);
}

static int channel_hello(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	struct bb_view kernel = { 0 };
	int r = read_text(msg, &kernel, err);

	if (r < 0)
		return r;
	if (p->m->launch.has_hello)
		return bb_err_set(err, -EPROTO, "the guest said hello before");
	p->m->launch.has_hello = true;
	launch_advance(p->m);
	return 0;
}

static int channel_ready(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	struct bb_view text = { 0 };
	int r = read_text(msg, &text, err);

	if (r < 0)
		return r;
	if (p->m->launch.is_guest_ready || !p->m->launch.is_provisioned)
		return bb_err_set(err, -EPROTO, "the guest was not asked to get ready");
	if (text.n > 0) {
		monitor_end(p->m, 125, "the guest could not get ready: %s", BB_ESCAPED(text));
		return 0;
	}
	p->m->launch.is_guest_ready = true;
	launch_advance(p->m);
	return 0;
}

static int channel_probed(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	uint32_t numbers[PROBE_NUMBERS] = { 0 };
	struct bb_tlv_field fields[PROBE_NUMBERS];
	int r;

	for (uint16_t i = 0; i < PROBE_NUMBERS; i++)
		fields[i] = (struct bb_tlv_field){
			.tag = i + 1, .type = BB_TLV_U32, .is_required = true, .out = &numbers[i]
		};
	r = bb_tlv_read(msg->body, fields, PROBE_NUMBERS, err);
	if (r < 0)
		return r;
	if (!p->m->launch.kept.probe.is_asked || p->m->launch.kept.probe.has_passed)
		return bb_err_set(err, -EPROTO, "the guest was not asked what it reaches");
	probe_answered(p->m, numbers);
	return 0;
}

static int channel_main_exit(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	uint32_t code = 0;
	int r = read_number(msg, &code, err);

	if (r < 0)
		return r;
	monitor_main_ended(p->m, code > 255 ? 255 : code);
	return 0;
}

static int channel_bye(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;

	(void)msg;
	(void)err;
	/* Unasked it says no more than that the guest is about to go: that is seen by itself. */
	if (p->m->phase == MONITOR_ENDING)
		end_tear_down(p->m);
	return 0;
}

static int channel_lost(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	struct bb_view text = { 0 };
	int r = read_text(msg, &text, err);

	if (r < 0)
		return r;
	(void)bb_text_escape(p->m->lost, sizeof(p->m->lost), text, 200);
	if (p->m->lost[0] == '\0')
		(void)snprintf(p->m->lost, sizeof(p->m->lost), "the guest's stream ended");
	if (p->m->phase == MONITOR_ENDING)
		end_tear_down(p->m);
	else
		monitor_lost_something(p->m);
	return 0;
}

static int channel_closed(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	uint32_t error = 0;
	int r = read_number(msg, &error, err);

	if (r < 0)
		return r;
	save_stream_closed(p->m, msg->id, error);
	monitor_stream_closed(p->m, msg->id);
	return 0;
}

static int channel_changed(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct part *p = ctx;
	uint32_t is_changed = 0;
	int r = read_number(msg, &is_changed, err);

	if (r < 0)
		return r;
	save_changed(p->m, is_changed != 0);
	return 0;
}

/* Texts have at most TEXT_MAX bytes and a field's head. */
#define TEXT_BODY (BB_TLV_HEADER + TEXT_MAX)

static const struct ipc_op common_ops[] = {
	{ IPC_ROLE_READY, "role ready", IPC_IN(MONITOR_LAUNCHING), 0, 0, 0, part_ready },
	{ IPC_ROLE_ERROR, "role error", ANY_PHASE, 0, TEXT_BODY, 0, part_error },
};

static const struct ipc_op egress_ops[] = {
	{ IPC_EGRESS_MINTED, "egress minted", IPC_IN(MONITOR_LAUNCHING), BB_TLV_HEADER + 1,
	  BB_TLV_HEADER + CA_PEM_MAX, 0, egress_minted },
	{ IPC_EGRESS_READY, "egress ready", IPC_IN(MONITOR_LAUNCHING), BB_TLV_HEADER + 1,
	  BB_TLV_HEADER + CA_PEM_MAX, 0, egress_ready },
	{ IPC_ROLE_ERROR, "role error", ANY_PHASE, 0, TEXT_BODY, 0, part_error },
};

static const struct ipc_op channel_ops[] = {
	{ IPC_ROLE_READY, "role ready", IPC_IN(MONITOR_LAUNCHING), 0, 0, 0, part_ready },
	{ IPC_ROLE_ERROR, "role error", ANY_PHASE, 0, TEXT_BODY, 0, part_error },
	{ IPC_CHANNEL_HELLO, "hello", IPC_IN(MONITOR_LAUNCHING), 0, TEXT_BODY, 0, channel_hello },
	{ IPC_CHANNEL_READY, "ready", IPC_IN(MONITOR_LAUNCHING), 0, TEXT_BODY, 0, channel_ready },
	{ IPC_CHANNEL_PROBED, "probed", IPC_IN(MONITOR_LAUNCHING), 40, 40, 0, channel_probed },
	{ IPC_CHANNEL_MAIN_EXIT, "main exit", LATER_PHASES, 10, 10, 0, channel_main_exit },
	{ IPC_CHANNEL_BYE, "bye", ANY_PHASE, 0, 0, 0, channel_bye },
	{ IPC_CHANNEL_LOST, "lost", ANY_PHASE, 0, TEXT_BODY, 0, channel_lost },
	{ IPC_CHANNEL_CLOSED, "closed", LATER_PHASES, 10, 10, 0, channel_closed },
	{ IPC_CHANNEL_CHANGED, "changed", LATER_PHASES, 10, 10, 0, channel_changed },
};

static const struct {
	const struct ipc_op *ops;
	size_t count;
} part_ops[NUM_PARTS] = {
	[PART_EGRESS] = { egress_ops, BB_ARRAY_LEN(egress_ops) },
	[PART_CHANNEL] = { channel_ops, BB_ARRAY_LEN(channel_ops) },
	[PART_RECORDER] = { common_ops, BB_ARRAY_LEN(common_ops) },
	[PART_DIALLER] = { common_ops, BB_ARRAY_LEN(common_ops) },
};

int monitor_part_message(struct part *p, struct ipc_message *msg, struct bb_err *err)
{
	return ipc_dispatch(part_ops[p->id].ops, part_ops[p->id].count, (unsigned)p->m->phase, p,
			    msg, err);
}
