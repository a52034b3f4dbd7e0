/*
 * The stream of a bottle whose machine is smolvm's: a Unix socket that smolvm mounts into the
 * machine, or, on the versions that have no such thing, one TCP connection to the bundle.
 *
 * The credential comes over standard input, not as an argument or a variable: those two are shown
 * by ps on the host. It opens one listener, once, and is wiped here when it is sent.
 */
#include "guest/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"

#define STREAM_WAIT_MS      20000 /* the machine's side of a mounted socket may come after us */
#define STREAM_STEP_MS      20    /* doubled after each attempt, up to: */
#define STREAM_STEP_MAX_MS  500
#define STREAM_SEND_SECONDS 10

static bool stream_take_word(struct bb_view *rest, struct bb_view *ret)
{
	const uint8_t *space = rest->n == 0 ? NULL : memchr(rest->p, ' ', rest->n);
	size_t n = space == NULL ? rest->n : (size_t)(space - rest->p);

	*ret = bb_view_of(rest->p, n);
	rest->p += n + (space != NULL);
	rest->n -= n + (space != NULL);
	return n > 0;
}

static int stream_hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool stream_parse_credential(struct bb_view hex, uint8_t *ret)
{
	if (hex.n != 2 * STREAM_CREDENTIAL_SIZE)
		return false;
	for (size_t i = 0; i < STREAM_CREDENTIAL_SIZE; i++) {
		int high = stream_hex_digit(hex.p[2 * i]), low = stream_hex_digit(hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int stream_parse_line(struct bb_view line, struct stream_target *ret, struct bb_err *err)
{
	struct bb_view address, port;
	struct stream_target t = { 0 };
	char text[INET_ADDRSTRLEN];
	uint64_t number;

	if (!stream_take_word(&line, &address) || !stream_take_word(&line, &port) || line.n == 0)
		return bb_err_set(err, -EINVAL,
				  "standard input is not 'ADDRESS PORT CREDENTIAL' in one line");
	if (address.n >= sizeof(text))
		return bb_err_set(err, -EINVAL, "the address on standard input is not IPv4");
	memcpy(text, address.p, address.n);
	text[address.n] = '\0';
	if (inet_pton(AF_INET, text, t.address) != 1)
		return bb_err_set(err, -EINVAL, "the address on standard input is not IPv4");
	if (bb_num_parse_u64(port, 65535, &number) < 0 || number == 0)
		return bb_err_set(err, -EINVAL, "the port on standard input is not 1 to 65535");
	t.port = (uint16_t)number;
	if (!stream_parse_credential(line, t.credential))
		return bb_err_set(err, -EINVAL,
				  "the credential on standard input is not %d hexadecimal digits",
				  2 * STREAM_CREDENTIAL_SIZE);
	*ret = t;
	explicit_bzero(&t, sizeof(t));
	return 0;
}

/* Refused or absent means not yet, until the deadline. A socket whose connect() failed is in no
 * state to be used again, so each attempt has its own. */
static int stream_connect(const struct sockaddr *to, socklen_t size, int *ret_fd)
{
	uint64_t deadline_ms = bb_clock_ms() + STREAM_WAIT_MS;
	unsigned step_ms = STREAM_STEP_MS;

	for (;;) {
		BB_AUTO_CLOSE int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct timespec step = { .tv_nsec = (long)step_ms * 1000000 };
		int r;

		if (fd < 0)
			return -errno;
		if (connect(fd, to, size) == 0) {
			*ret_fd = bb_take_fd(&fd);
			return 0;
		}
		r = -errno;
		if ((r != -ENOENT && r != -ECONNREFUSED && r != -EINTR && r != -EAGAIN) ||
		    bb_clock_left_ms(deadline_ms) == 0)
			return r;
		(void)nanosleep(&step, NULL); /* nothing tells when a socket will be there */
		step_ms = step_ms * 2 < STREAM_STEP_MAX_MS ? step_ms * 2 : STREAM_STEP_MAX_MS;
	}
}

int stream_open_socket(const char *path, int *ret_fd, struct bb_err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int r;

	if (strlen(path) >= sizeof(a.sun_path))
		return bb_err_set(err, -ENAMETOOLONG, "socket '%s': the path is longer than %zu",
				  path, sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	r = stream_connect((struct sockaddr *)&a, sizeof(a), ret_fd);
	if (r < 0)
		return bb_err_set(err, r, "socket '%s': %s", path, bb_err_name(r));
	return 0;
}

static int stream_read_line(int fd, char *line, size_t *ret_size, struct bb_err *err)
{
	size_t n = 0;

	/* By the byte: what may follow the line is not ours to take. */
	while (n < STREAM_LINE_MAX) {
		ssize_t r = read(fd, line + n, 1);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return bb_err_errno(err, "standard input");
		if (r == 0)
			return bb_err_set(err, -ENODATA, "standard input ends before its line");
		if (line[n] == '\n') {
			*ret_size = n;
			return 0;
		}
		n++;
	}
	return bb_err_set(err, -EMSGSIZE, "the line on standard input is longer than %d bytes",
			  STREAM_LINE_MAX);
}

static int stream_call(const struct stream_target *t, int *ret_fd, struct bb_err *err)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(t->port) };
	const struct timeval limit = { .tv_sec = STREAM_SEND_SECONDS };
	BB_AUTO_CLOSE int fd = -1;
	const int on = 1;
	int r;

	memcpy(&a.sin_addr, t->address, sizeof(t->address));
	r = stream_connect((struct sockaddr *)&a, sizeof(a), &fd);
	if (r < 0)
		return bb_err_set(err, r, "the bundle at port %u: %s", t->port, bb_err_name(r));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* comfort */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));      /* comfort */
	r = bb_fd_write_all(fd, t->credential, sizeof(t->credential));
	if (r < 0)
		return bb_err_set(err, r, "the bundle at port %u: %s", t->port, bb_err_name(r));
	*ret_fd = bb_take_fd(&fd);
	return 0;
}

int stream_open_tcp(int in_fd, int *ret_fd, struct bb_err *err)
{
	struct stream_target target = { 0 };
	char line[STREAM_LINE_MAX];
	size_t size = 0;
	int r;

	r = stream_read_line(in_fd, line, &size, err);
	if (r == 0)
		r = stream_parse_line(bb_view_of(line, size), &target, err);
	explicit_bzero(line, sizeof(line));
	if (r == 0)
		r = stream_call(&target, ret_fd, err);
	explicit_bzero(&target, sizeof(target));
	return r;
}
