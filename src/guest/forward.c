/*
 * One connection to the guest's own loopback, asked for by the host. Servers of today listen on
 * 127.0.0.1, on ::1 or on both: the second is tried where nothing is on the first. bottle-init's
 * own listeners are no servers of the guest: behind the proxy's port there would be egress.
 */
#include "guest/forward.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tlv.h"
#include "guest/net.h"
#include "guest/relay.h"

/* Connected, or on its way (a full backlog); non-blocking. Negative: -errno. */
static int forward_connect(const struct sockaddr *to, socklen_t size)
{
	BB_AUTO_CLOSE int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;
	socklen_t error_size = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, to, size) < 0 && errno != EINPROGRESS)
		return -errno;
	/* On a loopback the answer has come when connect() is back, but it does not say so. */
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0)
		return -errno;
	return error != 0 ? -error : bb_take_fd(&fd);
}

static int forward_open(uint16_t port)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
					 .sin6_port = htons(port),
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = forward_connect((const struct sockaddr *)&v4, sizeof(v4));

	return fd == -ECONNREFUSED ? forward_connect((const struct sockaddr *)&v6, sizeof(v6)) : fd;
}

int forward_accept(struct guest *g, struct mux_stream *s, struct bb_view fields)
{
	uint32_t port = 0;
	const struct bb_tlv_field known[] = {
		{ PROTO_FORWARD_PORT, BB_TLV_U32, .is_required = true, .out = &port },
	};
	int r = bb_tlv_read(fields, known, BB_ARRAY_LEN(known), NULL);
	int fd;

	if (r < 0)
		return r;
	if (!g->is_ready || port == 0 || port > UINT16_MAX || net_is_fixed((uint16_t)port))
		return -EPERM;
	fd = forward_open((uint16_t)port);
	return fd < 0 ? fd : relay_join(g, &g->forwards, &g->forward_count, s, fd);
}
