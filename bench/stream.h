/* What the files of the stream benchmark share. Every failure ends the program with a sentence. */
#ifndef BB_BENCH_STREAM_H
#define BB_BENCH_STREAM_H

#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#define BENCH_BLOCK 65536                /* bytes of one read or write of the ends */
#define BENCH_BYTES (256u * 1024 * 1024) /* of one sample */

enum bench_way {
	BENCH_TO_HOST,  /* the guest writes, the host reads */
	BENCH_TO_GUEST, /* the other way */
};

noreturn void bench_die(const char *what);
void bench_pair(int type, int ret_fds[2]);

/* stream_plain.c: the ends of a plain socket, in processes of their own. go_fd: starts at its first
 * byte. */
pid_t bench_source(int fd, int go_fd);
pid_t bench_copier(int from, int to);
/* Reads BENCH_BYTES. */
void bench_sink(int fd);

/* stream_guest.c: a guest that says hello, opens one egress stream and writes to it from the first
 * byte of go_fd on, or reads from it and writes a byte to done_fd when it has all. */
pid_t bench_guest(int stream_fd, enum bench_way way, int go_fd, int done_fd);

#endif
