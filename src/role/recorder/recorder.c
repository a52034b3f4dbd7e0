/*
 * The recorder: collects the records that arrive in one turn of the loop, writes their lines with
 * one write() and one fdatasync(), then answers all of them.
 *
 * Why fdatasync(): a verdict is acted upon once its record is answered; without it a host that
 * loses power right after a request left has no trace of it. One call covers a whole batch, so a
 * busy bottle pays it per turn, not per record.
 *
 * A batch that cannot be written whole is cut off again (a half line would make the next record
 * unreadable) and all of its records are answered with the error.
 */
#include "role/recorder/recorder_impl.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/tlv.h"
#include "ipc/messages.h"

#define RECORDER_ENDING_MS 1000

static void answer(struct writer *w, uint32_t id, int error)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 64);
	if (bb_tlv_put_u32(&body, 1, (uint32_t)-error) == 0)
		(void)link_send(w->link, IPC_RECORD_DONE, id, bb_buf_peek(&body), NULL,
				0); /* a writer that has gone needs no answer */
}

static int append(struct recorder *r)
{
	struct bb_view v = bb_buf_peek(&r->batch);
	int result;

	if (v.n > LIMIT_AUDIT_FILE || r->size > LIMIT_AUDIT_FILE - v.n)
		return -EFBIG;
	result = bb_fd_write_all(r->audit_fd, v.p, v.n);
	if (result == 0 && fdatasync(r->audit_fd) < 0 && errno != EINVAL)
		result = -errno; /* EINVAL: a file that cannot be synchronised, such as a pipe */
	if (result < 0) {
		if (ftruncate(r->audit_fd, (off_t)r->size) < 0)
			bb_warn("cannot cut off a half-written record");
		return result;
	}
	r->size += v.n;
	return 0;
}

static void flush(struct recorder *r)
{
	int result = 0;

	r->is_flush_due = false;
	if (bb_buf_size(&r->batch) > 0)
		result = append(r);
	if (result < 0)
		bb_warn("cannot write the audit: %s", bb_err_name(result));
	for (size_t i = 0; i < r->pending_count; i++)
		answer(r->pending[i].writer, r->pending[i].id, result);
	r->pending_count = 0;
	bb_buf_reset(&r->batch);
}

static void flush_later(void *arg)
{
	flush(arg);
}

static int take_record(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct writer *w = ctx;
	struct recorder *r = w->recorder;
	int result;

	if (m->id == 0)
		return bb_err_set(err, -EPROTO, "a record has no number");
	if (r->pending_count == RECORDER_BATCH)
		flush(r);
	result = recorder_line(m->body, &r->batch, err);
	if (result < 0)
		return result;
	r->pending[r->pending_count++] = (struct pending){ w, m->id };
	if (!r->is_flush_due) {
		r->is_flush_due = true;
		loop_defer(r->role.loop, flush_later, r);
	}
	return 0;
}

static const struct ipc_op writer_ops[] = {
	{ IPC_RECORD, "record", IPC_IN(ROLE_SERVING) | IPC_IN(ROLE_ENDING), 1, LIMIT_IPC_BODY, 0,
	  take_record },
};

static int on_message(void *arg, struct ipc_message *m, struct bb_err *err)
{
	struct writer *w = arg;

	return ipc_dispatch(writer_ops, BB_ARRAY_LEN(writer_ops), (unsigned)w->recorder->role.state,
			    w, m, err);
}

static void on_gone(void *arg, const struct bb_err *err)
{
	struct writer *w = arg;
	struct recorder *r = w->recorder;
	bool is_last = true;

	link_free(bb_take_ptr(&w->link));
	if (err->code < 0) {
		role_fail(&r->role, err);
		return;
	}
	for (size_t i = 0; i < r->writer_count; i++)
		is_last = is_last && r->writers[i].link == NULL;
	if (is_last && r->role.state == ROLE_ENDING) {
		flush(r);
		role_stop(&r->role, 0);
	}
}

static const struct link_handlers writer_handlers = { on_message, on_gone };

int recorder_start(struct recorder *r, struct bb_err *err)
{
	for (size_t i = 0; i < r->writer_count; i++) {
		struct writer *w = &r->writers[i];

		w->link = link_new(r->role.loop, w->fd, &writer_handlers, w);
		if (w->link == NULL)
			return bb_err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static void on_ending(void *arg)
{
	struct recorder *r = arg;

	flush(r);
	role_stop(&r->role, 0);
}

void recorder_shut_down(struct recorder *r)
{
	bool has_writer = false;

	for (size_t i = 0; i < r->writer_count; i++)
		has_writer = has_writer || r->writers[i].link != NULL;
	r->role.state = ROLE_ENDING;
	r->ending = loop_timer_new(r->role.loop, on_ending, r);
	if (!has_writer || r->ending == NULL)
		on_ending(r);
	else
		loop_timer_set(r->ending, RECORDER_ENDING_MS);
}

int recorder_main(void)
{
	struct recorder *r = calloc(1, sizeof(*r));
	int code;

	if (r == NULL)
		return 1;
	r->audit_fd = -1;
	bb_buf_init(&r->batch, (size_t)RECORDER_BATCH * LIMIT_AUDIT_RECORD);
	if (role_init(&r->role, "bot-bottle-recorder", recorder_ops, recorder_op_count, r) < 0) {
		free(r);
		return 1;
	}
	code = role_run(&r->role);
	for (size_t i = 0; i < r->writer_count; i++)
		link_free(r->writers[i].link);
	loop_timer_free(r->ending);
	role_done(&r->role);
	bb_buf_done(&r->batch);
	if (r->audit_fd >= 0)
		(void)close(r->audit_fd);
	free(r);
	return code;
}
