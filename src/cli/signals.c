/* See signals.h. */
#include "cli/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"

static int signals_fd = -1;

int cli_signals_open(struct bb_err *err)
{
	sigset_t set;

	if (signals_fd >= 0)
		return 0;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return bb_err_errno(err, "cannot block signals");
	signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals_fd < 0 ? bb_err_errno(err, "cannot wait for signals") : 0;
}

int cli_signals_fd(void)
{
	return signals_fd;
}

int cli_signals_next(void)
{
	struct signalfd_siginfo info;

	if (signals_fd < 0 || read(signals_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

int cli_signals_wait(int fd, short events, int timeout_ms, struct bb_err *err)
{
	uint64_t deadline = bb_clock_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

	for (;;) {
		struct pollfd polls[2] = { { .fd = fd, .events = events },
					   { .fd = signals_fd, .events = POLLIN } };
		int left = timeout_ms < 0 ? -1 : bb_clock_left_ms(deadline);
		int n = poll(polls, 2, left);
		int sig;

		if (n < 0 && errno != EINTR)
			return bb_err_errno(err, "cannot wait");
		if (n == 0)
			return 0;
		if (n > 0 && polls[0].revents != 0)
			return 1;
		sig = n > 0 ? cli_signals_next() : 0;
		if (sig != 0 && sig != SIGWINCH)
			return bb_err_set(err, -EINTR, "interrupted");
	}
}
