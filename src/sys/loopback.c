/*
 * The loopback network by raw netlink: bottle-init is static and links libc only.
 *
 * lo gets 10.0.2.15/32 and fd00::2/128 beside its own addresses, then one local route a family
 * covers every address. The routes name those addresses as preferred source: without that a
 * connection's source would be its own destination, and one from port N to port N would connect to
 * itself.
 */
#include "sys/loopback.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LOOPBACK_INDEX 1 /* always, in a fresh network namespace */
#define LOOPBACK_V4    "10.0.2.15"
#define LOOPBACK_V6    "fd00::2"

struct loopback_request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
		uint8_t room[256];
	} u;
};

static void loopback_attr(struct loopback_request *rq, uint16_t type, const void *p, size_t n)
{
	struct rtattr *a = (void *)((uint8_t *)rq + NLMSG_ALIGN(rq->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), p, n);
	rq->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(rq->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* Sends one request and reads its acknowledgement. 0 or -errno; what exists already is fine. */
static int loopback_talk(int fd, struct loopback_request *rq)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr err;
		uint8_t room[512];
	} answer;
	ssize_t n;

	rq->head.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(fd, rq, rq->head.nlmsg_len, 0) < 0)
		return -errno;
	do
		n = recv(fd, &answer, sizeof(answer), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.head) + sizeof(answer.err) ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.err.error == -EEXIST ? 0 : answer.err.error;
}

static int loopback_up(int fd, unsigned lo)
{
	struct loopback_request rq = { 0 };

	rq.head.nlmsg_type = RTM_NEWLINK;
	rq.head.nlmsg_len = NLMSG_LENGTH(sizeof(rq.u.link));
	rq.u.link.ifi_index = (int)lo;
	rq.u.link.ifi_flags = IFF_UP;
	rq.u.link.ifi_change = IFF_UP;
	return loopback_talk(fd, &rq);
}

static int loopback_address(int fd, unsigned lo, int family, const void *address, uint8_t size)
{
	struct loopback_request rq = { 0 };

	rq.head.nlmsg_type = RTM_NEWADDR;
	rq.head.nlmsg_len = NLMSG_LENGTH(sizeof(rq.u.address));
	rq.head.nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	rq.u.address.ifa_family = (uint8_t)family;
	rq.u.address.ifa_prefixlen = (uint8_t)(size * 8);
	rq.u.address.ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
	rq.u.address.ifa_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	rq.u.address.ifa_index = lo;
	loopback_attr(&rq, IFA_LOCAL, address, size);
	loopback_attr(&rq, IFA_ADDRESS, address, size);
	return loopback_talk(fd, &rq);
}

static int loopback_route(int fd, unsigned lo, int family, const void *source, uint8_t size)
{
	struct loopback_request rq = { 0 };
	uint32_t oif = lo;

	rq.head.nlmsg_type = RTM_NEWROUTE;
	rq.head.nlmsg_len = NLMSG_LENGTH(sizeof(rq.u.route));
	rq.head.nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	rq.u.route.rtm_family = (uint8_t)family;
	rq.u.route.rtm_table = RT_TABLE_LOCAL;
	rq.u.route.rtm_protocol = RTPROT_STATIC;
	rq.u.route.rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	rq.u.route.rtm_type = RTN_LOCAL;
	loopback_attr(&rq, RTA_OIF, &oif, sizeof(oif));
	loopback_attr(&rq, RTA_PREFSRC, source, size);
	return loopback_talk(fd, &rq);
}

/* A kernel without IPv6 is fine: there is then nothing to route. */
static int loopback_family(int fd, unsigned lo, int family, const char *text, struct bb_err *err)
{
	uint8_t address[16];
	uint8_t size = family == AF_INET ? 4 : 16;
	int r;

	if (inet_pton(family, text, address) != 1)
		return bb_err_set(err, -EINVAL, "address '%s'", text);
	r = loopback_address(fd, lo, family, address, size);
	if (family == AF_INET6 && (r == -EOPNOTSUPP || r == -EAFNOSUPPORT || r == -EACCES))
		return 0;
	if (r < 0)
		return bb_err_set(err, r, "loopback address '%s': %s", text, bb_err_name(r));
	r = loopback_route(fd, lo, family, address, size);
	if (r < 0)
		return bb_err_set(err, r, "local route (source '%s'): %s", text, bb_err_name(r));
	return 0;
}

int loopback_raise(struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int r;

	if (fd < 0)
		return bb_err_errno(err, "netlink socket");
	r = loopback_up(fd, LOOPBACK_INDEX);
	return r < 0 ? bb_err_set(err, r, "loopback interface: %s", bb_err_name(r)) : 0;
}

int loopback_setup(struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned lo = LOOPBACK_INDEX;
	int r;

	if (fd < 0)
		return bb_err_errno(err, "netlink socket");
	r = loopback_up(fd, lo);
	if (r < 0)
		return bb_err_set(err, r, "loopback interface: %s", bb_err_name(r));
	r = loopback_family(fd, lo, AF_INET, LOOPBACK_V4, err);
	if (r == 0)
		r = loopback_family(fd, lo, AF_INET6, LOOPBACK_V6, err);
	return r;
}
