/*
 * The stub answers A and AAAA of every valid name with its synthetic address, everything else with
 * "no such data". It is wildcard-bound because programs may ask any server (8.8.8.8 built in), and
 * the answer must come from the address that was asked.
 */
#include "guest/dnsd.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "base/num.h"
#include "guest/dns.h"
#include "guest/listen.h"

#define DNSD_PORT        53
#define DNSD_QUERY_MAX   1024
#define DNSD_TURN        32    /* datagrams or connections before the others get their turn */
#define DNSD_TCP_IDLE_MS 10000 /* a connection that says nothing is closed */

struct dnsd_conn {
	struct dnsd *dnsd;
	struct poll_watch watch; /* fd -1: free */
	struct poll_timer idle;
	size_t size;
	uint8_t query[2 + DNSD_QUERY_MAX];
};

struct dnsd {
	struct guest *guest;
	struct names *names;
	dnsd_told_cb *told;
	void *told_arg;
	struct poll_watch udp[2], tcp[2]; /* v4, v6 */
	struct dnsd_conn conns[LIMIT_GUEST_DNS_TCP];
};

static bool dnsd_is_localhost(const char *name)
{
	size_t n = strlen(name);

	return strcmp(name, "localhost") == 0 ||
	       (n > 10 && strcmp(name + n - 10, ".localhost") == 0);
}

/* 0 bytes: no answer at all. */
static size_t dnsd_respond(struct dnsd *d, struct bb_view packet, uint8_t *dst)
{
	static const uint8_t local4[4] = { 127, 0, 0, 1 }, local6[16] = { [15] = 1 };
	uint8_t address[16];
	struct dns_query q;
	int rcode = dns_parse(packet, &q), family;
	size_t size;
	uint32_t number;

	if (rcode < 0)
		return 0;
	if (rcode != DNS_NOERROR || q.name[0] == '\0' || (q.type != DNS_A && q.type != DNS_AAAA))
		return dns_answer(packet, &q, rcode, NULL, 0, dst);
	family = q.type == DNS_A ? AF_INET : AF_INET6;
	size = q.type == DNS_A ? 4 : 16;
	if (dnsd_is_localhost(q.name))
		return dns_answer(packet, &q, rcode, size == 4 ? local4 : local6, size, dst);
	number = names_assign(d->names, q.name);
	d->told(d->told_arg, number, family);
	names_address(number, family, address);
	return dns_answer(packet, &q, rcode, address, size, dst);
}

/* The control data of the query says which address was asked; the same data in the answer makes
 * that the source. */
static void dnsd_fix_source(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			info.ipi_spec_dst = info.ipi_addr;
			info.ipi_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			info.ipi6_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		}
	}
}

/* False: nothing more to read. */
static bool dnsd_datagram(struct dnsd *d, int fd)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	uint8_t query[DNSD_QUERY_MAX], answer[DNS_ANSWER_MAX];
	struct sockaddr_storage from;
	struct iovec io = { .iov_base = query, .iov_len = sizeof(query) };
	struct msghdr m = { .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &io,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	size_t size;

	if (n < 0)
		return errno !=
		       EAGAIN; /* else an ICMP error of an earlier answer: it is read now */
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		return true;
	size = dnsd_respond(d, bb_view_of(query, (size_t)n), answer);
	if (size == 0)
		return true;
	dnsd_fix_source(&m);
	m.msg_flags = 0;
	io = (struct iovec){ .iov_base = answer, .iov_len = size };
	(void)sendmsg(fd, &m, MSG_DONTWAIT); /* a lost answer is asked for again */
	return true;
}

static void dnsd_on_udp(struct dnsd *d, int fd)
{
	for (int i = 0; i < DNSD_TURN; i++)
		if (!dnsd_datagram(d, fd))
			return;
}

static void dnsd_on_udp4(void *arg, int events)
{
	struct dnsd *d = arg;

	(void)events; /* recvmsg() says what it is */
	dnsd_on_udp(d, d->udp[0].fd);
}

static void dnsd_on_udp6(void *arg, int events)
{
	struct dnsd *d = arg;

	(void)events; /* as above */
	dnsd_on_udp(d, d->udp[1].fd);
}

static void dnsd_close(struct dnsd_conn *c)
{
	int fd = c->watch.fd;

	poll_timer_stop(&c->dnsd->guest->loop, &c->idle);
	poll_del(&c->dnsd->guest->loop, &c->watch);
	(void)close(fd); /* nothing more is said */
	c->size = 0;
}

static void dnsd_on_idle(void *arg)
{
	dnsd_close(arg);
}

/* One whole query is there. An answer is far smaller than a socket's buffer: if it does not fit,
 * the client does not read. False: closed. */
static bool dnsd_answer_conn(struct dnsd_conn *c, size_t n)
{
	uint8_t answer[2 + DNS_ANSWER_MAX];
	size_t size = dnsd_respond(c->dnsd, bb_view_of(c->query + 2, n), answer + 2);

	bb_put_be16(answer, (uint16_t)size);
	if (size == 0 || write(c->watch.fd, answer, 2 + size) != (ssize_t)(2 + size)) {
		dnsd_close(c);
		return false;
	}
	c->size -= 2 + n;
	memmove(c->query, c->query + 2 + n, c->size);
	return true;
}

static void dnsd_on_conn(void *arg, int events)
{
	struct dnsd_conn *c = arg;
	ssize_t n = read(c->watch.fd, c->query + c->size, sizeof(c->query) - c->size);

	(void)events; /* read() says what it is */
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		dnsd_close(c);
		return;
	}
	c->size += (size_t)n;
	while (c->size >= 2) {
		size_t want = bb_be16(c->query);

		if (want > DNSD_QUERY_MAX) {
			dnsd_close(c);
			return;
		}
		if (c->size < 2 + want)
			break;
		if (!dnsd_answer_conn(c, want))
			return;
	}
	poll_timer_set(&c->dnsd->guest->loop, &c->idle, DNSD_TCP_IDLE_MS);
}

static void dnsd_on_accept(struct dnsd *d, int listener)
{
	for (int i = 0; i < DNSD_TURN; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct dnsd_conn *c = NULL;

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				listen_shed(listener);
			return;
		}
		for (size_t k = 0; k < BB_ARRAY_LEN(d->conns) && c == NULL; k++)
			if (d->conns[k].watch.fd < 0)
				c = &d->conns[k];
		if (c == NULL || poll_add(&d->guest->loop, &c->watch, fd, POLL_READ) < 0) {
			(void)close(fd); /* too many at a time */
			continue;
		}
		poll_timer_set(&d->guest->loop, &c->idle, DNSD_TCP_IDLE_MS);
	}
}

static void dnsd_on_tcp4(void *arg, int events)
{
	struct dnsd *d = arg;

	(void)events; /* connections only */
	dnsd_on_accept(d, d->tcp[0].fd);
}

static void dnsd_on_tcp6(void *arg, int events)
{
	struct dnsd *d = arg;

	(void)events; /* as above */
	dnsd_on_accept(d, d->tcp[1].fd);
}

static int dnsd_watch(struct dnsd *d, struct poll_watch *w, int family, int type,
		      struct bb_err *err)
{
	uint8_t any[16] = { 0 };
	int fd = listen_open(&(struct listen_plan){
		.family = family, .type = type, .address = any, .port = DNSD_PORT });
	int r;

	if (fd == -EAFNOSUPPORT && family == AF_INET6)
		return 0;
	if (fd < 0)
		return bb_err_set(err, fd, "port %d (%s): %s", DNSD_PORT,
				  type == SOCK_DGRAM ? "UDP" : "TCP", bb_err_name(fd));
	r = poll_add(&d->guest->loop, w, fd, POLL_READ);
	if (r < 0) {
		(void)close(fd); /* never used */
		return bb_err_set(err, r, "port %d: %s", DNSD_PORT, bb_err_name(r));
	}
	return 0;
}

int dnsd_start(struct guest *g, struct names *names, dnsd_told_cb *told, void *arg,
	       struct dnsd **ret, struct bb_err *err)
{
	static void (*const callbacks[4])(void *, int) = { dnsd_on_udp4, dnsd_on_udp6, dnsd_on_tcp4,
							   dnsd_on_tcp6 };
	struct dnsd *d = calloc(1, sizeof(*d));
	int r = 0;

	if (d == NULL)
		return bb_err_set(err, -ENOMEM, "DNS stub: out of memory");
	d->guest = g;
	d->names = names;
	d->told = told;
	d->told_arg = arg;
	for (size_t i = 0; i < BB_ARRAY_LEN(d->conns); i++) {
		d->conns[i].dnsd = d;
		d->conns[i].watch =
			(struct poll_watch){ .fd = -1, .cb = dnsd_on_conn, .arg = &d->conns[i] };
		d->conns[i].idle = (struct poll_timer){ .cb = dnsd_on_idle, .arg = &d->conns[i] };
	}
	for (size_t i = 0; i < 4; i++) {
		struct poll_watch *w = i < 2 ? &d->udp[i] : &d->tcp[i - 2];

		*w = (struct poll_watch){ .fd = -1, .cb = callbacks[i], .arg = d };
	}
	for (size_t i = 0; i < 4 && r == 0; i++)
		r = dnsd_watch(d, i < 2 ? &d->udp[i] : &d->tcp[i - 2],
			       i % 2 == 0 ? AF_INET : AF_INET6, i < 2 ? SOCK_DGRAM : SOCK_STREAM,
			       err);
	if (r < 0) {
		dnsd_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void dnsd_free(struct dnsd *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < BB_ARRAY_LEN(d->conns); i++)
		if (d->conns[i].watch.fd >= 0)
			dnsd_close(&d->conns[i]);
	for (size_t i = 0; i < 4; i++) {
		struct poll_watch *w = i < 2 ? &d->udp[i] : &d->tcp[i - 2];
		int fd = w->fd;

		poll_del(&d->guest->loop, w);
		if (fd >= 0)
			(void)close(fd); /* was only read */
	}
	free(d);
}
