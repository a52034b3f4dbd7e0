/*
 * How fast the one stream is: bytes from a guest's process through the real bot-bottle-channel to a
 * host process and back, against the least that any such design needs, a process that copies
 * between two sockets. Samples of both alternate, so that a busy machine slows both; each sample
 * has processes of its own, started before the clock.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"
#include "mux/proto.h"
#include "stream.h"

#define SAMPLES  5
#define GOAL     0.4
#define PATIENCE 20000 /* ms for a step of a sample */
#define CHILDREN 4

static const char *programs;

noreturn void bench_die(const char *what)
{
	(void)fprintf(stderr, "bench-stream: %s\n", what);
	_exit(1);
}

void bench_pair(int type, int ret_fds[2])
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret_fds) < 0)
		bench_die("socketpair");
}

struct crew {
	pid_t pids[CHILDREN];
	size_t count;
};

static void hire(struct crew *c, pid_t pid)
{
	if (pid < 0)
		bench_die("fork");
	c->pids[c->count++] = pid;
}

static void dismiss(struct crew *c)
{
	for (size_t i = 0; i < c->count; i++) {
		(void)kill(c->pids[i], SIGKILL); /* our own child, not yet waited for */
		(void)waitpid(c->pids[i], NULL, 0);
	}
	c->count = 0;
}

static double rate(uint64_t started_us)
{
	return (double)BENCH_BYTES / (double)(bb_clock_us() - started_us);
}

/* MB/s of source -> copier -> sink. */
static double plain(void)
{
	struct crew crew = { 0 };
	int go[2], a[2], b[2];
	uint64_t started;
	double result;

	bench_pair(SOCK_STREAM, go);
	bench_pair(SOCK_STREAM, a);
	bench_pair(SOCK_STREAM, b);
	hire(&crew, bench_source(a[0], go[1]));
	hire(&crew, bench_copier(a[1], b[0]));
	started = bb_clock_us();
	(void)bb_fd_write_all(go[0], "g", 1);
	bench_sink(b[1]);
	result = rate(started);
	dismiss(&crew);
	for (int i = 0; i < 2; i++) {
		(void)close(go[i]);
		(void)close(a[i]);
		(void)close(b[i]);
	}
	return result;
}

static pid_t start_channel(int link)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/bot-bottle-channel", programs);
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (path != NULL && dup2(link, IPC_ROLE_FD) == IPC_ROLE_FD &&
	    (link != IPC_ROLE_FD || bb_fd_set_cloexec(link, 0) == 0))
		(void)execl(path, "bot-bottle-channel", (char *)NULL);
	bench_die("cannot start bot-bottle-channel");
}

static void tell(int link, uint16_t type, const struct bb_buf *body, const int *fds, int count)
{
	struct bb_view v = body == NULL ? bb_view_of(NULL, 0) : bb_buf_peek(body);

	if (ipc_send(link, type, 0, v, fds, count) < 0)
		bench_die("the channel does not listen");
}

/* Gives the channel what its monitor would. */
static void set_up(int link, int stream_fd, int service_fd)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };

	bb_buf_init(&body, 64);
	(void)bb_tlv_put_u64(&body, 1, PATIENCE);
	tell(link, IPC_CHANNEL_SETUP, &body, &stream_fd, 1);
	bb_buf_reset(&body);
	(void)bb_tlv_put_u32(&body, 1, PROTO_EGRESS);
	tell(link, IPC_CHANNEL_SERVICE, &body, &service_fd, 1);
	tell(link, IPC_SETUP_DONE, NULL, NULL, 0);
}

/* The host's end of the guest's stream, as egress gets it. */
static int take_stream(int service)
{
	static uint8_t buffer[LIMIT_IPC_BODY];
	struct ipc_message m;
	struct bb_err err = { 0 };
	int fd;

	if (ipc_receive_wait(service, buffer, PATIENCE, &m, &err) <= 0 || m.type != IPC_STREAM)
		bench_die("the guest's stream does not arrive");
	fd = ipc_message_take_fd(&m, 0);
	ipc_message_done(&m);
	if (fd < 0 || bb_fd_set_nonblock(fd, 0) < 0)
		bench_die("the guest's stream is no descriptor");
	return fd;
}

/* The next message to the monitor, which is that the stream is lost or, at last, the end. */
noreturn static void die_of_channel(int monitor)
{
	static uint8_t buffer[LIMIT_IPC_BODY];
	struct ipc_message m;
	struct bb_err err = { 0 };

	while (ipc_receive_wait(monitor, buffer, 0, &m, &err) > 0)
		if (m.type == IPC_CHANNEL_LOST && m.body.n > BB_TLV_HEADER)
			(void)fprintf(stderr, "bench-stream: %.*s\n", (int)m.body.n - BB_TLV_HEADER,
				      (const char *)m.body.p + BB_TLV_HEADER);
	bench_die("the channel gave up");
}

/* Waits for the guest's word that it has all. */
static void await_done(int done, int monitor)
{
	struct pollfd p = { .fd = done, .events = POLLIN };
	char c;

	if (poll(&p, 1, PATIENCE) <= 0 || bb_fd_read_full(done, &c, 1) < 0)
		die_of_channel(monitor);
}

/* MB/s of guest -> channel -> host, or the other way. */
static double through_channel(enum bench_way way)
{
	struct crew crew = { 0 };
	int go[2], done[2], stream[2], monitor[2], service[2];
	uint64_t started;
	double result;
	int fd;

	bench_pair(SOCK_STREAM, go);
	bench_pair(SOCK_STREAM, done);
	bench_pair(SOCK_STREAM, stream);
	if (ipc_pair(monitor) < 0 || ipc_pair(service) < 0)
		bench_die("socketpair");
	hire(&crew, start_channel(monitor[1]));
	hire(&crew, bench_guest(stream[1], way, go[1], done[1]));
	set_up(monitor[0], stream[0], service[1]);
	(void)close(stream[0]);
	(void)close(stream[1]);
	fd = take_stream(service[0]);
	if (way == BENCH_TO_GUEST)
		hire(&crew, bench_source(fd, go[1]));
	started = bb_clock_us();
	(void)bb_fd_write_all(go[0], "g", 1);
	if (way == BENCH_TO_HOST)
		bench_sink(fd);
	else
		await_done(done[0], monitor[0]);
	result = rate(started);
	dismiss(&crew);
	(void)close(fd);
	for (int i = 0; i < 2; i++) {
		(void)close(go[i]);
		(void)close(done[i]);
		(void)close(monitor[i]);
		(void)close(service[i]);
	}
	return result;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values)
{
	qsort(values, SAMPLES, sizeof(*values), by_size);
	return values[SAMPLES / 2];
}

static void report(const char *name, double *values, double *baselines)
{
	double value = median(values), baseline = median(baselines);
	double ratio = value / baseline;

	printf("{\"name\": \"%s\", \"unit\": \"MB/s\", \"value\": %.1f, \"baseline\": %.1f, "
	       "\"ratio\": %.3f, \"goal\": \">= %.1f\", \"ok\": %s, \"samples\": %d, "
	       "\"spread\": %.1f}\n",
	       name, value, baseline, ratio, GOAL, ratio >= GOAL ? "true" : "false", SAMPLES,
	       values[SAMPLES - 1] - values[0]);
	(void)fflush(stdout);
}

static void measure(const char *name, enum bench_way way)
{
	double values[SAMPLES], baselines[SAMPLES];

	(void)plain(); /* warms the caches and the clock of the processor */
	for (int i = 0; i < SAMPLES; i++) {
		baselines[i] = plain();
		values[i] = through_channel(way);
	}
	report(name, values, baselines);
}

int main(void)
{
	BB_AUTO_FREE char *beside = NULL;
	const char *build = getenv("BB_BUILD");

	(void)signal(SIGPIPE, SIG_IGN);
	beside = bb_text_printf("%s/src", build != NULL ? build : "build");
	programs = getenv("BB_BIN") != NULL ? getenv("BB_BIN") : beside;
	if (programs == NULL)
		bench_die("no memory");

	measure("stream.to_host", BENCH_TO_HOST);
	measure("stream.to_guest", BENCH_TO_GUEST);
	return 0;
}
