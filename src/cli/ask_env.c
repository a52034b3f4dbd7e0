/* `"?question"` values of `env`: asked for on /dev/tty, not shown while they are typed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/config.h"
#include "cli/signals.h"

#define ANSWER_MAX 4096 /* bytes: a line of a terminal */

struct asking {
	int fd;
	struct termios before;
	bool is_hidden;
};

static void asking_done(struct asking *a)
{
	if (a->is_hidden)
		(void)tcsetattr(a->fd, TCSAFLUSH, &a->before);
	if (a->fd >= 0)
		(void)close(a->fd);
}

static int open_terminal(struct asking *a, const struct manifest_env *e, struct bb_err *err)
{
	struct termios hidden;

	a->fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	if (a->fd < 0)
		return bb_err_set(err, BB_E_USAGE,
				  "manifest '%s':%u: env '%s' is asked for at the start, and there "
				  "is no terminal to ask on; use ${NAME} and set NAME in your "
				  "environment",
				  e->at.file, e->at.line, e->name);
	if (tcgetattr(a->fd, &a->before) < 0)
		return bb_err_errno(err, "cannot read the terminal's settings");
	hidden = a->before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hidden.c_lflag |= ICANON | ISIG | ECHONL;
	hidden.c_cc[VSUSP] = _POSIX_VDISABLE; /* a shell would be left that does not echo */
	if (tcsetattr(a->fd, TCSAFLUSH, &hidden) < 0)
		return bb_err_errno(err, "cannot keep the terminal from showing what is typed");
	a->is_hidden = true;
	return 0;
}

/* One line without its end, in buf. */
static int read_answer(struct asking *a, const struct manifest_env *e, char *buf, size_t cap,
		       struct bb_err *err)
{
	ssize_t n;

	(void)dprintf(a->fd, "%s: %s ", e->name, e->question);
	/* Ctrl-C has to come back here: the terminal is to be given back. */
	if (cli_signals_wait(a->fd, POLLIN, -1, err) < 0)
		return err->code;
	do {
		n = read(a->fd, buf, cap - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return bb_err_errno(err, "cannot read the value of %s", e->name);
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	else if (n > 0)
		return bb_err_set(err, BB_E_LIMIT, "the value of %s is longer than %zu bytes",
				  e->name, cap - 2);
	if (n == 0)
		return bb_err_set(err, -ECANCELED, "no value for %s; not started", e->name);
	buf[n] = '\0';
	if (strlen(buf) != (size_t)n)
		return bb_err_set(err, BB_E_USAGE, "the value of %s holds a NUL byte", e->name);
	return 0;
}

static int ask(struct cli_config *c, struct asking *a, const struct manifest_env *e,
	       struct bb_err *err)
{
	char answer[ANSWER_MAX];
	int r = cli_signals_open(err);

	if (r == 0 && a->fd < 0)
		r = open_terminal(a, e, err);
	if (r == 0)
		r = read_answer(a, e, answer, sizeof(answer), err);
	if (r == 0 && bb_strv_push(&c->env, bb_text_printf("%s=%s", e->name, answer)) < 0)
		r = bb_err_set(err, -ENOMEM, "out of memory");
	explicit_bzero(answer, sizeof(answer));
	return r;
}

int cli_config_ask(struct cli_config *c, struct bb_err *err)
{
	__attribute__((cleanup(asking_done))) struct asking a = { .fd = -1 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->bottle->env_count; i++)
		if (c->bottle->env[i].question != NULL)
			r = ask(c, &a, &c->bottle->env[i], err);
	return r;
}
