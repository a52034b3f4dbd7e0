/*
 * See session.h. One poll loop: the stream, standard input, both outputs, the control socket and
 * signals. Every buffer is bounded and a full one stops its source, so a slow terminal throttles
 * the guest and not this process. The guest's frames are typed and size-checked by mux/proto.
 */
#include "cli/session.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/text.h"
#include "base/tlv.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "ipc/messages.h"
#include "term/term.h"

#define OUTPUT_HIGH (256 * 1024) /* bytes waiting for an output before the stream is left alone */
#define OUTPUT_CAP  (4 * 1024 * 1024) /* one frame may grow threefold in the filter */
#define INPUT_HIGH  (64 * 1024)
#define LEAVE_MS    10000 /* for the guest to take what it was sent before the command left */
#define INPUT_CHUNK 16384
#define WRITE_CHUNK 4096 /* what a descriptor that polled writable takes without blocking */

struct output {
	int fd;
	bool is_terminal;
	int broken; /* why it takes no more, negative: -EPIPE when its reader has gone; 0: it does
		     */
	bool is_closed; /* nothing more is shown */
	struct term_filter filter;
	struct bb_buf waiting;
};

struct session {
	const struct cli_session_plan *plan;
	struct cli_control *control;
	struct cli_session_result *result;
	int stream;
	struct bb_buf from_guest, to_guest;
	struct output out, err;
	bool input_open;
	bool is_raw;
	bool is_over;
	bool has_started;
	bool is_leaving;    /* our half is closed: the guest takes what it was sent, then closes */
	bool wants_leave;   /* as soon as all is sent */
	bool has_leave_key; /* it came once, and waits for the next byte */
	int interrupts;
	struct termios saved;
};

bool cli_session_wants_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static void output_init(struct output *o, int fd)
{
	o->fd = fd;
	o->is_terminal = isatty(fd);
	term_filter_init(&o->filter, false);
	bb_buf_init(&o->waiting, OUTPUT_CAP);
}

static int output_put(struct output *o, struct bb_view v)
{
	if (o->broken != 0 || o->is_closed)
		return 0;
	return o->is_terminal ? term_filter_feed(&o->filter, v, &o->waiting)
			      : bb_buf_append_view(&o->waiting, v);
}

/* One write of what a ready descriptor takes. */
static void output_flush(struct output *o)
{
	struct bb_view v = bb_buf_peek(&o->waiting);
	ssize_t n;

	if (v.n == 0)
		return;
	n = write(o->fd, v.p, v.n < WRITE_CHUNK ? v.n : WRITE_CHUNK);
	if (n > 0) {
		bb_buf_consume(&o->waiting, (size_t)n);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		o->broken = -errno;
		bb_buf_reset(&o->waiting);
	}
}

/* The rest, and the reset of what the guest left set. Blocks: nothing else is left to do. */
static void output_done(struct output *o)
{
	struct bb_view v;

	if (o->is_terminal)
		(void)term_filter_finish(&o->filter, &o->waiting); /* full: the reset is lost */
	v = bb_buf_peek(&o->waiting);
	if (o->broken == 0 && v.n > 0)
		o->broken = bb_fd_write_all(o->fd, v.p, v.n);
	bb_buf_done(&o->waiting);
}

static void terminal_size(uint32_t *rows, uint32_t *columns)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 &&
	    ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		size.ws_row = 0;
	*rows = size.ws_row > 0 ? size.ws_row : 24;
	*columns = size.ws_col > 0 ? size.ws_col : 80;
}

static void terminal_raw(struct session *s)
{
	struct termios raw;

	if (!s->plan->has_terminal || !s->plan->has_input || tcgetattr(STDIN_FILENO, &s->saved) < 0)
		return;
	raw = s->saved;
	cfmakeraw(&raw);
	s->is_raw = tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) == 0;
}

static void terminal_restore(struct session *s)
{
	if (s->is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &s->saved);
	s->is_raw = false;
}

/* The first frame. */
static int put_start(const struct cli_session_plan *plan, struct bb_buf *out, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf fields = { 0 };
	uint32_t rows, columns;
	int r = 0;

	bb_buf_init(&fields, LIMIT_PROTO_FRAME);
	for (size_t i = 0; r == 0 && plan->argv != NULL && plan->argv[i] != NULL; i++)
		r = bb_tlv_put_str(&fields, EXEC_TAG_ARG, plan->argv[i]);
	for (size_t i = 0; r == 0 && plan->env != NULL && plan->env[i] != NULL; i++)
		r = bb_tlv_put_str(&fields, EXEC_TAG_ENV, plan->env[i]);
	if (r == 0 && plan->cwd != NULL)
		r = bb_tlv_put_str(&fields, EXEC_TAG_CWD, plan->cwd);
	if (r == 0 && plan->user != NULL)
		r = bb_tlv_put_str(&fields, EXEC_TAG_USER, plan->user);
	if (r == 0 && plan->argv == NULL)
		r = bb_tlv_put_u32(&fields, EXEC_TAG_SESSION, 0);
	if (r == 0 && plan->has_terminal && plan->argv != NULL) {
		terminal_size(&rows, &columns);
		r = bb_tlv_put_u32(&fields, EXEC_TAG_ROWS, rows);
		if (r == 0)
			r = bb_tlv_put_u32(&fields, EXEC_TAG_COLUMNS, columns);
	}
	if (r == 0 && plan->is_main && plan->argv != NULL)
		r = bb_tlv_put_u32(&fields, EXEC_TAG_FLAGS, EXEC_FLAG_MAIN);
	if (r == 0)
		r = proto_put_frame(out, plan->argv == NULL ? EXEC_ATTACH : EXEC_START,
				    bb_buf_peek(&fields).p, bb_buf_size(&fields));
	if (r == -EMSGSIZE)
		return bb_err_set(err, BB_E_LIMIT,
				  "the command line is longer than %d KiB; put it into a file",
				  LIMIT_PROTO_FRAME / 1024);
	return r < 0 ? bb_err_set(err, r, "out of memory") : 0;
}

static void put_frame(struct session *s, enum proto_exec type, const void *p, size_t n)
{
	/* The buffer has room: input stops at INPUT_HIGH, the rest are few small frames. */
	(void)proto_put_frame(&s->to_guest, (uint8_t)type, p, n);
}

static void put_signal(struct session *s, uint32_t number)
{
	uint8_t body[4];

	bb_put_be32(body, number);
	put_frame(s, EXEC_SIGNAL, body, sizeof(body));
}

static void put_size(struct session *s)
{
	uint32_t rows, columns;
	uint8_t body[4];

	if (!s->plan->has_terminal)
		return;
	terminal_size(&rows, &columns);
	bb_put_be16(body, (uint16_t)rows);
	bb_put_be16(body + 2, (uint16_t)columns);
	put_frame(s, EXEC_RESIZE, body, sizeof(body));
}

static void end_session(struct session *s, enum cli_session_end end, int code)
{
	if (s->is_over)
		return;
	s->is_over = true;
	s->result->end = end;
	s->result->code = code;
}

/* "cannot run 'x': sentence of the guest". */
static void put_failure(struct session *s, struct bb_view text)
{
	const char *program = s->plan->argv == NULL ? NULL : s->plan->argv[0];
	char why[256];

	(void)bb_text_escape(why, sizeof(why), text, 200);
	if (program == NULL)
		(void)snprintf(s->result->text, sizeof(s->result->text), "%s", why);
	else
		(void)snprintf(s->result->text, sizeof(s->result->text), "cannot run '%.160s': %s",
			       program, why);
}

static int take_frame(struct session *s, const struct proto_frame *f, struct bb_err *err)
{
	switch (f->type) {
	case EXEC_STARTED:
		s->has_started = true;
		return 0;
	case EXEC_STDOUT:
		return output_put(&s->out, f->body);
	case EXEC_STDERR:
		return output_put(&s->err, f->body);
	case EXEC_EXIT:
		if (f->body.n != 4)
			return bb_err_set(err, BB_E_GUEST, "the guest sent a malformed exit code");
		end_session(s, CLI_SESSION_EXITED, (int)(bb_be32(f->body.p) & 0xff));
		return 0;
	case EXEC_FAILED:
		if (f->body.n < 4)
			return bb_err_set(err, BB_E_GUEST, "the guest sent a malformed failure");
		put_failure(s, bb_view_from(f->body, 4));
		end_session(s, CLI_SESSION_FAILED, (int)(bb_be32(f->body.p) & 0xff));
		return 0;
	default:
		return bb_err_set(err, BB_E_GUEST, "the guest sent frame %u in a session", f->type);
	}
}

static int read_stream(struct session *s, struct bb_err *err)
{
	ssize_t n = bb_fd_read_some(s->stream, &s->from_guest, LIMIT_PROTO_FRAME);

	if (n == -EAGAIN)
		return 0;
	if (n <= 0) {
		end_session(s, s->is_leaving ? CLI_SESSION_DETACHED : CLI_SESSION_LOST,
			    s->is_leaving ? 0 : 125);
		return 0;
	}
	while (!s->is_over) {
		struct proto_frame f;
		int used = proto_get_frame(bb_buf_peek(&s->from_guest), &f, err);
		int r = used > 0 ? take_frame(s, &f, err) : used;

		if (r < 0)
			return r;
		if (used == 0)
			break;
		bb_buf_consume(&s->from_guest, (size_t)used);
	}
	return 0;
}

static void write_stream(struct session *s)
{
	ssize_t n = bb_fd_write_some(s->stream, &s->to_guest);

	/* The reading side tells why it is gone; what we have for it is of no use any more. */
	if (n < 0 && n != -EAGAIN)
		bb_buf_reset(&s->to_guest);
}

/*
 * Leaves the process running. Closing the stream at once could lose what is still on its way to the
 * guest: our half is closed, and the guest closes the other when it has taken everything.
 */
static void leave(struct session *s)
{
	if (s->is_leaving || bb_buf_size(&s->to_guest) > 0)
		return;
	s->is_leaving = true;
	s->input_open = false;
	s->out.is_closed = s->err.is_closed = true;
	(void)shutdown(s->stream, SHUT_WR); /* a stream that is gone is read to its end */
}

/* What was typed, without the keys that leave; one of them waits for what comes next. */
static void take_typed(struct session *s, const uint8_t *p, size_t n)
{
	static const uint8_t key = CLI_SESSION_LEAVE_KEY;
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		bool is_second = s->has_leave_key && p[i] == key;

		if (s->has_leave_key && !is_second)
			put_frame(s, EXEC_STDIN, &key, 1);
		s->has_leave_key = p[i] == key && !is_second;
		if (p[i] != key)
			continue;
		if (i > from)
			put_frame(s, EXEC_STDIN, p + from, i - from);
		from = i + 1;
		if (is_second) {
			s->wants_leave = true;
			return;
		}
	}
	if (n > from)
		put_frame(s, EXEC_STDIN, p + from, n - from);
}

static void read_input(struct session *s)
{
	uint8_t bytes[INPUT_CHUNK];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n > 0) {
		if (s->plan->has_terminal && s->plan->is_main)
			take_typed(s, bytes, (size_t)n);
		else
			put_frame(s, EXEC_STDIN, bytes, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	s->input_open = false;
	if (s->plan->has_terminal)
		end_session(s, CLI_SESSION_LEFT, 125); /* our terminal hung up */
	else
		put_frame(s, EXEC_STDIN_EOF, NULL, 0);
}

/* Without a PTY, Ctrl-C means the guest's process; the third time it means this one. */
static void take_signals(struct session *s)
{
	int sig;

	while ((sig = cli_signals_next()) != 0) {
		if (sig == SIGWINCH) {
			put_size(s);
		} else if (sig == SIGHUP) {
			end_session(s, CLI_SESSION_LEFT, 128 + sig);
		} else {
			put_signal(s, (uint32_t)sig);
			if (++s->interrupts >= 3)
				end_session(s, CLI_SESSION_LEFT, 128 + sig);
		}
	}
}

static void take_control(struct session *s)
{
	struct bb_err ignored = { 0 };

	/* The stream's own end says what happened; this only keeps the reason. */
	(void)cli_control_take(s->control, &ignored);
}

/* A reader of our output that went away ends the process as a closed pipe would; a full disk ends
 * it, too. The agent goes on: its work is worth more than its output. */
static void check_broken(struct session *s)
{
	if (s->out.broken != 0 && !s->plan->is_main)
		end_session(s, CLI_SESSION_EXITED,
			    s->out.broken == -EPIPE ? 128 + SIGPIPE : CLI_EXIT_OWN);
}

/* Output that could not be written is told, and no success. */
static void tell_broken(struct session *s)
{
	static const char *const names[] = { "standard output", "standard error" };
	const int broken[] = { s->out.broken, s->err.broken };

	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++) {
		if (broken[i] >= 0 || broken[i] == -EPIPE)
			continue;
		cli_out_note("cannot write to %s: %s; the rest of the output is lost", names[i],
			     bb_err_name(broken[i]));
		if (s->result->code == 0)
			s->result->code = CLI_EXIT_OWN;
	}
}

static int wait_events(struct session *s, struct pollfd *polls, nfds_t count, struct bb_err *err)
{
	int n = poll(polls, count, s->is_leaving ? LEAVE_MS : -1);

	if (n < 0)
		return errno == EINTR ? 0 : bb_err_errno(err, "cannot wait");
	if (n == 0)
		end_session(s, CLI_SESSION_DETACHED, 0); /* a guest that does not close its half */
	return n;
}

static int step(struct session *s, struct bb_err *err)
{
	bool is_full = bb_buf_size(&s->out.waiting) > OUTPUT_HIGH ||
		       bb_buf_size(&s->err.waiting) > OUTPUT_HIGH;
	bool may_read = s->input_open && !s->wants_leave && bb_buf_size(&s->to_guest) < INPUT_HIGH;
	short stream_events =
		(short)((is_full ? 0 : POLLIN) | (bb_buf_size(&s->to_guest) > 0 ? POLLOUT : 0));
	struct pollfd polls[] = {
		{ .fd = stream_events != 0 ? s->stream : -1, .events = stream_events },
		{ .fd = may_read ? STDIN_FILENO : -1, .events = POLLIN },
		{ .fd = bb_buf_size(&s->out.waiting) > 0 ? s->out.fd : -1, .events = POLLOUT },
		{ .fd = bb_buf_size(&s->err.waiting) > 0 ? s->err.fd : -1, .events = POLLOUT },
		{ .fd = cli_signals_fd(), .events = POLLIN },
		{ .fd = s->control->fd, .events = POLLIN },
	};

	int n = wait_events(s, polls, BB_ARRAY_LEN(polls), err);

	if (n <= 0)
		return n;
	if (polls[4].revents != 0)
		take_signals(s);
	if (polls[2].revents != 0)
		output_flush(&s->out);
	if (polls[3].revents != 0)
		output_flush(&s->err);
	if (polls[1].revents != 0 && !s->is_over)
		read_input(s);
	if ((polls[0].revents & POLLOUT) != 0)
		write_stream(s);
	check_broken(s);
	if ((polls[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !is_full && !s->is_over)
		return read_stream(s, err);
	if (polls[5].revents != 0)
		take_control(s);
	return 0;
}

static int open_stream(struct session *s, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf first = { 0 };
	int r;

	bb_buf_init(&first, LIMIT_PROTO_FRAME + PROTO_FRAME_HEAD);
	r = put_start(s->plan, &first, err);
	if (r == 0)
		r = cli_control_open(s->control, PROTO_EXEC, bb_view_of(NULL, 0),
				     bb_buf_peek(&first), &s->stream, err);
	if (r == 0 && bb_fd_set_nonblock(s->stream, 1) < 0)
		return bb_err_errno(err, "cannot use the session's stream");
	return r;
}

static void put_given_input(struct session *s)
{
	struct bb_view v = s->plan->input;

	while (v.n > 0) {
		size_t n = v.n < INPUT_CHUNK ? v.n : INPUT_CHUNK;

		put_frame(s, EXEC_STDIN, v.p, n);
		v = bb_view_from(v, n);
	}
	put_frame(s, EXEC_STDIN_EOF, NULL, 0);
}

int cli_session_run(struct cli_control *control, const struct cli_session_plan *plan,
		    struct cli_session_result *ret, struct bb_err *err)
{
	struct session s = { .plan = plan, .control = control, .result = ret, .stream = -1 };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = cli_signals_open(err);
	if (r == 0)
		r = open_stream(&s, err);
	if (r < 0)
		return r;
	/* Room for the given input, which is all there is then, or for INPUT_HIGH and more. */
	bb_buf_init(&s.to_guest, OUTPUT_CAP + plan->input.n * 2);
	bb_buf_init(&s.from_guest, LIMIT_PROTO_FRAME + PROTO_FRAME_HEAD);
	output_init(&s.out, STDOUT_FILENO);
	output_init(&s.err, STDERR_FILENO);
	s.input_open = plan->has_input;
	s.out.is_closed = s.err.is_closed = plan->is_left_running;
	/* To a terminal that is left, an end of input would be a key that was pressed. */
	if (!plan->has_input && plan->argv != NULL &&
	    !(plan->is_left_running && plan->has_terminal))
		put_given_input(&s);
	if (plan->argv == NULL)
		put_size(&s); /* an attachment takes the size in a frame of its own */
	terminal_raw(&s);
	while (r == 0 && !s.is_over) {
		if (s.wants_leave || (plan->is_left_running && s.has_started))
			leave(&s);
		r = step(&s, err);
	}
	output_done(&s.out);
	output_done(&s.err);
	terminal_restore(&s);
	tell_broken(&s);
	(void)close(s.stream);
	bb_buf_done(&s.to_guest);
	bb_buf_done(&s.from_guest);
	return r;
}
