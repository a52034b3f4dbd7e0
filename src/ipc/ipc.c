/*
 * Messages between our own processes; see ipc.h. One datagram a message, so framing cannot be lost,
 * and a peer that is taken over can at most send well-formed nonsense, which the op tables refuse.
 */
#include "ipc/ipc.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

#define IPC_HEADER 8

void ipc_message_done(struct ipc_message *m)
{
	for (int i = 0; i < m->fd_count; i++)
		if (m->fds[i] >= 0)
			(void)close(m->fds[i]);
	m->fd_count = 0;
}

int ipc_message_take_fd(struct ipc_message *m, int i)
{
	int fd;

	if (i < 0 || i >= m->fd_count)
		return -1;
	fd = m->fds[i];
	m->fds[i] = -1;
	return fd;
}

int ipc_pair(int ret_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return -errno;
	return 0;
}

int ipc_send(int fd, uint16_t type, uint32_t id, struct bb_view body, const int *fds, int fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(LIMIT_IPC_FDS * sizeof(int))];
	} control = { 0 };
	uint8_t head[IPC_HEADER] = { 0 };
	struct iovec iov[2] = {
		{ .iov_base = head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)body.p, .iov_len = body.n },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = body.n > 0 ? 2 : 1 };
	ssize_t n;

	if (body.n > LIMIT_IPC_BODY || fd_count < 0 || fd_count > LIMIT_IPC_FDS)
		return -EMSGSIZE;
	bb_put_be16(head, type);
	bb_put_be32(head + 4, id);
	if (fd_count > 0) {
		size_t fd_bytes = (size_t)fd_count * sizeof(int);
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(fd_bytes);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_bytes);
		memcpy(CMSG_DATA(c), fds, fd_bytes);
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Moves the descriptors of one control message into m; false when there are too many. */
static bool take_fds(struct ipc_message *m, struct cmsghdr *c)
{
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fits = true;

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (m->fd_count < LIMIT_IPC_FDS) {
			m->fds[m->fd_count++] = fd;
		} else {
			(void)close(fd);
			fits = false;
		}
	}
	return fits;
}

int ipc_receive(int fd, uint8_t *buffer, struct ipc_message *ret, struct bb_err *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(LIMIT_IPC_FDS * sizeof(int))];
	} control;
	uint8_t head[IPC_HEADER];
	struct iovec iov[2] = {
		{ .iov_base = head, .iov_len = sizeof(head) },
		{ .iov_base = buffer, .iov_len = LIMIT_IPC_BODY },
	};
	struct msghdr msg = { .msg_iov = iov,
			      .msg_iovlen = 2,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct ipc_message m = { 0 };
	bool is_whole = true;
	int was_reset = 0;
	ssize_t n;

	/* A peer that went with unread messages gives one ECONNRESET; what it said last comes
	 * after that. */
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !was_reset++)));
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : bb_err_errno(err, "cannot receive a message");
	if (n == 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			is_whole = take_fds(&m, c) && is_whole;
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !is_whole ||
	    (size_t)n < sizeof(head) || bb_be16(head + 2) != 0) {
		ipc_message_done(&m);
		return bb_err_set(err, -EPROTO, "a message of %zd bytes is cut off or malformed",
				  n);
	}
	m.type = bb_be16(head);
	m.id = bb_be32(head + 4);
	m.body = bb_view_of(buffer, (size_t)n - sizeof(head));
	*ret = m;
	return 1;
}

int ipc_receive_wait(int fd, uint8_t *buffer, int timeout_ms, struct ipc_message *ret,
		     struct bb_err *err)
{
	uint64_t deadline = bb_clock_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = poll(&p, 1, bb_clock_left_ms(deadline));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return bb_err_errno(err, "cannot wait for a message");
		if (r == 0)
			return bb_err_set(err, -ETIMEDOUT, "no message came within %d ms",
					  timeout_ms);
		r = ipc_receive(fd, buffer, ret, err);
		if (r != -EAGAIN)
			return r;
	}
}

int ipc_dispatch(const struct ipc_op *ops, size_t count, unsigned state, void *ctx,
		 struct ipc_message *m, struct bb_err *err)
{
	assert(state < 32);
	for (size_t i = 0; i < count; i++) {
		const struct ipc_op *op = &ops[i];

		if (op->type != m->type)
			continue;
		if ((op->states & IPC_IN(state)) == 0)
			return bb_err_set(err, -EPROTO, "message '%s' is not allowed in this state",
					  op->name);
		if (m->body.n < op->body_min || m->body.n > op->body_max)
			return bb_err_set(err, -EPROTO,
					  "message '%s' has %zu bytes, allowed are %zu to %zu",
					  op->name, m->body.n, op->body_min, op->body_max);
		if (m->fd_count != op->fds)
			return bb_err_set(err, -EPROTO,
					  "message '%s' has %d descriptors instead of %d", op->name,
					  m->fd_count, op->fds);
		return op->handle(ctx, m, err);
	}
	return bb_err_set(err, -EPROTO, "message type %u is unknown on this link", m->type);
}

long ipc_peer_uid(int fd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return -errno;
	return (long)cred.uid;
}
