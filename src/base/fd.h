/* Descriptors: whole reads and writes, flags. Blocking unless said otherwise; EINTR is retried. */
#ifndef BB_BASE_FD_H
#define BB_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

int bb_fd_set_nonblock(int fd, int on); /* 0 or -errno */
int bb_fd_set_cloexec(int fd, int on);  /* 0 or -errno */
/* Writes all n bytes; 0 or -errno. The descriptor must be blocking. */
int bb_fd_write_all(int fd, const void *p, size_t n);
/* Reads exactly n bytes; 0, -ENODATA at an early end, or -errno. */
int bb_fd_read_full(int fd, void *p, size_t n);
/* Reads to the end into b (whose cap is the limit); 0, -EMSGSIZE, or -errno. */
int bb_fd_read_to_end(int fd, struct bb_buf *b);
/* One read into b's free room, at most `most` bytes; bytes read, 0 at the end, -EAGAIN, -ENOBUFS
 * when b is full, or -errno. */
ssize_t bb_fd_read_some(int fd, struct bb_buf *b, size_t most);
/* One write from b's front; bytes written (consumed from b) or -errno. SIGPIPE must be ignored. */
ssize_t bb_fd_write_some(int fd, struct bb_buf *b);
/* A sealed, read-only memfd with these bytes, offset 0. fd or -errno. Holds plans, never secrets
 * that outlive their reader. */
int bb_fd_sealed(const char *name, const void *p, size_t n);

#endif
