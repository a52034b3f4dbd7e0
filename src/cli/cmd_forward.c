/*
 * `bot-bottle forward`: a server of the guest on this host's loopback, as long as the command runs.
 * Each connection is a FORWARD stream of its own. Bytes are passed on as they are; a side that does
 * not read stops the other.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/text.h"
#include "base/tlv.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/json.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "ipc/messages.h"

#define BUFFER 65536
#define FIXED  3 /* descriptors beside those of the connections */

static const struct cli_option options[] = {
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "print one line for programs, once it listens" },
};
static const struct cli_field fields[] = {
	{ "id", "the bottle" },
	{ "port", "the port in the guest" },
	{ "address", "where it listens on this host: always 127.0.0.1" },
	{ "listen_port", "and on which port" },
};
static const struct cli_example examples[] = {
	{ "bot-bottle forward implementer-3k9x2 3000", "http://127.0.0.1:3000 is the guest's" },
	{ "bot-bottle forward implementer-3k9x2 3000 0", "on any free port, which is printed" },
};

/* Ports on which bottle-init itself listens in a guest. */
static const uint16_t own_ports[] = { 53, 80, 443, 9099 };

/* One direction. */
struct way {
	struct bb_buf bytes;
	bool has_eof; /* its source gives no more */
	bool is_told; /* and its sink was told */
};

struct connection {
	int fds[2];         /* ours on the loopback, the guest's stream */
	struct way ways[2]; /* from fds[0], from fds[1] */
};

struct forward {
	struct cli_control *control;
	uint16_t port;
	int listener;
	struct connection *connections[LIMIT_FORWARD_CONNECTIONS];
	size_t count;
	bool is_over;
};

/* is_reset: whoever is connected sees that it was cut. */
static void connection_free(struct connection *c, bool is_reset)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (is_reset)
		(void)setsockopt(c->fds[0], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	for (int i = 0; i < 2; i++) {
		(void)close(c->fds[i]);
		bb_buf_done(&c->ways[i].bytes);
	}
	free(c);
}

static void drop(struct forward *f, size_t index, bool is_reset)
{
	connection_free(f->connections[index], is_reset);
	f->connections[index] = f->connections[--f->count];
}

/* Takes fd. */
static int add(struct forward *f, int fd, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	struct connection *c = calloc(1, sizeof(*c));
	int stream = -1, r = -ENOMEM;

	bb_buf_init(&body, 64);
	if (c != NULL && bb_tlv_put_u32(&body, PROTO_FORWARD_PORT, f->port) == 0)
		r = cli_control_open(f->control, PROTO_FORWARD, bb_buf_peek(&body),
				     bb_view_of(NULL, 0), &stream, err);
	if (r < 0) {
		free(c);
		(void)close(fd);
		return r;
	}
	(void)bb_fd_set_nonblock(fd, 1);
	(void)bb_fd_set_nonblock(stream, 1);
	c->fds[0] = fd;
	c->fds[1] = stream;
	for (int i = 0; i < 2; i++)
		bb_buf_init(&c->ways[i].bytes, BUFFER);
	f->connections[f->count++] = c;
	return 0;
}

/* What matters now at one end: room for what it says, bytes for it. */
static short events_of(const struct connection *c, int end)
{
	const struct way *out = &c->ways[end], *in = &c->ways[1 - end];

	return (short)((!out->has_eof && bb_buf_room(&out->bytes) > 0 ? POLLIN : 0) |
		       (bb_buf_size(&in->bytes) > 0 ? POLLOUT : 0));
}

/* One way, as far as it goes now. Negative: the connection is broken. */
static int pump(struct way *w, int from, int to)
{
	ssize_t n = 1;

	while (!w->has_eof && bb_buf_room(&w->bytes) > 0 && n > 0) {
		n = bb_fd_read_some(from, &w->bytes, BUFFER);
		if (n < 0 && n != -EAGAIN)
			return -1;
		w->has_eof = n == 0;
	}
	while (bb_buf_size(&w->bytes) > 0) {
		n = bb_fd_write_some(to, &w->bytes);
		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return -1;
	}
	if (w->has_eof && !w->is_told) {
		w->is_told = true;
		(void)shutdown(to, SHUT_WR); /* one that is gone is seen by reading */
	}
	return 0;
}

/* False: the connection is over. */
static bool serve(struct connection *c, bool *ret_reset)
{
	*ret_reset = pump(&c->ways[0], c->fds[0], c->fds[1]) < 0 ||
		     pump(&c->ways[1], c->fds[1], c->fds[0]) < 0;
	return !*ret_reset && !(c->ways[0].is_told && c->ways[1].is_told);
}

static int take_connection(struct forward *f, struct bb_err *err)
{
	struct bb_err why = { 0 };
	int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED
			       ? 0
			       : bb_err_errno(err, "cannot take a connection");
	r = add(f, fd, &why);
	if (r == BB_E_PART) {
		*err = why;
		return r;
	}
	if (r < 0)
		cli_out_note("a connection was closed: %s", why.msg);
	return 0;
}

static void take_control(struct forward *f)
{
	struct bb_err ignored = { 0 };

	(void)cli_control_take(f->control, &ignored); /* its end is the end */
	f->is_over = f->control->fd < 0 || f->control->has_ended;
}

/* A hang-up is told although nobody asks; a descriptor with nothing to do is left out then. */
static short fill(struct forward *f, struct pollfd *polls)
{
	nfds_t n = FIXED;

	polls[0] = (struct pollfd){ .fd = f->control->fd, .events = POLLIN };
	polls[1] = (struct pollfd){ .fd = cli_signals_fd(), .events = POLLIN };
	polls[2] = (struct pollfd){ .fd = f->count < LIMIT_FORWARD_CONNECTIONS ? f->listener : -1,
				    .events = POLLIN };
	for (size_t i = 0; i < f->count; i++)
		for (int end = 0; end < 2; end++, n++) {
			short events = events_of(f->connections[i], end);

			polls[n] = (struct pollfd){
				.fd = events != 0 ? f->connections[i]->fds[end] : -1,
				.events = events,
			};
		}
	return (short)n;
}

static int step(struct forward *f, struct bb_err *err)
{
	struct pollfd polls[FIXED + 2 * LIMIT_FORWARD_CONNECTIONS];
	nfds_t n = (nfds_t)fill(f, polls);
	int sig;

	if (poll(polls, n, -1) < 0)
		return errno == EINTR ? 0 : bb_err_errno(err, "cannot wait");
	sig = polls[1].revents != 0 ? cli_signals_next() : 0;
	if (sig != 0 && sig != SIGWINCH) {
		f->is_over = true;
		return 0;
	}
	/* From the last: one that is dropped changes places with one that was served. */
	for (size_t i = f->count; i-- > 0;) {
		bool is_reset = false;

		if ((polls[FIXED + 2 * i].revents | polls[FIXED + 2 * i + 1].revents) != 0 &&
		    !serve(f->connections[i], &is_reset))
			drop(f, i, is_reset);
	}
	if (polls[0].revents != 0)
		take_control(f);
	return polls[2].revents != 0 && !f->is_over ? take_connection(f, err) : 0;
}

static int listen_on(uint16_t *port, int *ret, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(*port),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(a);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return bb_err_errno(err, "cannot make a socket");
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		return bb_err_set(err, -errno,
				  "cannot listen on 127.0.0.1:%u: %s; name another port, or 0 for "
				  "any: bot-bottle forward ID PORT LISTEN_PORT",
				  *port, bb_err_name(-errno));
	*port = ntohs(a.sin_port);
	*ret = bb_take_fd(&fd);
	return 0;
}

static int read_port(const char *word, bool may_be_zero, uint16_t *ret, struct bb_err *err)
{
	uint64_t port;

	if (bb_num_parse_u64(bb_view_str(word), 65535, &port) < 0 || (port == 0 && !may_be_zero))
		return bb_err_set(err, BB_E_USAGE, "'%s' is not a port; it is 1 to 65535",
				  BB_ESCAPED(bb_view_str(word)));
	*ret = (uint16_t)port;
	return 0;
}

static int read_ports(const struct cli_args *args, struct forward *f, uint16_t *ret_listen,
		      struct bb_err *err)
{
	int r = read_port(args->operands[1], false, &f->port, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < BB_ARRAY_LEN(own_ports); i++)
		if (own_ports[i] == f->port)
			return bb_err_set(err, BB_E_USAGE,
					  "port %u of a guest is bot-bottle's own; let the guest's "
					  "server listen on another",
					  f->port);
	*ret_listen = f->port;
	return args->operand_count < 3 ? 0 : read_port(args->operands[2], true, ret_listen, err);
}

static void tell(const struct cli_args *args, const char *identity, uint16_t port, uint16_t listen)
{
	struct cli_json j = { 0 };

	if (!cli_args_has(args, "json")) {
		cli_out_note("http://127.0.0.1:%u is port %u of '%s'; Ctrl-C ends this", listen,
			     port, identity);
		return;
	}
	cli_json_begin(&j, '{');
	cli_json_str(&j, "id", identity);
	cli_json_num(&j, "port", port);
	cli_json_str(&j, "address", "127.0.0.1");
	cli_json_num(&j, "listen_port", listen);
	cli_json_end(&j, '}');
	(void)fflush(stdout);
}

static int run_forward(const struct cli_args *args)
{
	BB_AUTO(cli_control) struct cli_control *control = NULL;
	BB_AUTO_FREE char *identity = NULL;
	BB_AUTO_CLOSE int listener = -1;
	static struct forward f;
	struct bb_err err = { 0 };
	uint16_t listen_port = 0;
	int r = read_ports(args, &f, &listen_port, &err);

	(void)signal(SIGPIPE, SIG_IGN);
	if (r == 0) {
		identity = cli_control_resolve(args->operands[0], &err);
		r = identity == NULL ? err.code : 0;
	}
	if (r == 0)
		r = cli_signals_open(&err);
	if (r == 0)
		r = cli_control_connect(identity, &control, &err);
	if (r == 0)
		r = cli_control_tell(control, IPC_CONTROL_WATCH, &err);
	if (r == 0)
		r = listen_on(&listen_port, &listener, &err);
	if (r == 0)
		tell(args, identity, f.port, listen_port);
	f.control = control;
	f.listener = listener;
	while (r == 0 && !f.is_over)
		r = step(&f, &err);
	while (f.count > 0)
		drop(&f, f.count - 1, true);
	if (r == 0 && control->has_ended)
		cli_out_note("the bottle ended: %s", control->reason);
	return r < 0 ? cli_out_fail(&err) : 0;
}

const struct cli_command cli_forward = {
	.name = "forward",
	.operands = "ID PORT [LISTEN_PORT]",
	.summary = "Show a guest's own server on this host's loopback",
	.about = "Connections to 127.0.0.1:LISTEN_PORT (default: PORT; 0: any free one) on this "
		 "host "
		 "go to PORT of\nthe guest's own loopback, until Ctrl-C or the bottle's end. "
		 "Nothing "
		 "else of the guest is\npublished, and only this host can connect; but every user "
		 "of "
		 "this host can. What answers is the\nguest's: a page from it is as little to be "
		 "trusted as the guest.",
	CLI_OPTIONS(options),
	CLI_FIELDS(fields),
	CLI_EXAMPLES(examples),
	.operands_min = 2,
	.operands_max = 3,
	.word = CLI_WORD_ID,
	.run = run_forward,
};
