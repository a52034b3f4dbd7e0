/*
 * The loop of bottle-init: stream bytes into the mux, mux bytes out, dead children, and whatever
 * the services watch. Nothing here blocks but the wait for events.
 */
#include "guest/guest.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limit.h"
#include "base/text.h"
#include "guest/copy.h"
#include "guest/lifecycle.h"
#include "guest/net.h"
#include "guest/probe.h"
#include "guest/relay.h"
#include "guest/service.h"
#include "guest/session.h"
#include "guest/tree.h"

#define GUEST_READ  65536
#define GUEST_READS 4 /* reads in one turn before the others get theirs */
/* How long the last bytes may take through somebody else's machine. */
#define GUEST_LINGER_MS 1000

static const struct guest_traits guest_modes[] = {
	[GUEST_NAMESPACE] = { .has_network = true },
	[GUEST_MICROVM] = { .may_switch = true,
			    .has_network = true,
			    .is_drained = true,
			    .provision = PROVISION_DIRECTORIES | PROVISION_KERNEL |
					 PROVISION_NAMES | PROVISION_RESOLVER },
	[GUEST_SOCKET] = { .may_switch = true,
			   .is_workload = true,
			   .has_network = true,
			   .provision =
				   PROVISION_DIRECTORIES | PROVISION_NAMES | PROVISION_RESOLVER },
	[GUEST_CONNECT] = { .may_switch = true,
			    .is_workload = true,
			    .provision = PROVISION_DIRECTORIES | PROVISION_NAMES },
};
_Static_assert(BB_ARRAY_LEN(guest_modes) == GUEST_NUM_MODES, "each mode has its traits");

const struct guest_traits *guest_traits(const struct guest *g)
{
	return &guest_modes[g->mode];
}

void guest_stop(struct guest *g, const struct bb_err *err)
{
	if (g->loop.is_stopped)
		return;
	g->loop.is_stopped = true;
	if (err != NULL)
		g->failure = *err;
}

static int guest_on_open(void *arg, struct mux_stream *s)
{
	return service_accept(arg, s);
}

static void guest_on_readable(void *arg, struct mux_stream *s, void *owner)
{
	struct peer *p = owner;

	(void)arg;
	(void)s;
	if (p != NULL)
		p->ops->readable(p);
}

static void guest_on_writable(void *arg, struct mux_stream *s, void *owner)
{
	struct peer *p = owner;

	(void)arg;
	(void)s;
	if (p != NULL)
		p->ops->writable(p);
}

static void guest_on_reset(void *arg, struct mux_stream *s, void *owner)
{
	struct peer *p = owner;

	(void)arg;
	if (p != NULL)
		p->ops->reset(p);
	else
		mux_stream_release(s);
}

static void guest_on_output(void *arg)
{
	struct guest *g = arg;

	g->has_output = true;
}

static const struct mux_handlers guest_handlers = {
	.on_open = guest_on_open,
	.on_readable = guest_on_readable,
	.on_writable = guest_on_writable,
	.on_reset = guest_on_reset,
	.on_output = guest_on_output,
};

/* Sends until the stream takes no more. */
static void guest_send(struct guest *g)
{
	while (g->has_output) {
		struct bb_view v = mux_output(g->mux);
		ssize_t n;

		if (v.n == 0) {
			g->has_output = false;
			break;
		}
		n = write(g->stream_fd, v.p, v.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			struct bb_err err = { 0 };

			(void)bb_err_errno(&err, "the stream to the host is gone");
			g->has_output = false;
			guest_stop(g, &err);
			return;
		}
		mux_output_consume(g->mux, (size_t)n);
	}
	poll_set(&g->loop, &g->stream, g->has_output ? POLL_READ | POLL_WRITE : POLL_READ);
}

/* Sends what the mux holds, waiting at most timeout_ms for the host to take it. */
static void guest_flush(struct guest *g, int timeout_ms)
{
	uint64_t deadline = bb_clock_ms() + (uint64_t)timeout_ms;

	for (;;) {
		struct pollfd p = { .fd = g->stream_fd, .events = POLLOUT };

		guest_send(g);
		if (!g->has_output || bb_clock_left_ms(deadline) == 0)
			return;
		(void)poll(&p, 1, bb_clock_left_ms(deadline));
	}
}

static void guest_on_stream(void *arg, int events)
{
	struct guest *g = arg;
	static uint8_t chunk[GUEST_READ];
	struct bb_err err = { 0 };

	if ((events & (POLL_READ | POLL_HANGUP)) == 0)
		return; /* room to send: guest_run() does it after every turn */
	for (int i = 0; i < GUEST_READS && !g->loop.is_stopped; i++) {
		ssize_t n = read(g->stream_fd, chunk, sizeof(chunk));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == 0)
			(void)bb_err_set(&err, -EPIPE, "the host closed the stream");
		else if (n < 0)
			(void)bb_err_errno(&err, "the stream to the host");
		else
			(void)mux_input(g->mux, chunk, (size_t)n, &err);
		if (err.code != 0) {
			guest_stop(g, &err);
			return;
		}
		if ((size_t)n < sizeof(chunk))
			return;
	}
}

static void guest_reap(struct guest *g)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			break;
		/* Anybody else is an orphan that was ours to reap. */
		if (!session_reaped(g, pid, status) && !copy_reaped(g, pid, status))
			(void)lifecycle_reaped(g, pid, status);
	}
	lifecycle_check_end(g);
}

static void guest_on_signal(void *arg, int events)
{
	struct guest *g = arg;
	struct signalfd_siginfo info[8];

	(void)events; /* one kind only is watched */
	while (read(g->signal_fd, info, sizeof(info)) > 0)
		; /* many children may have ended for one signal: all are asked for below */
	guest_reap(g);
}

/* Connections, listeners and sessions take some; the hard limit is the jail's or the machine's. */
static void guest_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files); /* without it, fewer connections at a time */
}

/* PID 1 gets no signal it has no handler for, but as a plain process (tests) the usual ones must
 * end it, so only SIGCHLD is taken. */
static int guest_watch_signals(struct guest *g, struct bb_err *err)
{
	sigset_t mask;

	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail for a valid number */
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return bb_err_errno(err, "signal mask");
	g->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (g->signal_fd < 0)
		return bb_err_errno(err, "signalfd");
	if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return bb_err_errno(err, "subreaper");
	return 0;
}

int guest_init(struct guest *g, enum guest_mode mode, int stream_fd, struct bb_err *err)
{
	const struct mux_config config = { .side = MUX_GUEST };
	int r;

	*g = (struct guest){ .mode = mode, .stream_fd = stream_fd, .signal_fd = -1 };
	g->stream = (struct poll_watch){ .cb = guest_on_stream, .arg = g };
	g->signals = (struct poll_watch){ .cb = guest_on_signal, .arg = g };
	guest_raise_files();
	r = poll_init(&g->loop, err);
	if (r == 0)
		r = guest_watch_signals(g, err);
	if (r < 0)
		return r;
	g->mux = mux_new(&config, &guest_handlers, g);
	if (g->mux == NULL)
		return bb_err_set(err, -ENOMEM, "stream: out of memory");
	if (bb_fd_set_nonblock(stream_fd, 1) < 0 || bb_fd_set_cloexec(stream_fd, 1) < 0)
		return bb_err_errno(err, "stream");
	r = poll_add(&g->loop, &g->stream, stream_fd, POLL_READ);
	if (r == 0)
		r = poll_add(&g->loop, &g->signals, g->signal_fd, POLL_READ);
	if (r < 0)
		return bb_err_set(err, r, "stream: %s", bb_err_name(r));
	return 0;
}

static void guest_done(struct guest *g)
{
	net_free(g);
	relay_free_all(&g->forwards, &g->forward_count);
	copy_free_all(g);
	session_free_all(g);
	probe_free(g);
	lifecycle_free(g->lifecycle);
	mux_free(g->mux);
	provision_done(&g->provision);
	poll_done(&g->loop);
}

/* Out of a machine that goes on. Somebody else carries the stream: the last bytes are through when
 * the host has closed its side. Nothing of the bottle outlives its stream. */
static void guest_leave(struct guest *g)
{
	uint64_t deadline = bb_clock_ms() + GUEST_LINGER_MS;
	uint8_t dropped[512];

	while (g->failure.code == 0 && bb_clock_left_ms(deadline) > 0) {
		struct pollfd p = { .fd = g->stream_fd, .events = POLLIN };

		if (poll(&p, 1, bb_clock_left_ms(deadline)) > 0 &&
		    read(g->stream_fd, dropped, sizeof(dropped)) <= 0)
			break;
	}
	if (getpid() != 1)
		tree_signal(SIGKILL);
}

int guest_run(struct guest *g)
{
	while (!g->loop.is_stopped) {
		int r = poll_turn(&g->loop, -1);

		if (r < 0) {
			struct bb_err err = { 0 };

			(void)bb_err_set(&err, r, "event loop: %s", bb_err_name(r));
			guest_stop(g, &err);
		}
		guest_send(g);
	}
	if (g->failure.code == 0) {
		/* A port that does not block returns before the machine's other side has taken the
		 * bytes; the reboot that follows would lose them. */
		if (guest_traits(g)->is_drained)
			(void)bb_fd_set_nonblock(g->stream_fd, 0);
		guest_flush(g, 2000);
	}
	if (guest_traits(g)->is_workload)
		guest_leave(g);
	guest_done(g);
	return g->failure.code;
}

int guest_user(const struct guest *g, struct bb_view name, struct guest_user *ret,
	       struct bb_err *err)
{
	bool is_root = bb_view_eq_str(name, "root");
	bool may_switch = guest_traits(g)->may_switch && getuid() == 0;

	if (!is_root && name.n > 0 && !bb_view_eq_str(name, "node"))
		return bb_err_set(err, -EINVAL, "user '%s' is not known, only node and root",
				  BB_ESCAPED(name));
	if (is_root && getuid() != 0)
		return bb_err_set(err, -EPERM, "this bottle has no root, only node");
	if (is_root)
		*ret = (struct guest_user){ "root", "/root", 0, 0, may_switch };
	else
		*ret = (struct guest_user){ "node", "/home/node", 1000, 1000, may_switch };
	return 0;
}

int guest_user_become(const struct guest_user *u)
{
	if (setgroups(0, NULL) < 0 || setgid(u->gid) < 0 || setuid(u->uid) < 0)
		return -errno;
	return 0;
}
