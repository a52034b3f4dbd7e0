/* Descriptor helpers; see fd.h. */
#include "base/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int set_flag(int fd, int get, int set, int flag, int on)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return -errno;
	flags = on ? flags | flag : flags & ~flag;
	return fcntl(fd, set, flags) < 0 ? -errno : 0;
}

int bb_fd_set_nonblock(int fd, int on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int bb_fd_set_cloexec(int fd, int on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int bb_fd_write_all(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

int bb_fd_read_full(int fd, void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t done = read(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -ENODATA;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

ssize_t bb_fd_read_some(int fd, struct bb_buf *b, size_t most)
{
	size_t want = bb_buf_room(b) < most ? bb_buf_room(b) : most;
	uint8_t *dst;
	ssize_t n;

	if (want == 0)
		return -ENOBUFS;
	dst = bb_buf_reserve(b, want);
	if (dst == NULL)
		return -ENOMEM;
	do
		n = read(fd, dst, want);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	bb_buf_commit(b, (size_t)n);
	return n;
}

int bb_fd_read_to_end(int fd, struct bb_buf *b)
{
	for (;;) {
		ssize_t n = bb_fd_read_some(fd, b, 65536);

		if (n == 0)
			return 0;
		if (n == -ENOBUFS) {
			uint8_t more;

			do
				n = read(fd, &more, 1);
			while (n < 0 && errno == EINTR);
			return n == 0 ? 0 : n < 0 ? -errno : -EMSGSIZE;
		}
		if (n < 0)
			return (int)n;
	}
}

ssize_t bb_fd_write_some(int fd, struct bb_buf *b)
{
	struct bb_view v = bb_buf_peek(b);
	ssize_t n;

	do
		n = write(fd, v.p, v.n);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	bb_buf_consume(b, (size_t)n);
	return n;
}

int bb_fd_sealed(const char *name, const void *p, size_t n)
{
	BB_AUTO_CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = bb_fd_write_all(fd, p, n);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return bb_take_fd(&fd);
}
