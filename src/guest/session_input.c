/*
 * The way into a session's process: its standard input or terminal, which takes what it has room
 * for; the rest waits here, and the host's credit with it.
 */
#include "guest/session_impl.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/limit.h"

bool session_takes_input(const struct session *s)
{
	return bb_buf_size(&s->input) < LIMIT_EXEC_STDIN;
}

/* A terminal has no end of input; its line discipline makes one of the VEOF character. */
static void session_send_eof(struct session *s)
{
	struct termios t;

	if (s->has_pty && tcgetattr(s->process.in_fd, &t) == 0 && (t.c_lflag & ICANON))
		(void)!write(s->process.in_fd, &t.c_cc[VEOF],
			     1); /* a full terminal has no reader */
	if (!s->has_pty)
		session_close(s, &s->in, &s->process.in_fd);
}

static void session_write_input(struct session *s)
{
	if (s->state == SESSION_STARTING)
		return;
	while (bb_buf_size(&s->input) > 0 && s->process.in_fd >= 0) {
		struct bb_view v = bb_buf_peek(&s->input);
		ssize_t n = write(s->process.in_fd, v.p, v.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			poll_set(&s->guest->loop, &s->in, POLL_WRITE);
			return;
		}
		if (n < 0) { /* the process has closed its input: the rest goes nowhere */
			if (!s->has_pty)
				session_close(s, &s->in, &s->process.in_fd);
			bb_buf_reset(&s->input);
			break;
		}
		bb_buf_consume(&s->input, (size_t)n);
	}
	if (s->process.in_fd < 0)
		bb_buf_reset(&s->input);
	poll_set(&s->guest->loop, &s->in, 0);
	if (s->is_in_eof) {
		s->is_in_eof = false;
		if (s->process.in_fd >= 0)
			session_send_eof(s);
	}
}

void session_take_input(struct session *s)
{
	session_write_input(s);
	for (struct attach *a = s->attached, *next; a != NULL; a = next) {
		next = a->next;
		attach_input(a); /* may lose and free this attachment, never another */
	}
}

void session_on_input(void *arg, int events)
{
	struct session *s = arg;

	(void)events; /* write() says what it is */
	session_take_input(s);
	session_collect(s);
}

void session_input(struct session *s, struct bb_view bytes)
{
	if (s->state != SESSION_FINISHED && (s->process.in_fd >= 0) && !s->is_in_eof)
		(void)bb_buf_append_view(&s->input,
					 bytes); /* its cap holds a frame above the limit */
	session_write_input(s);
}

void session_input_eof(struct session *s)
{
	s->is_in_eof = true;
	session_write_input(s);
}

void session_resize(struct session *s, uint16_t rows, uint16_t columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	if (s->has_pty && s->process.in_fd >= 0)
		(void)ioctl(s->process.in_fd, TIOCSWINSZ,
			    &size); /* sends SIGWINCH where it changed */
}
