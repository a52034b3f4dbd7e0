/* A guest's datagrams: read once, checked, and sent from the VMM's copy of the socket. Control
 * messages (a source address at most) are not carried. */
#include <errno.h>
#include <limits.h>
#include <seccomp.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "tsi.h"

#define DATAGRAM_MAX 65536 /* above what UDP can carry: the kernel then says EMSGSIZE itself */
#define MESSAGES_MAX 1024  /* UIO_MAXIOV, the kernel's own limit of sendmmsg */

static uint8_t datagram[DATAGRAM_MAX]; /* the VMM answers one call at a time */

/* An address that is not there: the connected one, which was checked at connect(). AF_UNSPEC is
 * refused by tsi_check(), where IPv4 would take it for AF_INET. */
static int64_t send_one(const struct tsi_call *c, int fd, size_t n, int flags,
			const struct tsi_address *to)
{
	ssize_t sent;
	int r = to == NULL ? 0 : tsi_check(c, to);

	if (r < 0)
		return r;
	sent = sendto(fd, datagram, n, flags | MSG_DONTWAIT | MSG_NOSIGNAL,
		      to == NULL ? NULL : &to->u.any, to == NULL ? 0 : to->length);
	/* The queue is full: a datagram may be lost, a blocking socket must not see EAGAIN. */
	if (sent < 0)
		return errno == EAGAIN && (flags & MSG_DONTWAIT) == 0 ? -ENOBUFS : -errno;
	return sent;
}

static int64_t do_sendto(const struct tsi_call *c, int fd)
{
	struct tsi_address to = { 0 };
	int r;

	if (c->args[2] > sizeof(datagram))
		return -EMSGSIZE;
	r = tsi_read(c, c->args[1], datagram, c->args[2]);
	if (r == 0)
		r = tsi_read_address(c, c->args[4], c->args[5], &to);
	return r < 0 ? r : send_one(c, fd, c->args[2], (int)c->args[3], &to);
}

static int gather(const struct tsi_call *c, const struct msghdr *m, size_t *ret_n)
{
	size_t n = 0;

	if (m->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		struct iovec v;
		int r = tsi_read(c, (uint64_t)(uintptr_t)(m->msg_iov + i), &v, sizeof(v));

		if (r < 0)
			return r;
		if (v.iov_len > sizeof(datagram) - n)
			return -EMSGSIZE;
		r = tsi_read(c, (uint64_t)(uintptr_t)v.iov_base, datagram + n, v.iov_len);
		if (r < 0)
			return r;
		n += v.iov_len;
	}
	*ret_n = n;
	return 0;
}

static int64_t do_message(const struct tsi_call *c, int fd, const struct msghdr *m, int flags)
{
	struct tsi_address to = { 0 };
	size_t n = 0;
	int r = gather(c, m, &n);

	if (r == 0 && m->msg_name != NULL)
		r = tsi_read_address(c, (uint64_t)(uintptr_t)m->msg_name, m->msg_namelen, &to);
	return r < 0 ? r : send_one(c, fd, n, flags, m->msg_name == NULL ? NULL : &to);
}

static int64_t do_sendmsg(const struct tsi_call *c, int fd)
{
	struct msghdr m;
	int r = tsi_read(c, c->args[1], &m, sizeof(m));

	return r < 0 ? r : do_message(c, fd, &m, (int)c->args[2]);
}

static int64_t do_sendmmsg(const struct tsi_call *c, int fd)
{
	uint64_t count = c->args[2] < MESSAGES_MAX ? c->args[2] : MESSAGES_MAX;
	int64_t done = 0;

	for (; (uint64_t)done < count; done++) {
		uint64_t at = c->args[1] + (uint64_t)done * sizeof(struct mmsghdr);
		struct mmsghdr m;
		int64_t r = tsi_read(c, at, &m, sizeof(m));

		if (r == 0)
			r = do_message(c, fd, &m.msg_hdr, (int)c->args[3]);
		if (r < 0)
			return done > 0 ? done : r;
		m.msg_len = (unsigned int)r;
		struct iovec here = { .iov_base = &m.msg_len, .iov_len = sizeof(m.msg_len) };
		struct iovec there = { .iov_base = (void *)(uintptr_t)(at + offsetof(struct mmsghdr,
										     msg_len)),
				       .iov_len = sizeof(m.msg_len) };
		if (process_vm_writev(c->pid, &here, 1, &there, 1, 0) < 0)
			return -EFAULT;
	}
	return done;
}

int64_t tsi_send(const struct tsi_call *c, int fd)
{
	if (c->number == SCMP_SYS(sendto))
		return do_sendto(c, fd);
	return c->number == SCMP_SYS(sendmsg) ? do_sendmsg(c, fd) : do_sendmmsg(c, fd);
}
