/* See screen.h. The library is ncurses; what it does to signals is undone at the end. */
#include "tui/screen.h"

#include <curses.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#define ESCAPE_MS  50 /* how long after Esc the rest of a key's sequence may come */
#define CONTROL(c) ((c)&0x1f)

struct tui_screen {
	FILE *in, *out;
	SCREEN *curses;
	int signals;
	sigset_t old_mask;
	char *old_locale;
	bool has_color;
};

/* Signals that are read from a descriptor while the screen is open. */
static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH };
/* Those whose disposition ncurses changes. */
static const int taken[] = { SIGINT, SIGTERM, SIGTSTP, SIGWINCH };
static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
static struct sigaction old_taken[BB_ARRAY_LEN(taken)];
static struct sigaction old_crashes[BB_ARRAY_LEN(crashes)];

/* What a handler needs to give the terminal back, made beforehand: nothing else may be called
 * there. */
static struct {
	int fd;
	struct termios modes;
	char bytes[256];
	size_t length;
} rescue = { .fd = -1 };

/* A capability without its padding marks, which no terminal of today waits for. */
static void add_rescue(const char *name)
{
	const char *s = tigetstr(name);

	if (s == NULL || s == (const char *)-1)
		return;
	while (*s != '\0' && rescue.length < sizeof(rescue.bytes)) {
		const char *end = s[0] == '$' && s[1] == '<' ? strchr(s, '>') : NULL;

		if (end != NULL)
			s = end + 1;
		else
			rescue.bytes[rescue.length++] = *s++;
	}
}

static void on_crash(int signal_number)
{
	/* The dispositions are SA_RESETHAND: the second time the process ends. */
	(void)!write(rescue.fd, rescue.bytes, rescue.length);
	(void)tcsetattr(rescue.fd, TCSANOW, &rescue.modes);
	(void)raise(signal_number);
}

static void watch_crashes(int fd)
{
	struct sigaction action = { .sa_handler = on_crash,
				    .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };

	(void)sigemptyset(&action.sa_mask);
	rescue.fd = fd;
	rescue.length = 0;
	add_rescue("sgr0");
	add_rescue("rmkx");
	add_rescue("cnorm");
	add_rescue("rmcup");
	for (size_t i = 0; i < BB_ARRAY_LEN(crashes); i++)
		(void)sigaction(crashes[i], &action, &old_crashes[i]);
}

static int take_signals(struct tui_screen *s, struct bb_err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < BB_ARRAY_LEN(watched); i++)
		(void)sigaddset(&set, watched[i]);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return bb_err_errno(err, "cannot wait for signals");
	for (size_t i = 0; i < BB_ARRAY_LEN(taken); i++)
		(void)sigaction(taken[i], NULL, &old_taken[i]);
	if (sigprocmask(SIG_BLOCK, &set, &s->old_mask) < 0) {
		(void)close(s->signals);
		return bb_err_errno(err, "cannot block signals");
	}
	return 0;
}

/* As before; what came meanwhile and was not read takes effect now. */
static void give_signals_back(struct tui_screen *s)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(crashes) && rescue.fd >= 0; i++)
		(void)sigaction(crashes[i], &old_crashes[i], NULL);
	rescue.fd = -1;
	for (size_t i = 0; i < BB_ARRAY_LEN(taken); i++)
		(void)sigaction(taken[i], &old_taken[i], NULL);
	(void)close(s->signals);
	(void)sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
}

static void free_screen(struct tui_screen *s)
{
	if (s->in != NULL)
		(void)fclose(s->in);
	if (s->out != NULL)
		(void)fclose(s->out); /* nothing is waiting in it: ncurses writes by itself */
	if (s->old_locale != NULL)
		(void)setlocale(LC_CTYPE, s->old_locale);
	free(s->old_locale);
	free(s);
}

static int open_tty(struct tui_screen *s, struct bb_err *err)
{
	BB_AUTO_CLOSE int in = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	BB_AUTO_CLOSE int out = -1;

	if (in < 0)
		return bb_err_set(err, BB_E_MISSING, "there is no terminal to ask on");
	if (tcgetattr(in, &rescue.modes) < 0)
		return bb_err_errno(err, "cannot read the terminal's modes");
	out = fcntl(in, F_DUPFD_CLOEXEC, 0);
	s->in = out < 0 ? NULL : fdopen(in, "r");
	if (s->in == NULL)
		return bb_err_errno(err, "cannot open the terminal");
	(void)bb_take_fd(&in);
	s->out = fdopen(out, "w");
	if (s->out == NULL)
		return bb_err_errno(err, "cannot open the terminal");
	(void)bb_take_fd(&out);
	return 0;
}

static void fit_size(const struct tui_screen *s)
{
	struct winsize size;

	if (ioctl(fileno(s->in), TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0 &&
	    (size.ws_row != LINES || size.ws_col != COLS))
		(void)resizeterm(size.ws_row, size.ws_col);
}

static void set_colors(struct tui_screen *s)
{
	const char *no = getenv("NO_COLOR");

	if ((no != NULL && no[0] != '\0') || !has_colors() || start_color() == ERR)
		return;
	(void)use_default_colors();
	for (short i = 1; i < COLORS && i < 8; i++)
		(void)init_pair(i, i, -1);
	s->has_color = COLORS >= 8;
}

static int start_curses(struct tui_screen *s, struct bb_err *err)
{
	const char *name = getenv("TERM");

	set_escdelay(ESCAPE_MS);
	s->curses = name == NULL || name[0] == '\0' ? NULL : newterm(NULL, s->out, s->in);
	if (s->curses == NULL || tigetstr("cup") == NULL || tigetstr("cup") == (char *)-1) {
		if (s->curses != NULL) {
			(void)endwin();
			delscreen(s->curses);
		}
		return bb_err_set(err, BB_E_MISSING,
				  "this terminal (TERM is '%s') cannot show a dialogue",
				  name == NULL ? "" : BB_ESCAPED(bb_view_str(name)));
	}
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)keypad(stdscr, TRUE);
	(void)nodelay(stdscr, TRUE);
	(void)leaveok(stdscr, FALSE);
	set_colors(s);
	fit_size(s);
	watch_crashes(fileno(s->in));
	return 0;
}

bool tui_screen_is_there(void)
{
	BB_AUTO_CLOSE int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	return fd >= 0;
}

int tui_screen_open(struct tui_screen **ret, struct bb_err *err)
{
	struct tui_screen *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = open_tty(s, err);
	if (r == 0)
		r = take_signals(s, err);
	if (r < 0) {
		free_screen(s);
		return r;
	}
	/* For this process's own texts the language stays "C": only characters are looked up. */
	s->old_locale = strdup(setlocale(LC_CTYPE, NULL));
	(void)setlocale(LC_CTYPE, "");
	r = start_curses(s, err);
	if (r < 0) {
		give_signals_back(s);
		free_screen(s);
		return r;
	}
	*ret = s;
	return 0;
}

void tui_screen_close(struct tui_screen *s)
{
	if (s == NULL)
		return;
	(void)endwin();
	delscreen(s->curses);
	give_signals_back(s);
	free_screen(s);
}

bool tui_screen_has_color(const struct tui_screen *s)
{
	return s->has_color;
}

/* The screen as the shell wants it; then the signal does what it does to a program that never
 * asked for it. Comes back when we are continued, or when it is ignored. */
static void let_pass(int signal_number)
{
	struct sigaction action, ours;
	sigset_t one;

	(void)endwin();
	(void)sigaction(signal_number, NULL, &ours);
	action = ours;
	for (size_t i = 0; i < BB_ARRAY_LEN(taken); i++)
		if (taken[i] == signal_number)
			action = old_taken[i];
	(void)sigaction(signal_number, &action, NULL);
	(void)sigemptyset(&one);
	(void)sigaddset(&one, signal_number);
	(void)raise(signal_number);
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL); /* here */
	(void)sigprocmask(SIG_BLOCK, &one, NULL);
	(void)sigaction(signal_number, &ours, NULL);
}

static void redraw(const struct tui_screen *s)
{
	fit_size(s);
	(void)reset_prog_mode();
	(void)clearok(curscr, TRUE);
}

/* True when a key came of it. */
static bool take_signal(const struct tui_screen *s, enum tui_key *ret)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	switch (info.ssi_signo) {
	case SIGWINCH:
		fit_size(s);
		*ret = TUI_KEY_REDRAW;
		return true;
	case SIGTSTP:
		let_pass(SIGTSTP);
		redraw(s);
		*ret = TUI_KEY_REDRAW;
		return true;
	case SIGCONT:
		redraw(s);
		*ret = TUI_KEY_REDRAW;
		return true;
	case SIGINT:
		*ret = TUI_KEY_QUIT;
		return true;
	default:
		let_pass((int)info.ssi_signo);
		*ret = TUI_KEY_QUIT;
		return true;
	}
}

static const struct {
	int code;
	enum tui_key key;
} keys[] = {
	{ KEY_UP, TUI_KEY_UP },          { KEY_DOWN, TUI_KEY_DOWN },
	{ KEY_LEFT, TUI_KEY_LEFT },      { KEY_RIGHT, TUI_KEY_RIGHT },
	{ KEY_PPAGE, TUI_KEY_PAGE_UP },  { KEY_NPAGE, TUI_KEY_PAGE_DOWN },
	{ KEY_HOME, TUI_KEY_HOME },      { KEY_END, TUI_KEY_END },
	{ KEY_ENTER, TUI_KEY_ENTER },    { KEY_BACKSPACE, TUI_KEY_ERASE },
	{ KEY_DC, TUI_KEY_DELETE },      { KEY_RESIZE, TUI_KEY_REDRAW },
	{ '\r', TUI_KEY_ENTER },         { '\n', TUI_KEY_ENTER },
	{ 0x7f, TUI_KEY_ERASE },         { CONTROL('h'), TUI_KEY_ERASE },
	{ 0x1b, TUI_KEY_BACK },          { CONTROL('c'), TUI_KEY_QUIT },
	{ CONTROL('d'), TUI_KEY_DONE },  { CONTROL('l'), TUI_KEY_REDRAW },
	{ CONTROL('n'), TUI_KEY_DOWN },  { CONTROL('p'), TUI_KEY_UP },
	{ CONTROL('a'), TUI_KEY_HOME },  { CONTROL('e'), TUI_KEY_END },
	{ CONTROL('u'), TUI_KEY_CLEAR }, { CONTROL('w'), TUI_KEY_CLEAR },
};

static bool take_key(int code, enum tui_key *ret, char *ret_char)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(keys); i++)
		if (keys[i].code == code) {
			*ret = keys[i].key;
			if (code == CONTROL('l'))
				(void)clearok(curscr, TRUE);
			return true;
		}
	if (code < 0x20 || code >= 0x7f)
		return false;
	*ret = TUI_KEY_CHAR;
	*ret_char = (char)code;
	return true;
}

enum tui_key tui_screen_read(struct tui_screen *s, char *ret_char)
{
	enum tui_key key;

	for (;;) {
		struct pollfd polls[2] = { { .fd = fileno(s->in), .events = POLLIN },
					   { .fd = s->signals, .events = POLLIN } };
		int code = getch(); /* first: it may hold keys that it has read already */

		if (code != ERR) {
			if (take_key(code, &key, ret_char))
				return key;
			continue;
		}
		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return TUI_KEY_GONE;
		if ((polls[1].revents & POLLIN) != 0 && take_signal(s, &key))
			return key;
		if ((polls[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
			return TUI_KEY_GONE;
	}
}
