/*
 * control.sock: the operator's door. LINK_EDGE: whoever connects may be broken; then that peer is
 * dropped and nothing else happens. Only the user who owns the bottle gets in. What an operator
 * exchanges with the guest goes over a socket pair between CLI and channel: no byte of it comes
 * here.
 */
#include "role/monitor/monitor_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "mux/proto.h"

#define SERVING      (IPC_IN(MONITOR_RUNNING) | IPC_IN(MONITOR_SAVING))
#define ALWAYS       (SERVING | IPC_IN(MONITOR_LAUNCHING) | IPC_IN(MONITOR_ENDING))
#define PATH_MAX_LEN 4096
#define ABOUT_TO_END "the bottle is about to end"

static void peer_free(struct control_peer *p)
{
	struct control_peer **at = &p->m->control.peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->m->control.peer_count--;
	link_free(p->link);
	free(p);
}

static void refuse(struct control_peer *p, uint32_t id, const char *sentence)
{
	(void)link_send_text(p->link, IPC_CONTROL_REFUSED, id,
			     sentence); /* a peer that is gone is noticed by its link */
}

/* IPC_CONTROL_ENDED follows, with the reason. */
static void refuse_ending(struct control_peer *p, uint32_t id)
{
	BB_AUTO_BUF struct bb_buf body;
	int r;

	bb_buf_init(&body, 256);
	r = bb_tlv_put_str(&body, 1, ABOUT_TO_END);
	if (r == 0)
		r = bb_tlv_put_u32(&body, 2, 1);
	if (r == 0)
		(void)link_send(p->link, IPC_CONTROL_REFUSED, id, bb_buf_peek(&body), NULL,
				0); /* as refuse() */
}

static void opened(struct control_peer *p, uint32_t id, int error, const char *sentence, int fd)
{
	BB_AUTO_BUF struct bb_buf body;
	int r;

	bb_buf_init(&body, 4096);
	r = bb_tlv_put_u32(&body, 1, (uint32_t)error);
	if (r == 0 && sentence != NULL)
		r = bb_tlv_put_str(&body, 2, sentence);
	if (r == 0)
		(void)link_send(p->link, IPC_CONTROL_OPENED, id, bb_buf_peek(&body), &fd,
				fd >= 0 ? 1 : 0); /* as refuse() */
}

enum opening_kind {
	OPENING_OTHER,
	OPENING_MAIN,   /* starts the main session */
	OPENING_ATTACH, /* shows a session's output */
};

/* Reads only what the CLI wrote. */
static enum opening_kind opening_kind(uint32_t service, struct bb_view first)
{
	struct proto_frame frame;
	struct bb_view value, rest;
	uint16_t tag;

	if (service != PROTO_EXEC || proto_get_frame(first, &frame, NULL) <= 0)
		return OPENING_OTHER;
	if (frame.type == EXEC_ATTACH)
		return OPENING_ATTACH;
	rest = frame.body;
	while (frame.type == EXEC_START && bb_tlv_next(&rest, &tag, &value) > 0)
		if (tag == EXEC_TAG_FLAGS && value.n == 4 && (value.p[3] & EXEC_FLAG_MAIN) != 0)
			return OPENING_MAIN;
	return OPENING_OTHER;
}

struct open_request {
	uint32_t service;
	struct bb_view fields, first;
};

static int read_open(struct ipc_message *msg, struct open_request *ret, struct bb_err *err)
{
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &ret->service },
		{ .tag = 2, .type = BB_TLV_BYTES, .max = LIMIT_PROTO_OPEN, .out = &ret->fields },
		{ .tag = 3, .type = BB_TLV_BYTES, .max = LIMIT_IPC_BODY, .out = &ret->first },
	};

	return bb_tlv_read(msg->body, fields, BB_ARRAY_LEN(fields), err);
}

static int control_open(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = ctx;
	struct monitor *m = p->m;
	struct open_request want = { 0 };
	enum opening_kind kind;
	int pair[2], r;

	r = read_open(msg, &want, err);
	if (r < 0)
		return r;
	if (want.service != PROTO_EXEC && want.service != PROTO_FILE &&
	    want.service != PROTO_FORWARD)
		return bb_err_set(err, -EPROTO, "service %u is not for operators", want.service);
	kind = opening_kind(want.service, want.first);
	if (kind == OPENING_MAIN && m->is_main_started) {
		opened(p, msg->id, EEXIST, "the main session has started already", -1);
		return 0;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		opened(p, msg->id, errno, "the monitor has no descriptors left", -1);
		return 0;
	}
	/* The body is the same for channel, the file limit left out. */
	r = link_send(part_link(m, PART_CHANNEL), IPC_CHANNEL_OPEN, monitor_next_id(m), msg->body,
		      &pair[0], 1);
	opened(p, msg->id, r < 0 ? ESHUTDOWN : 0, r < 0 ? ABOUT_TO_END : NULL,
	       r < 0 ? -1 : pair[1]);
	(void)close(pair[0]);
	(void)close(pair[1]);
	if (r == 0 && kind != OPENING_OTHER)
		monitor_stream_opened(m, m->next_id);
	if (r == 0 && kind == OPENING_MAIN)
		monitor_main_started(m);
	return 0;
}

static int control_status(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = ctx;
	BB_AUTO_BUF struct bb_buf body;

	(void)err;
	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (status_put(p->m, &body) == 0)
		(void)link_send(p->link, IPC_CONTROL_STATE, msg->id, bb_buf_peek(&body), NULL,
				0); /* as refuse() */
	return 0;
}

static int control_hold(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = ctx;

	(void)msg;
	(void)err;
	p->holds = true;
	status_changed(p->m);
	monitor_review_orphan(p->m);
	return 0;
}

static int control_watch(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = ctx;

	(void)msg;
	(void)err;
	p->watches = true;
	monitor_review_orphan(p->m);
	if (p->m->meta->problem != NULL)
		(void)link_send_text(p->link, IPC_CONTROL_NOTE, 0,
				     p->m->meta->problem); /* as refuse() */
	return 0;
}

static int control_detach(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = ctx;

	(void)msg;
	(void)err;
	p->holds = false;
	p->m->is_detached = true;
	status_changed(p->m);
	monitor_review_orphan(p->m);
	return 0;
}

static int control_stop(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = ctx;

	(void)err;
	p->watches = true;
	p->stops = true;
	p->stop_id = msg->id;
	if (p->m->phase == MONITOR_SAVING)
		save_last_try(p->m);
	else
		monitor_end(p->m, 143, "stopped by the operator");
	return 0;
}

static int control_workspace(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = ctx;
	struct monitor *m = p->m;
	struct bb_view path = { 0 };
	struct bb_err why = { 0 };
	char *copy;
	int r;

	r = bb_tlv_read(msg->body,
			&(struct bb_tlv_field){ .tag = 1,
						.type = BB_TLV_STR,
						.max = PATH_MAX_LEN,
						.is_required = true,
						.out = &path },
			1, err);
	if (r < 0)
		return r;
	if (path.n < 2 || path.p[0] != '/')
		return bb_err_set(err, -EPROTO, "a workspace has an absolute path");
	copy = strndup((const char *)path.p, path.n);
	if (copy == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	free(m->meta->guest_workspace);
	m->meta->guest_workspace = copy;
	r = store_meta_write(m->meta, &why);
	if (r == 0)
		r = link_send_text(part_link(m, PART_CHANNEL), IPC_CHANNEL_MARK, 0, copy);
	if (r < 0 && why.msg[0] != '\0')
		refuse(p, msg->id, why.msg);
	else if (r < 0)
		refuse_ending(p, msg->id);
	else
		(void)link_send(p->link, IPC_CONTROL_OK, msg->id, bb_view_of(NULL, 0), NULL,
				0); /* as refuse() */
	return 0;
}

#define IMAGE_ID_MAX 64

static int control_committed(void *ctx, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = ctx;
	struct monitor *m = p->m;
	struct bb_view id = { 0 };
	struct bb_err why = { 0 };
	char *copy;
	int r;

	r = bb_tlv_read(msg->body,
			&(struct bb_tlv_field){ .tag = 1,
						.type = BB_TLV_STR,
						.max = IMAGE_ID_MAX,
						.is_required = true,
						.out = &id },
			1, err);
	if (r < 0)
		return r;
	copy = strndup((const char *)id.p, id.n);
	if (copy == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	free(m->meta->committed_image);
	m->meta->committed_image = copy;
	if (store_meta_write_synced(m->meta, &why) < 0)
		refuse(p, msg->id, why.msg);
	else
		(void)link_send(p->link, IPC_CONTROL_OK, msg->id, bb_view_of(NULL, 0), NULL,
				0); /* as refuse() */
	return 0;
}

static const struct ipc_op control_ops[] = {
	{ IPC_CONTROL_OPEN, "open", SERVING, BB_TLV_HEADER, LIMIT_IPC_BODY, 0, control_open },
	{ IPC_CONTROL_STATUS, "status", ALWAYS, 0, 0, 0, control_status },
	{ IPC_CONTROL_HOLD, "hold", ALWAYS, 0, 0, 0, control_hold },
	{ IPC_CONTROL_DETACH, "detach", ALWAYS, 0, 0, 0, control_detach },
	{ IPC_CONTROL_STOP, "stop", ALWAYS, 0, 0, 0, control_stop },
	{ IPC_CONTROL_WATCH, "watch", ALWAYS, 0, 0, 0, control_watch },
	{ IPC_CONTROL_WORKSPACE, "workspace", IPC_IN(MONITOR_RUNNING), BB_TLV_HEADER + 1,
	  BB_TLV_HEADER + PATH_MAX_LEN, 0, control_workspace },
	{ IPC_CONTROL_COMMITTED, "committed", SERVING, BB_TLV_HEADER + 1,
	  BB_TLV_HEADER + IMAGE_ID_MAX, 0, control_committed },
};

/* A question that comes at a bad moment is no fault of the peer. */
static bool is_too_early_or_late(const struct control_peer *p, const struct ipc_message *msg)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(control_ops); i++)
		if (control_ops[i].type == msg->type)
			return (control_ops[i].states & IPC_IN(p->m->phase)) == 0;
	return false;
}

static int on_message(void *arg, struct ipc_message *msg, struct bb_err *err)
{
	struct control_peer *p = arg;

	if (is_too_early_or_late(p, msg)) {
		if (p->m->phase == MONITOR_LAUNCHING)
			refuse(p, msg->id, "the bottle is still being launched");
		else
			refuse_ending(p, msg->id);
		return 0;
	}
	return ipc_dispatch(control_ops, BB_ARRAY_LEN(control_ops), (unsigned)p->m->phase, p, msg,
			    err);
}

static void on_gone(void *arg, const struct bb_err *err)
{
	struct control_peer *p = arg;
	struct monitor *m = p->m;

	(void)err; /* LINK_EDGE: whatever was wrong with it, it is gone */
	if (p->holds)
		status_changed(m);
	peer_free(p);
	monitor_review_orphan(m);
}

static const struct link_handlers peer_handlers = { on_message, on_gone };

static void accept_peer(struct monitor *m, int fd)
{
	struct control_peer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		(void)close(fd);
		return;
	}
	p->m = m;
	p->link = link_new(m->loop, fd, &peer_handlers, p);
	if (p->link == NULL) {
		(void)close(fd);
		free(p);
		return;
	}
	p->next = m->control.peers;
	m->control.peers = p;
	m->control.peer_count++;
}

static void on_connect(void *arg, int events)
{
	struct monitor *m = arg;
	int fd = accept4(m->control.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (m->control.peer_count >= LIMIT_CONTROL_PEERS || ipc_peer_uid(fd) != (long)geteuid())
		(void)close(fd);
	else
		accept_peer(m, fd);
}

int control_start(struct monitor *m, struct bb_err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control.sock", m->run_dir);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return bb_err_set(err, -ENAMETOOLONG, "the run directory '%s' is too long",
				  m->run_dir);
	m->control.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->control.fd < 0)
		return bb_err_errno(err, "cannot make a socket");
	/* The directory is 0700; the socket needs no mode of its own. */
	if (bind(m->control.fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(m->control.fd, LIMIT_CONTROL_PEERS) < 0)
		return bb_err_errno(err, "cannot listen on '%s'", addr.sun_path);
	m->control.watch = loop_fd_new(m->loop, m->control.fd, LOOP_READ, on_connect, m);
	return m->control.watch == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

size_t control_holders(const struct monitor *m)
{
	size_t n = 0;

	for (const struct control_peer *p = m->control.peers; p != NULL; p = p->next)
		n += p->holds;
	return n;
}

size_t control_watchers(const struct monitor *m)
{
	size_t n = 0;

	for (const struct control_peer *p = m->control.peers; p != NULL; p = p->next)
		n += p->watches || p->holds;
	return n;
}

void control_tell(struct monitor *m, const char *text)
{
	for (struct control_peer *p = m->control.peers; p != NULL; p = p->next)
		if (p->watches || p->holds)
			(void)link_send_text(p->link, IPC_CONTROL_NOTE, 0, text); /* as refuse() */
}

/* Is there something of it that a resumption would go on with? */
static bool is_resumable(const struct monitor *m)
{
	return m->meta != NULL &&
	       (m->meta->workspace_kept || m->meta->agent_kept || m->meta->committed_image != NULL);
}

void control_tell_ended(struct monitor *m)
{
	BB_AUTO_BUF struct bb_buf body;
	int r;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	r = bb_tlv_put_u32(&body, 1, (uint32_t)m->ending.exit_code);
	if (r == 0)
		r = bb_tlv_put_str(&body, 2, m->ending.reason);
	if (r == 0)
		r = bb_tlv_put_u32(&body, 3, m->meta != NULL && m->meta->workspace_kept);
	if (r == 0 && m->meta != NULL && m->meta->problem != NULL)
		r = bb_tlv_put_str(&body, 4, m->meta->problem);
	if (r == 0)
		r = bb_tlv_put_u32(&body, 5, is_resumable(m));
	for (struct control_peer *p = m->control.peers; r == 0 && p != NULL; p = p->next)
		if (p->watches || p->holds)
			(void)link_send(p->link, IPC_CONTROL_ENDED, p->stops ? p->stop_id : 0,
					bb_buf_peek(&body), NULL, 0); /* as refuse() */
}

void control_free(struct monitor *m)
{
	while (m->control.peers != NULL)
		peer_free(m->control.peers);
	loop_fd_free(m->control.watch);
	m->control.watch = NULL;
	if (m->control.fd >= 0)
		(void)close(bb_take_fd(&m->control.fd));
}
