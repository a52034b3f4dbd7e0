/* See questions.h. The terminal stays in its ordinary mode: it edits the line, and Ctrl-C ends us.
 */
#include "cli/questions.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/out.h"
#include "term/term.h"

#define LINE_BYTES 4096 /* what a terminal's ordinary mode gives at a time */

struct cli_questions {
	int fd;
	char line[LINE_BYTES + 1];
};

int cli_questions_open(struct cli_questions **ret, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct cli_questions *q;

	if (fd < 0)
		return bb_err_set(err, BB_E_MISSING, "there is no terminal to ask on");
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	q->fd = bb_take_fd(&fd);
	*ret = q;
	return 0;
}

void cli_questions_close(struct cli_questions *q)
{
	if (q == NULL)
		return;
	(void)close(q->fd);
	free(q);
}

static void put(struct cli_questions *q, const char *text)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };

	bb_buf_init(&out, 16384);
	(void)term_filter_text(bb_view_str(text), &out); /* cut at the cap */
	(void)bb_fd_write_all(q->fd, bb_buf_peek(&out).p, bb_buf_size(&out));
}

static void put_wrapped(struct cli_questions *q, const char *text, unsigned indent)
{
	BB_AUTO_FREE char *lines = cli_out_wrapped(text, indent);

	put(q, lines != NULL ? lines : text);
	put(q, "\n");
}

void cli_questions_say(struct cli_questions *q, const char *text)
{
	put_wrapped(q, text, 0);
}

static void put_indented(struct cli_questions *q, const char *text)
{
	BB_AUTO_FREE char *line = bb_text_printf("   %s", text);

	put_wrapped(q, line != NULL ? line : text, 3);
}

static void put_question(struct cli_questions *q, const char *question, const char *fallback)
{
	BB_AUTO_FREE char *line =
		bb_text_printf("%s%s%s%s", question, fallback != NULL ? " [" : "",
			       fallback != NULL ? fallback : "", fallback != NULL ? "]" : "");

	put_wrapped(q, line != NULL ? line : question, 3);
	put(q, "> ");
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One line into q->line, without white space at its ends; NULL: the end of input. */
static char *read_line(struct cli_questions *q)
{
	char *start = q->line;
	ssize_t n;

	do {
		n = read(q->fd, q->line, LINE_BYTES);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return NULL;
	while (n > 0 && is_space(q->line[n - 1]))
		n--;
	q->line[n] = '\0';
	while (is_space(*start))
		start++;
	return start;
}

int cli_questions_ask(struct cli_questions *q, const char *question, const char *fallback,
		      int (*check)(void *arg, const char *answer, struct bb_err *err), void *arg,
		      char **ret, struct bb_err *err)
{
	for (;;) {
		struct bb_err why = { 0 };
		const char *answer;

		put_question(q, question, fallback);
		answer = read_line(q);
		if (answer == NULL) {
			put(q, "\n");
			return bb_err_set(err, -ECANCELED, "nothing is written");
		}
		if (answer[0] == '\0' && fallback != NULL)
			answer = fallback;
		if (check == NULL || check(arg, answer, &why) == 0) {
			*ret = strdup(answer);
			return *ret == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
		}
		put_indented(q, why.msg);
	}
}
