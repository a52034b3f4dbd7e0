/*
 * See control.h. The monitor is ours and no guest byte passes it; its sentences may quote a guest
 * escaped, and are filtered again where they are shown.
 */
#include "cli/control.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/table.h"
#include "base/text.h"
#include "base/tlv.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "ipc/messages.h"
#include "store/store.h"

#define ANSWER_MS 15000 /* the monitor never waits for anything before it answers */
#define REASON_MS 2500  /* from "about to end" to the reason: a bottle that broke ends in 2 s */

static void copy_text(char *dst, size_t cap, struct bb_view v)
{
	(void)bb_text_escape(dst, cap, v, cap - 1);
}

void cli_control_free(struct cli_control *c)
{
	if (c == NULL)
		return;
	if (c->fd >= 0)
		(void)close(c->fd);
	free(c);
}

static bool has_label(const char *identity, const char *label)
{
	struct store_meta *meta = NULL;
	bool is_it;

	if (!store_is_alive(identity) || store_meta_read(identity, &meta, NULL) < 0)
		return false;
	is_it = meta->label != NULL && strcmp(meta->label, label) == 0;
	store_meta_free(meta);
	return is_it;
}

char *cli_control_resolve(const char *name, struct bb_err *err)
{
	BB_AUTO_STRV char **all = store_list(err);
	const char *near;
	size_t i;

	if (all == NULL)
		return NULL;
	for (i = 0; all[i] != NULL; i++)
		if (has_label(all[i], name))
			return strdup(all[i]);
	for (i = 0; all[i] != NULL; i++)
		if (strcmp(all[i], name) == 0)
			return strdup(name);
	near = bb_table_suggest((const char *const *)all, i, bb_view_str(name));
	if (near != NULL)
		(void)bb_err_set(err, BB_E_USAGE, "there is no bottle '%s'; did you mean '%s'?",
				 BB_ESCAPED(bb_view_str(name)), near);
	else
		(void)bb_err_set(err, BB_E_USAGE,
				 "there is no bottle '%s'; 'bot-bottle list' shows them",
				 BB_ESCAPED(bb_view_str(name)));
	return NULL;
}

static int connect_to(const char *identity, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = store_run_dir(identity, err);
	BB_AUTO_CLOSE int fd = -1;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n;

	if (dir == NULL)
		return err != NULL ? err->code : -ENOENT;
	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control.sock", dir);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return bb_err_set(err, -ENAMETOOLONG, "the path of '%s/control.sock' is too long",
				  dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return bb_err_errno(err, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return bb_err_set(err, BB_E_USAGE, "bottle '%s' is not running", identity);
		return bb_err_errno(err, "cannot reach the monitor of '%s'", identity);
	}
	if (ipc_peer_uid(fd) != (long)geteuid())
		return bb_err_set(err, -EPERM, "the monitor of '%s' belongs to another user",
				  identity);
	return bb_take_fd(&fd);
}

int cli_control_connect(const char *identity, struct cli_control **ret, struct bb_err *err)
{
	BB_AUTO(cli_control) struct cli_control *c = calloc(1, sizeof(*c));
	int fd;

	if (c == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	c->fd = -1;
	fd = connect_to(identity, err);
	if (fd < 0)
		return fd;
	c->fd = fd;
	*ret = bb_take_ptr(&c);
	return 0;
}

static int take_ended(struct cli_control *c, const struct ipc_message *m, struct bb_err *err)
{
	struct bb_view reason = { 0 }, problem = { 0 };
	uint32_t code = 0, kept = 0, resumable = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &code },
		{ .tag = 2, .type = BB_TLV_STR, .max = 8192, .out = &reason },
		{ .tag = 3, .type = BB_TLV_U32, .out = &kept },
		{ .tag = 4, .type = BB_TLV_STR, .max = 8192, .out = &problem },
		{ .tag = 5, .type = BB_TLV_U32, .out = &resumable },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	c->has_ended = true;
	c->exit_code = code & 0xff;
	c->workspace_kept = kept != 0;
	c->is_resumable = resumable != 0;
	copy_text(c->reason, sizeof(c->reason), reason);
	copy_text(c->problem, sizeof(c->problem), problem);
	return 0;
}

static int read_sentence(const struct ipc_message *m, uint16_t tag, char *dst, size_t cap)
{
	struct bb_view body = m->body, value;
	uint16_t got;

	dst[0] = '\0';
	while (bb_tlv_next(&body, &got, &value) > 0)
		if (got == tag)
			copy_text(dst, cap, value);
	return 0;
}

/* The u32 with that tag; 0: none. */
static uint32_t read_number(const struct ipc_message *m, uint16_t tag)
{
	struct bb_view body = m->body, value;
	uint16_t got;
	uint32_t n = 0;

	while (bb_tlv_next(&body, &got, &value) > 0)
		if (got == tag && value.n == 4)
			n = (uint32_t)value.p[0] << 24 | (uint32_t)value.p[1] << 16 |
			    (uint32_t)value.p[2] << 8 | value.p[3];
	return n;
}

/* What the monitor says unasked. */
static int take_unasked(struct cli_control *c, const struct ipc_message *m, struct bb_err *err)
{
	char text[1024];

	if (m->type == IPC_CONTROL_ENDED)
		return take_ended(c, m, err);
	if (m->type == IPC_CONTROL_NOTE) {
		(void)read_sentence(m, 1, text, sizeof(text));
		if (c->is_stopping && err != NULL)
			return bb_err_set(err, BB_E_REFUSED, "%s", text); /* it does not end now */
		cli_out_note("%s", text);
		return 0;
	}
	return bb_err_set(err, -EPROTO, "the monitor sent message %u, which nobody asked for",
			  m->type);
}

static int gone(struct cli_control *c, struct bb_err *err)
{
	(void)close(bb_take_fd(&c->fd));
	if (c->has_ended)
		return 0;
	return bb_err_set(err, BB_E_PART, "the bottle's monitor is gone");
}

int cli_control_take(struct cli_control *c, struct bb_err *err)
{
	struct ipc_message m = { 0 };
	int r = ipc_receive(c->fd, c->buffer, &m, err);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		return gone(c, err);
	if (r > 0)
		r = take_unasked(c, &m, err);
	ipc_message_done(&m);
	return r;
}

/* A bottle that is about to end says within moments why. Not ended in time, or not told to us: what
 * the refusal said. */
static int refused_by_end(struct cli_control *c, const char *text, struct bb_err *err)
{
	if (cli_control_wait_end(c, REASON_MS, NULL) == 0)
		return bb_err_set(err, BB_E_PART, "the bottle has ended: %s", c->reason);
	return bb_err_set(err, BB_E_REFUSED, "%s", text);
}

static int refused(struct cli_control *c, struct ipc_message *m, struct bb_err *err)
{
	bool is_ending = read_number(m, 2) != 0;
	char text[1024];

	(void)read_sentence(m, 1, text, sizeof(text));
	ipc_message_done(m);
	return is_ending ? refused_by_end(c, text, err) : bb_err_set(err, BB_E_REFUSED, "%s", text);
}

/* Sends a question and receives its answer; others that come in between are taken. */
static int ask(struct cli_control *c, uint16_t type, struct bb_view body, uint16_t answer,
	       struct ipc_message *ret, struct bb_err *err)
{
	uint64_t deadline = bb_clock_ms() + ANSWER_MS;
	uint32_t id = ++c->last_id;
	int r = c->fd < 0 ? -EPIPE : ipc_send(c->fd, type, id, body, NULL, 0);

	if (r < 0)
		return bb_err_set(err, r, "the bottle's monitor is gone");
	for (;;) {
		r = ipc_receive_wait(c->fd, c->buffer, bb_clock_left_ms(deadline), ret, err);
		if (r == 0) {
			r = gone(c, err);
			return r < 0 ? r
				     : bb_err_set(err, BB_E_PART, "the bottle has ended: %s",
						  c->reason);
		}
		if (r == -ETIMEDOUT)
			return bb_err_set(err, BB_E_DEADLINE,
					  "the bottle's monitor does not answer");
		if (r < 0)
			return r;
		if (ret->id == id && ret->type == answer)
			return 0;
		if (ret->id == id && ret->type == IPC_CONTROL_REFUSED)
			return refused(c, ret, err);
		r = take_unasked(c, ret, err);
		ipc_message_done(ret);
		if (r < 0)
			return r;
	}
}

int cli_control_open(struct cli_control *c, enum proto_service service, struct bb_view fields,
		     struct bb_view first, int *ret_fd, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	struct ipc_message m = { 0 };
	char text[1024];
	bool is_ending;
	int r;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	r = bb_tlv_put_u32(&body, 1, (uint32_t)service);
	if (r == 0)
		r = bb_tlv_put_view(&body, 2, fields);
	if (r == 0 && first.n > 0)
		r = bb_tlv_put_view(&body, 3, first);
	if (r == -EMSGSIZE)
		return bb_err_set(err, BB_E_LIMIT,
				  "the command line is longer than %d KiB; put it into a file",
				  LIMIT_IPC_BODY / 1024);
	if (r < 0)
		return bb_err_set(err, r, "out of memory");
	r = ask(c, IPC_CONTROL_OPEN, bb_buf_peek(&body), IPC_CONTROL_OPENED, &m, err);
	if (r < 0)
		return r;
	*ret_fd = ipc_message_take_fd(&m, 0);
	(void)read_sentence(&m, 2, text, sizeof(text));
	is_ending = read_number(&m, 1) == ESHUTDOWN;
	ipc_message_done(&m);
	if (*ret_fd >= 0)
		return 0;
	if (is_ending)
		return refused_by_end(c, text, err);
	return bb_err_set(err, BB_E_REFUSED, "%s",
			  text[0] != '\0' ? text : "the monitor opened no stream");
}

int cli_control_tell(struct cli_control *c, uint16_t type, struct bb_err *err)
{
	int r = ipc_send(c->fd, type, 0, bb_view_of(NULL, 0), NULL, 0);

	return r < 0 ? bb_err_set(err, r, "the bottle's monitor is gone") : 0;
}

static int ask_with_text(struct cli_control *c, uint16_t type, const char *text, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	struct ipc_message m = { 0 };
	int r;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (bb_tlv_put_str(&body, 1, text) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = ask(c, type, bb_buf_peek(&body), IPC_CONTROL_OK, &m, err);
	ipc_message_done(&m);
	return r;
}

int cli_control_workspace(struct cli_control *c, const char *path, struct bb_err *err)
{
	return ask_with_text(c, IPC_CONTROL_WORKSPACE, path, err);
}

int cli_control_committed(struct cli_control *c, const char *image_id, struct bb_err *err)
{
	return ask_with_text(c, IPC_CONTROL_COMMITTED, image_id, err);
}

static int read_status(struct bb_view body, struct cli_status *ret, struct bb_err *err)
{
	struct bb_view parts[16] = { 0 }, agent = { 0 }, backend = { 0 }, problem = { 0 };
	uint32_t phase = 0, held = 0;
	uint64_t started = 0, disk = 0;
	size_t part_count = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = CONTROL_STATE_PHASE, .type = BB_TLV_U32, .out = &phase },
		{ .tag = CONTROL_STATE_AGENT, .type = BB_TLV_STR, .max = 1024, .out = &agent },
		{ .tag = CONTROL_STATE_BACKEND, .type = BB_TLV_STR, .max = 1024, .out = &backend },
		{ .tag = CONTROL_STATE_STARTED, .type = BB_TLV_U64, .out = &started },
		{ .tag = CONTROL_STATE_HELD, .type = BB_TLV_U32, .out = &held },
		{ .tag = CONTROL_STATE_PARTS,
		  .type = BB_TLV_STR,
		  .max = 256,
		  .out = parts,
		  .count = &part_count,
		  .repeat_max = BB_ARRAY_LEN(parts) },
		{ .tag = CONTROL_STATE_DISK, .type = BB_TLV_U64, .out = &disk },
		{ .tag = CONTROL_STATE_PROBLEM, .type = BB_TLV_STR, .max = 8192, .out = &problem },
	};
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->phase = phase;
	ret->started_at = started;
	ret->is_held = held != 0;
	ret->disk_bytes = disk;
	copy_text(ret->backend, sizeof(ret->backend), backend);
	copy_text(ret->problem, sizeof(ret->problem), problem);
	for (size_t i = 0; i < part_count; i++)
		copy_text(ret->parts[i], sizeof(ret->parts[i]), parts[i]);
	ret->part_count = part_count;
	return 0;
}

int cli_control_status(struct cli_control *c, struct cli_status *ret, struct bb_err *err)
{
	struct ipc_message m = { 0 };
	int r = ask(c, IPC_CONTROL_STATUS, bb_view_of(NULL, 0), IPC_CONTROL_STATE, &m, err);

	if (r == 0)
		r = read_status(m.body, ret, err);
	ipc_message_done(&m);
	return r;
}

int cli_control_published_status(const char *identity, struct cli_status *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = store_run_dir(identity, err);
	BB_AUTO_FREE char *path = dir == NULL ? NULL : bb_text_printf("%s/" STORE_STATUS_FILE, dir);
	BB_AUTO_BUF struct bb_buf body = { 0 };
	int r;

	bb_buf_init(&body, LIMIT_IPC_BODY);
	if (path == NULL)
		return -ENOMEM;
	r = bb_path_read(path, 1, &body, err);
	return r < 0 ? r : read_status(bb_buf_peek(&body), ret, err);
}

int cli_control_wait_end(struct cli_control *c, int timeout_ms, struct bb_err *err)
{
	uint64_t deadline = bb_clock_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

	while (!c->has_ended) {
		int r = c->fd < 0
				? bb_err_set(err, BB_E_PART, "the bottle's monitor is gone")
				: cli_signals_wait(c->fd, POLLIN,
						   timeout_ms < 0 ? -1 : bb_clock_left_ms(deadline),
						   err);

		if (r == 0)
			return bb_err_set(err, BB_E_DEADLINE, "the bottle did not end in time");
		if (r > 0)
			r = cli_control_take(c, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cli_control_stop(struct cli_control *c, int timeout_ms, struct bb_err *err)
{
	int r = ipc_send(c->fd, IPC_CONTROL_STOP, ++c->last_id, bb_view_of(NULL, 0), NULL, 0);

	if (r < 0)
		return bb_err_set(err, r, "the bottle's monitor is gone");
	c->is_stopping = true;
	return cli_control_wait_end(c, timeout_ms, err);
}
