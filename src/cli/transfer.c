/*
 * See transfer.h. One poll loop for both directions. A copy counts as complete only with the
 * guest's FILE_RESULT ok and the child's exit code 0; a stream that ends before is an error.
 */
#include "cli/transfer_impl.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tlv.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "cli/tar.h"
#include "sys/spawn.h"

#define BUFFER_CAP  (512 * 1024)
#define BUFFER_HIGH (128 * 1024)
#define NOTES_CAP   (64 * 1024)
#define STALL_MS    60000 /* without one byte in either direction */

void transfer_init(struct transfer *t, int stream, bool is_put)
{
	memset(t, 0, sizeof(*t));
	t->stream = stream;
	t->is_put = is_put;
	t->data = t->notes = -1;
	t->child.pidfd = -1;
	image_bar_init(&t->bar, STDERR_FILENO);
	bb_buf_init(&t->from_stream, BUFFER_CAP);
	bb_buf_init(&t->to_stream, BUFFER_CAP);
	bb_buf_init(&t->to_child, BUFFER_CAP);
	bb_buf_init(&t->words, NOTES_CAP);
	bb_buf_init(&t->from_file, 2 * LIMIT_PROTO_FRAME);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(bb_take_fd(fd));
}

void transfer_done(struct transfer *t)
{
	close_fd(&t->data);
	close_fd(&t->notes);
	close_fd(&t->stream);
	if (t->child.pidfd >= 0)
		(void)spawn_wait(&t->child, 0); /* kills */
	bb_buf_done(&t->from_stream);
	bb_buf_done(&t->to_stream);
	bb_buf_done(&t->to_child);
	bb_buf_done(&t->words);
	bb_buf_done(&t->from_file);
}

/* list_fd: the child's standard input when it packs a list, else -1. */
static int start_child(struct transfer *t, int dir_fd, int list_fd, char *const *argv,
		       struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_path_sibling("bot-bottle-archive", err);
	BB_AUTO_CLOSE int data_end = -1, notes_end = -1;
	char *env[] = { NULL };
	int data[2], notes[2], r;
	struct spawn_fd fds[4] = { { .to = t->is_put ? 1 : 0 },
				   { .to = 2 },
				   { .from = dir_fd, .to = 3 },
				   { .from = list_fd, .to = 0 } };
	struct spawn_plan plan = { .path = path,
				   .argv = argv,
				   .envp = env,
				   .fds = fds,
				   .fd_count = list_fd >= 0 ? 4 : 3,
				   .dies_with_parent = true };

	if (path == NULL)
		return err->code;
	if (pipe2(data, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	t->data = data[t->is_put ? 0 : 1];
	data_end = data[t->is_put ? 1 : 0];
	if (pipe2(notes, O_CLOEXEC) < 0)
		return bb_err_errno(err, "cannot make a pipe");
	t->notes = notes[0];
	notes_end = notes[1];
	fds[0].from = data_end;
	fds[1].from = notes_end;
	(void)bb_fd_set_nonblock(t->data, 1);
	(void)bb_fd_set_nonblock(t->notes, 1);
	r = spawn_start(&plan, &t->child, err);
	if (r < 0)
		t->child.pidfd = -1;
	return r;
}

static void show_progress(struct transfer *t)
{
	char text[64];
	uint64_t now = bb_clock_ms();

	if (!isatty(STDERR_FILENO) || now - t->shown_ms < 200)
		return;
	if (t->shown_ms != 0 && t->total > 0) {
		uint64_t done = t->bytes < t->total ? t->bytes : t->total;

		(void)snprintf(text, sizeof(text), "copying: %llu of %llu MiB",
			       (unsigned long long)(done >> 20),
			       (unsigned long long)(t->total >> 20));
		image_bar_report(&t->bar, text, (int)(done / (t->total / 100 + 1)));
	} else if (t->shown_ms != 0) {
		(void)snprintf(text, sizeof(text), "copying: %llu KiB",
			       (unsigned long long)(t->bytes >> 10));
		cli_out_step(text);
	}
	t->shown_ms = now;
}

/* put: FILE_DATA frames of a file of ours go on as they are; what they hold is not looked at. */
static int read_frames(struct transfer *t, struct bb_err *err)
{
	struct proto_frame f;
	ssize_t n = bb_fd_read_some(t->data, &t->from_file, TRANSFER_CHUNK);
	int used;

	if (n < 0)
		return bb_err_set(err, (int)n, "cannot read what was kept: %s",
				  bb_err_name((int)n));
	while ((used = proto_get_frame(bb_buf_peek(&t->from_file), &f, err)) > 0) {
		int r = 0;

		if (f.type == FILE_DATA)
			r = proto_put_frame(&t->to_stream, FILE_DATA, f.body.p, f.body.n);
		t->is_kept_whole = f.type == FILE_RESULT && f.body.n == 0;
		t->bytes += f.type == FILE_DATA ? f.body.n : 0;
		bb_buf_consume(&t->from_file, (size_t)used);
		if (r < 0)
			return bb_err_set(err, r, "out of memory");
	}
	if (used < 0)
		return used;
	if (n == 0 && !t->is_kept_whole)
		return bb_err_set(err, -EBADMSG, "what was kept is cut off");
	if (n == 0)
		close_fd(&t->data);
	return 0;
}

/* put: tar bytes from the child become frames. */
static int read_child(struct transfer *t, struct bb_err *err)
{
	uint8_t bytes[TRANSFER_CHUNK];
	ssize_t n = read(t->data, bytes, sizeof(bytes));
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return bb_err_errno(err, "cannot read from the packing process");
	if (n == 0)
		close_fd(&t->data); /* FILE_END follows when it says that all was well */
	r = n == 0 ? 0 : proto_put_frame(&t->to_stream, FILE_DATA, bytes, (size_t)n);
	t->bytes += (uint64_t)n;
	return r < 0 ? bb_err_set(err, r, "out of memory") : 0;
}

static int take_frame(struct transfer *t, const struct proto_frame *f, struct bb_err *err)
{
	switch (f->type) {
	case FILE_DATA:
		if (t->is_put || t->source_ended)
			break;
		t->bytes += f->body.n;
		if (t->most > 0 && t->bytes > t->most)
			return bb_err_set(err, BB_E_LIMIT,
					  "the guest sends more than its disk can hold");
		if (t->data < 0) /* the child has gone; its exit code says why */
			return 0;
		return bb_buf_append_view(&t->to_child, f->body);
	case FILE_END:
		if (t->is_put || t->source_ended)
			break;
		t->source_ended = true;
		return 0;
	case FILE_RESULT:
		t->has_result = true;
		(void)bb_text_escape(t->failure, sizeof(t->failure), f->body, 400);
		return 0;
	default:
		break;
	}
	return bb_err_set(err, BB_E_GUEST, "the guest sent frame %u in a copy", f->type);
}

static int read_stream(struct transfer *t, struct bb_err *err)
{
	ssize_t n = bb_fd_read_some(t->stream, &t->from_stream, LIMIT_PROTO_FRAME);

	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		t->stream_ended = true;
	while (!t->has_result) {
		struct proto_frame f;
		int used = proto_get_frame(bb_buf_peek(&t->from_stream), &f, err);
		int r = used > 0 ? take_frame(t, &f, err) : used;

		if (r < 0)
			return r;
		if (used == 0)
			break;
		bb_buf_consume(&t->from_stream, (size_t)used);
	}
	return 0;
}

static void write_child(struct transfer *t)
{
	ssize_t n = bb_fd_write_some(t->data, &t->to_child);

	if (n < 0 && n != -EAGAIN) {
		t->file_error = (int)n;
		close_fd(&t->data); /* it refused the rest; a child's exit code and words say why */
	}
	if (t->data < 0)
		bb_buf_reset(&t->to_child);
}

static void read_notes(struct transfer *t)
{
	uint8_t bytes[4096];
	ssize_t n = read(t->notes, bytes, sizeof(bytes));

	if (n > 0)
		(void)bb_buf_append(&t->words, bytes, (size_t)n); /* full: the first ones count */
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(&t->notes);
}

/* The child's words, a line each; the last one is the reason when it failed. */
static int tell_notes(struct transfer *t, bool is_failure, struct bb_err *err)
{
	BB_AUTO_FREE char *text = bb_buf_dup_str(&t->words);
	char *line = text, *next;

	for (; line != NULL && *line != '\0'; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (is_failure && (next == NULL || *next == '\0'))
			return bb_err_set(err, BB_E_REFUSED, "%s", line);
		cli_out_note("%s", line);
	}
	return is_failure ? bb_err_set(err, BB_E_PART, "the archive process failed") : 0;
}

/* Waits for the child and takes its exit code. */
static int reap_child(struct transfer *t, struct bb_err *err)
{
	int code;

	if (t->child.pidfd < 0)
		return 0;
	for (;;) {
		int fd = t->notes >= 0 ? t->notes : t->child.pidfd;
		int r = cli_signals_wait(fd, POLLIN, -1, err);

		if (r < 0)
			return r;
		if (t->notes < 0)
			break;
		read_notes(t);
	}
	code = spawn_reap(&t->child);
	t->child.pidfd = -1;
	return tell_notes(t, code != 0, err);
}

/* put: the child has closed its output; only its exit code says that the stream is whole. */
static int finish_source(struct transfer *t, struct bb_err *err)
{
	int r = reap_child(t, err);

	if (r < 0)
		return r;
	t->source_ended = true;
	r = proto_put_frame(&t->to_stream, FILE_END, NULL, 0);
	return r < 0 ? bb_err_set(err, r, "out of memory") : 0;
}

static int step(struct transfer *t, struct bb_err *err)
{
	bool may_read_data = t->is_put && bb_buf_size(&t->to_stream) < BUFFER_HIGH;
	bool may_read_stream = t->is_put || bb_buf_size(&t->to_child) < BUFFER_HIGH;
	struct pollfd polls[] = {
		{ .fd = t->stream,
		  .events = (short)((may_read_stream ? POLLIN : 0) |
				    (bb_buf_size(&t->to_stream) > 0 ? POLLOUT : 0)) },
		{ .fd = may_read_data || bb_buf_size(&t->to_child) > 0 ? t->data : -1,
		  .events = t->is_put ? POLLIN : POLLOUT },
		{ .fd = t->notes, .events = POLLIN },
		{ .fd = cli_signals_fd(), .events = POLLIN },
	};
	int n = poll(polls, BB_ARRAY_LEN(polls), STALL_MS);
	int sig = 0, r = 0;

	if (n < 0)
		return errno == EINTR ? 0 : bb_err_errno(err, "cannot wait");
	if (n == 0)
		return bb_err_set(err, BB_E_DEADLINE, "the copy has not moved for %d seconds",
				  STALL_MS / 1000);
	if (polls[3].revents != 0)
		sig = cli_signals_next();
	if (sig != 0 && sig != SIGWINCH)
		return bb_err_set(err, -EINTR, "interrupted; the copy is not complete");
	if (polls[2].revents != 0)
		read_notes(t);
	if (polls[1].revents != 0 && t->is_put)
		r = t->is_frames ? read_frames(t, err) : read_child(t, err);
	else if (polls[1].revents != 0)
		write_child(t);
	if (r == 0 && (polls[0].revents & POLLOUT) != 0 &&
	    bb_fd_write_some(t->stream, &t->to_stream) == -EPIPE)
		t->stream_ended = true;
	if (r == 0 && (polls[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && may_read_stream)
		r = read_stream(t, err);
	show_progress(t);
	return r;
}

int transfer_run(struct transfer *t, struct bb_err *err)
{
	int r = 0;

	while (r == 0 && !t->has_result && !t->stream_ended) {
		if (t->is_put && t->data < 0 && !t->source_ended)
			r = finish_source(t, err);
		else
			r = step(t, err);
	}
	while (r == 0 && t->data >= 0 && bb_buf_size(&t->to_child) > 0 && t->has_result) {
		r = cli_signals_wait(t->data, POLLOUT, STALL_MS, err);
		if (r == 0)
			return bb_err_set(err, BB_E_DEADLINE,
					  "the unpacking process does not go on");
		r = r < 0 ? r : 0;
		write_child(t);
	}
	cli_out_step(NULL);
	image_bar_end(&t->bar);
	if (r < 0)
		return r;
	if (t->is_file && t->file_error < 0)
		return bb_err_set(err, t->file_error, "cannot write: %s",
				  bb_err_name(t->file_error));
	if (t->has_result && t->failure[0] != '\0')
		return bb_err_set(err, BB_E_GUEST, "%s", t->failure);
	if (!t->has_result || !t->source_ended)
		return bb_err_set(err, BB_E_GUEST, "the copy ended early and is not complete");
	close_fd(&t->data);
	return reap_child(t, err);
}

int transfer_open(struct cli_control *c, uint32_t op, const char *path, uint32_t flags, int *ret,
		  struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf fields = { 0 };
	int r;

	bb_buf_init(&fields, LIMIT_PROTO_OPEN);
	r = bb_tlv_put_u32(&fields, FILE_TAG_OP, op);
	if (r == 0)
		r = bb_tlv_put_str(&fields, FILE_TAG_PATH, path);
	if (r == 0 && flags != 0)
		r = bb_tlv_put_u32(&fields, FILE_TAG_FLAGS, flags);
	if (r < 0)
		return bb_err_set(err, BB_E_LIMIT, "the path is too long");
	r = cli_control_open(c, PROTO_FILE, bb_buf_peek(&fields), bb_view_of(NULL, 0), ret, err);
	if (r == 0 && bb_fd_set_nonblock(*ret, 1) < 0)
		return bb_err_errno(err, "cannot use the copy's stream");
	return r;
}

static int put(struct cli_control *c, int dir_fd, const char *name, const char *as_name,
	       const char *guest_path, uint32_t flags, struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;
	BB_AUTO_STRV char **argv = NULL;
	int stream = -1, r;

	transfer_init(&t, -1, true);
	if (bb_strv_push(&argv, strdup("bot-bottle-archive")) < 0 ||
	    bb_strv_push(&argv, strdup("pack")) < 0 || bb_strv_push(&argv, strdup(name)) < 0 ||
	    bb_strv_push(&argv, strdup(as_name)) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = transfer_open(c, FILE_PUT, guest_path, flags, &stream, err);
	t.stream = stream;
	if (r == 0)
		r = start_child(&t, dir_fd, -1, argv, err);
	return r < 0 ? r : transfer_run(&t, err);
}

int cli_transfer_put_list(struct cli_control *c, const struct cli_transfer_list *list,
			  const char *guest_path, struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;
	BB_AUTO_STRV char **argv = NULL;
	BB_AUTO_CLOSE int list_fd = bb_fd_sealed("list", list->paths.p, list->paths.n);
	int stream = -1, r;

	transfer_init(&t, -1, true);
	t.total = list->total_bytes;
	if (list_fd < 0)
		return bb_err_set(err, list_fd, "cannot hand over a list: %s",
				  bb_err_name(list_fd));
	if (bb_strv_push(&argv, strdup("bot-bottle-archive")) < 0 ||
	    bb_strv_push(&argv, strdup("pack-list")) < 0 || bb_strv_push(&argv, strdup(".")) < 0 ||
	    bb_strv_push(&argv, strdup(list->as_name)) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = transfer_open(c, FILE_PUT, guest_path, 0, &stream, err);
	t.stream = stream;
	if (r == 0)
		r = start_child(&t, list->dir_fd, list_fd, argv, err);
	return r < 0 ? r : transfer_run(&t, err);
}

int cli_transfer_put(struct cli_control *c, int dir_fd, const char *name, const char *as_name,
		     const char *guest_path, struct bb_err *err)
{
	return put(c, dir_fd, name, as_name, guest_path, 0, err);
}

int cli_transfer_put_tree(struct cli_control *c, int dir_fd, const char *guest_path,
			  struct bb_err *err)
{
	return put(c, dir_fd, ".", ".", guest_path, FILE_FLAG_REPLACE, err);
}

int cli_transfer_put_files(struct cli_control *c, const struct provider_file *files, size_t count,
			   const char *guest_path, struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;
	BB_AUTO_BUF struct bb_buf tar = { 0 };
	int stream = -1, r = 0;

	transfer_init(&t, -1, true);
	bb_buf_init(&tar, BUFFER_CAP / 2);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = cli_tar_add(&tar, files[i].path, bb_view_str(files[i].content));
	if (r == 0)
		r = cli_tar_end(&tar);
	if (r == -EMSGSIZE)
		return bb_err_set(err, BB_E_LIMIT, "the agent's prompt is longer than %d KiB",
				  BUFFER_CAP / 2048);
	if (r < 0)
		return bb_err_set(err, r, "cannot pack the agent's files: %s", bb_err_name(r));
	for (struct bb_view v = bb_buf_peek(&tar); r == 0 && v.n > 0;) {
		size_t n = v.n < TRANSFER_CHUNK ? v.n : TRANSFER_CHUNK;

		r = proto_put_frame(&t.to_stream, FILE_DATA, v.p, n);
		v = bb_view_from(v, n);
	}
	if (r == 0)
		r = proto_put_frame(&t.to_stream, FILE_END, NULL, 0);
	if (r < 0)
		return bb_err_set(err, r, "out of memory");
	t.source_ended = true;
	r = transfer_open(c, FILE_PUT, guest_path, 0, &stream, err);
	t.stream = stream;
	return r < 0 ? r : transfer_run(&t, err);
}

static int get(struct transfer *t, const char *verb, const char *only, int dir_fd,
	       const char *as_name, struct bb_err *err)
{
	BB_AUTO_STRV char **argv = NULL;
	int r;

	if (bb_strv_push(&argv, strdup("bot-bottle-archive")) < 0 ||
	    bb_strv_push(&argv, strdup(verb)) < 0 || bb_strv_push(&argv, strdup(only)) < 0 ||
	    bb_strv_push(&argv, strdup(as_name)) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = start_child(t, dir_fd, -1, argv, err);
	return r < 0 ? r : transfer_run(t, err);
}

int cli_transfer_get(struct cli_control *c, const char *guest_path, bool is_content, int dir_fd,
		     const char *as_name, struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;
	const char *slash = strrchr(guest_path, '/');
	const char *name = is_content || slash == NULL || slash[1] == '\0' ? "." : slash + 1;
	int stream = -1, r;

	transfer_init(&t, -1, false);
	r = transfer_open(c, FILE_GET, guest_path, is_content ? FILE_FLAG_CONTENTS : 0, &stream,
			  err);
	t.stream = stream;
	return r < 0 ? r : get(&t, "unpack", name, dir_fd, as_name, err);
}

int cli_transfer_get_kept(int frames_fd, const char *inner, int dir_fd, const char *as_name,
			  struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;
	int copy = fcntl(frames_fd, F_DUPFD_CLOEXEC, 3);

	transfer_init(&t, copy, false);
	if (copy < 0)
		return bb_err_errno(err, "cannot read the kept workspace");
	return get(&t, "unpack", inner[0] != '\0' ? inner : ".", dir_fd, as_name, err);
}

int cli_transfer_review(struct cli_control *c, const char *guest_path, int frames_fd, int dir_fd,
			struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;
	int stream = -1, r = 0;

	transfer_init(&t, -1, false);
	if (c != NULL)
		r = transfer_open(c, FILE_GET, guest_path, FILE_FLAG_CONTENTS, &stream, err);
	else
		stream = fcntl(frames_fd, F_DUPFD_CLOEXEC, 3);
	t.stream = stream;
	if (r == 0 && stream < 0)
		r = bb_err_errno(err, "cannot read the kept workspace");
	return r < 0 ? r : get(&t, "review", ".", dir_fd, ".", err);
}
