/* Between tsi.c (what the guest asked, and the answer) and tsi_send.c (datagrams). */
#ifndef STANDIN_TSI_H
#define STANDIN_TSI_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "guest.h"

/* One system call of the guest that waits for its answer. */
struct tsi_call {
	const struct guest *guest;
	int notify_fd;
	uint64_t id;
	pid_t pid; /* a thread */
	int number;
	uint64_t args[6];
};

struct tsi_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage all;
	} u;
	socklen_t length;
};

#define SIN6_LEN_RFC2133 24 /* the kernel takes an IPv6 address without its scope */

bool tsi_is_live(const struct tsi_call *c);
int tsi_read(const struct tsi_call *c, uint64_t at, void *dst, size_t n); /* 0 or -EFAULT */
int tsi_read_address(const struct tsi_call *c, uint64_t at, uint64_t n, struct tsi_address *ret);
/* 0, or the errno with which the guest is refused. */
int tsi_check(const struct tsi_call *c, const struct tsi_address *a);
void tsi_on_alarm(int number);

/* tsi_send.c: sendto, sendmsg, sendmmsg on a datagram socket; the call's result or -errno. */
int64_t tsi_send(const struct tsi_call *c, int fd);

#endif
