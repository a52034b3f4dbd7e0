/* Making listeners. */
#include "guest/listen.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/relay.h"

#define LISTEN_BACKLOG 256

/* A descriptor to give up when there is no other. */
static int listen_spare = -1;

static int listen_options(int fd, const struct listen_plan *plan)
{
	const int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (plan->family == AF_INET) {
		/* Synthetic addresses are local by a route, not on an interface. */
		if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0)
			return -errno;
		if (plan->type == SOCK_DGRAM &&
		    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
			return -errno;
		return 0;
	}
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) < 0)
		return -errno;
	if (plan->type == SOCK_DGRAM &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

int listen_open(const struct listen_plan *plan)
{
	BB_AUTO_CLOSE int fd = socket(plan->family, plan->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { 0 };
	socklen_t size;
	int r;

	if (fd < 0)
		return -errno;
	r = listen_options(fd, plan);
	if (r < 0)
		return r;
	if (plan->family == AF_INET) {
		a.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(plan->port) };
		memcpy(&a.v4.sin_addr, plan->address, 4);
		size = sizeof(a.v4);
	} else {
		a.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = htons(plan->port) };
		memcpy(&a.v6.sin6_addr, plan->address, 16);
		size = sizeof(a.v6);
	}
	if (bind(fd, &a.any, size) < 0)
		return -errno;
	if (plan->type == SOCK_STREAM && listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	if (listen_spare < 0)
		listen_spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return bb_take_fd(&fd);
}

void listen_shed(int listener)
{
	int fd;

	if (listen_spare < 0)
		return;
	(void)close(listen_spare); /* its number is what is wanted */
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		relay_refuse(fd);
	listen_spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}
