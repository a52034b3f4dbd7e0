/* See out.h. */
#include "cli/out.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/command.h"
#include "term/term.h"

#define WRAP_AT 78 /* columns of a text that we break ourselves */

static bool is_step_drawn;

static void clear_step(void)
{
	if (is_step_drawn)
		(void)bb_fd_write_all(STDERR_FILENO, "\r\033[K", 4);
	is_step_drawn = false;
}

static void put_line(const char *before, const char *text)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };

	bb_buf_init(&out, 65536);
	/* A text that does not fit is cut by the cap: better a short message than none. */
	(void)bb_buf_append_str(&out, before);
	(void)term_filter_text(bb_view_str(text), &out);
	(void)bb_buf_append_byte(&out, '\n');
	clear_step();
	(void)bb_fd_write_all(STDERR_FILENO, bb_buf_peek(&out).p, bb_buf_size(&out));
}

void cli_out_note(const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when long */
	va_end(ap);
	put_line("bot-bottle: ", text);
}

int cli_out_fail(const struct bb_err *err)
{
	put_line("bot-bottle: ", err->msg[0] != '\0' ? err->msg : bb_err_name(err->code));
	return err->code == -EINTR ? CLI_EXIT_INTERRUPT : CLI_EXIT_OWN;
}

void cli_out_step(const char *text)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };

	if (text == NULL || !isatty(STDERR_FILENO)) {
		clear_step();
		if (text != NULL)
			put_line("bot-bottle: ", text);
		return;
	}
	bb_buf_init(&out, 4096);
	(void)bb_buf_append_str(&out, "\r\033[K");
	(void)term_filter_text(bb_view_str(text), &out);
	(void)bb_buf_append_str(&out, " ...");
	(void)bb_fd_write_all(STDERR_FILENO, bb_buf_peek(&out).p, bb_buf_size(&out));
	is_step_drawn = true;
}

int cli_out_ask(const char *question, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	char answer[64];
	ssize_t n;

	if (fd < 0)
		return bb_err_set(err, BB_E_USAGE,
				  "no terminal to ask '%s' on; say --yes to go on without asking",
				  question);
	clear_step();
	(void)dprintf(fd, "%s [y/N] ", question);
	n = read(fd, answer, sizeof(answer));
	if (n < 0)
		return bb_err_errno(err, "cannot read the answer");
	return n > 0 && (answer[0] == 'y' || answer[0] == 'Y') ? 1 : 0;
}

char *cli_out_wrapped(const char *text, unsigned indent)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	size_t column = 0;

	bb_buf_init(&out, 65536);
	while (*text != '\0') {
		size_t gap = strspn(text, " "), n = strcspn(text + gap, " \n");
		int r = 0;

		if (column + gap + n > WRAP_AT && column > indent) {
			r = bb_buf_printf(&out, "\n%*s", (int)indent, "");
			column = indent;
		} else {
			r = bb_buf_append(&out, text, gap);
			column += gap;
		}
		if (r < 0 || bb_buf_append(&out, text + gap, n) < 0)
			return NULL;
		column += n;
		text += gap + n;
		if (*text == '\n') {
			if (bb_buf_append_byte(&out, '\n') < 0)
				return NULL;
			column = 0;
			text++;
		}
	}
	return bb_buf_dup_str(&out);
}

void cli_out_json_string(const char *s)
{
	(void)putchar('"');
	for (; s != NULL && *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			(void)printf("\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			(void)printf("\\u%04x", c);
		else
			(void)putchar(c);
	}
	(void)putchar('"');
}
