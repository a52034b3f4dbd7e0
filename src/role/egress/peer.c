/* One end of a tunnel; see peer.h. */
#include "role/egress/peer.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PEER_READ 16384 /* bytes at a time: one TLS record */

void peer_init(struct peer *p, struct loop *loop)
{
	*p = (struct peer){ .loop = loop, .fd = -1 };
	bb_buf_init(&p->in, PEER_IN_MAX);
	bb_buf_init(&p->out, PEER_OUT_MAX);
}

int peer_open(struct peer *p, int fd, loop_fd_cb *cb, void *arg)
{
	peer_init(p, p->loop);
	p->fd = fd;
	p->watch = loop_fd_new(p->loop, fd, LOOP_READ, cb, arg);
	if (p->watch != NULL)
		return 0;
	peer_close(p);
	return -ENOMEM;
}

void peer_close(struct peer *p)
{
	tls_conn_free(bb_take_ptr(&p->tls));
	loop_fd_free(bb_take_ptr(&p->watch));
	if (p->fd >= 0)
		(void)close(bb_take_fd(&p->fd));
	bb_buf_wipe(&p->in);
	bb_buf_wipe(&p->out); /* towards an upstream it holds the credential */
	peer_init(p, p->loop);
}

bool peer_is_open(const struct peer *p)
{
	return p->fd >= 0;
}

void peer_start_tls(struct peer *p, struct tls_conn *tls)
{
	p->tls = tls;
	p->is_shaking = true;
}

static ssize_t raw_read(struct peer *p, void *dst, size_t n)
{
	ssize_t r;

	if (p->tls != NULL)
		return tls_conn_read(p->tls, dst, n);
	do
		r = recv(p->fd, dst, n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t raw_write(struct peer *p, struct bb_view v)
{
	ssize_t r;

	if (p->tls != NULL)
		return tls_conn_write(p->tls, v.p, v.n);
	do
		r = send(p->fd, v.p, v.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static bool read_some(struct peer *p)
{
	size_t room = bb_buf_room(&p->in);
	uint8_t *dst;
	ssize_t n;

	if (room == 0 || p->has_ended || p->is_broken)
		return false;
	if (room > PEER_READ)
		room = PEER_READ;
	dst = bb_buf_reserve(&p->in, room);
	n = dst == NULL ? -ENOMEM : raw_read(p, dst, room);
	if (n == -EAGAIN)
		return false;
	if (n > 0)
		bb_buf_commit(&p->in, (size_t)n);
	else if (n == 0)
		p->has_ended = true;
	else
		p->is_broken = true;
	return true;
}

static bool write_some(struct peer *p)
{
	struct bb_view v = bb_buf_peek(&p->out);
	ssize_t n;

	if (v.n == 0)
		return false;
	n = p->is_mute ? (ssize_t)v.n : raw_write(p, v);
	if (n == -EAGAIN)
		return false;
	if (n < 0) {
		p->is_mute = true;
		n = (ssize_t)v.n;
	}
	bb_buf_consume(&p->out, (size_t)n);
	if (bb_buf_size(&p->out) == 0)
		bb_buf_wipe(&p->out); /* idle tunnels hold no memory and no credential */
	return true;
}

bool peer_io(struct peer *p)
{
	bool has_moved = false;

	if (!peer_is_open(p) || p->is_broken)
		return false;
	if (p->is_shaking) {
		int r = tls_conn_handshake(p->tls, &p->err);

		if (r == -EAGAIN)
			return false;
		p->is_shaking = false;
		p->is_broken = r < 0;
		return true;
	}
	while (write_some(p))
		has_moved = true;
	return read_some(p) || has_moved;
}

bool peer_has_room(const struct peer *p)
{
	return bb_buf_size(&p->out) < PEER_OUT_HIGH;
}

void peer_shut(struct peer *p)
{
	if (p->is_shut || !peer_is_open(p))
		return;
	p->is_shut = true;
	if (p->tls != NULL && !p->is_broken)
		tls_conn_shutdown(p->tls);
	(void)shutdown(p->fd, SHUT_WR); /* it may be gone already */
}

void peer_watch(struct peer *p)
{
	int events = 0;

	if (!peer_is_open(p))
		return;
	if (p->is_shaking) {
		events = tls_conn_wants_write(p->tls) ? LOOP_WRITE : LOOP_READ;
	} else if (!p->is_broken) {
		if (!p->has_ended && bb_buf_room(&p->in) > 0)
			events |= LOOP_READ;
		if (bb_buf_size(&p->out) > 0)
			events |= LOOP_WRITE;
	}
	loop_fd_set(p->watch, events);
}
