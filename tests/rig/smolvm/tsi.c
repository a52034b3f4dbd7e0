/*
 * TSI: the guest's internet sockets act in the VMM's network namespace, under allowed_cidrs.
 *
 * The guest's socket() is answered with a socket that the VMM made (so a listen() lands on the
 * host, as with libkrun); its connect() and addressed sends are carried out here on the VMM's own
 * copy, with the address that was checked: nothing is read twice, so nothing can be swapped between
 * check and use. The guest's own network namespace is empty, so a way around this leads nowhere.
 *
 * Left to the kernel: sockets of other families, and sends on a TCP socket, where an address means
 * nothing (fast open, where it would, is refused). io_uring is refused by the filter.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tsi.h"

static const int asked[] = { SCMP_SYS(connect), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg) };
static const int inet_families[] = { AF_INET, AF_INET6 };

/* One rule on one argument: libseccomp's own macros leave members out, which clang warns of. */
static int add_rule(scmp_filter_ctx f, uint32_t action, int call, struct scmp_arg_cmp cmp)
{
	return seccomp_rule_add_array(f, action, call, 1, &cmp);
}

static int add_tsi_rules(scmp_filter_ctx f)
{
	int r = 0;

	for (size_t i = 0; i < BB_ARRAY_LEN(inet_families) && r == 0; i++)
		r = add_rule(f, SCMP_ACT_NOTIFY, SCMP_SYS(socket),
			     (struct scmp_arg_cmp){ .op = SCMP_CMP_EQ,
						    .datum_a = (scmp_datum_t)inet_families[i] });
	for (size_t i = 0; i < BB_ARRAY_LEN(asked) && r == 0; i++)
		r = seccomp_rule_add(f, SCMP_ACT_NOTIFY, asked[i], 0);
	if (r == 0)
		r = add_rule(f, SCMP_ACT_NOTIFY, SCMP_SYS(sendto),
			     (struct scmp_arg_cmp){ .arg = 4, .op = SCMP_CMP_NE });
	return r;
}

int tsi_filter(bool is_tsi, struct bb_err *err)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r = f == NULL ? -ENOMEM : 0;

	/* Without it the address and length of a 32-bit call would go unseen. */
	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	/* The agent is root of the guest's user namespace: set-uid programs go on working. */
	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
	/* vsock knows no network namespace. */
	if (r == 0)
		r = add_rule(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket),
			     (struct scmp_arg_cmp){ .op = SCMP_CMP_EQ, .datum_a = AF_VSOCK });
	if (r == 0 && is_tsi)
		r = add_tsi_rules(f);
	if (r == 0)
		r = seccomp_load(f);
	if (r == 0 && is_tsi)
		r = seccomp_notify_fd(f);
	seccomp_release(f);
	return r < 0 ? bb_err_set(err, r, "seccomp filter of the guest: %s", strerror(-r)) : r;
}

/* --- the VMM's side --- */

bool tsi_is_live(const struct tsi_call *c)
{
	return ioctl(c->notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &c->id) == 0;
}

static void answer(const struct tsi_call *c, int64_t result, bool continues)
{
	struct seccomp_notif_resp resp = {
		.id = c->id,
		.val = result < 0 ? 0 : result,
		.error = result < 0 ? (int32_t)result : 0,
		.flags = continues ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
	};

	/* ENOENT: the caller is gone. */
	(void)ioctl(c->notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

int tsi_read(const struct tsi_call *c, uint64_t at, void *dst, size_t n)
{
	struct iovec here = { .iov_base = dst, .iov_len = n };
	struct iovec there = { .iov_base = (void *)(uintptr_t)at, .iov_len = n };

	return process_vm_readv(c->pid, &here, 1, &there, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

int tsi_check(const struct tsi_call *c, const struct tsi_address *a)
{
	char text[INET6_ADDRSTRLEN] = "?";
	struct in6_addr ip = { 0 };
	int port;

	if (a->u.any.sa_family == AF_INET && a->length >= sizeof(a->u.v4)) {
		ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
		memcpy(&ip.s6_addr[12], &a->u.v4.sin_addr, 4);
		port = ntohs(a->u.v4.sin_port);
	} else if (a->u.any.sa_family == AF_INET6 && a->length >= SIN6_LEN_RFC2133) {
		ip = a->u.v6.sin6_addr;
		port = ntohs(a->u.v6.sin6_port);
	} else {
		return -EINVAL;
	}
	if (policy_allows(c->guest, &ip))
		return 0;
	(void)inet_ntop(AF_INET6, &ip, text, sizeof(text));
	(void)fprintf(stderr, "tsi: denied [%s]:%d\n", text, port);
	return -EACCES;
}

int tsi_read_address(const struct tsi_call *c, uint64_t at, uint64_t n, struct tsi_address *ret)
{
	if (n < sizeof(sa_family_t) || n > sizeof(ret->u))
		return -EINVAL;
	memset(&ret->u, 0, sizeof(ret->u));
	ret->length = (socklen_t)n;
	return tsi_read(c, at, &ret->u, n);
}

/* The process of a thread: pidfd_open() takes no other. */
static pid_t process_of(pid_t thread)
{
	char path[64], line[128];
	pid_t pid = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", thread);
	BB_AUTO_FCLOSE FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "Tgid:", 5) == 0)
			pid = (pid_t)strtol(line + 5, NULL, 10);
	}
	return pid;
}

static int copy_fd(const struct tsi_call *c, int fd)
{
	BB_AUTO_CLOSE int process = (int)syscall(SYS_pidfd_open, process_of(c->pid), 0);
	int copy;

	if (process < 0)
		return -ESRCH;
	copy = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
	return copy < 0 ? -errno : copy;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t n = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &n) < 0 ? -1 : value;
}

static void make_socket(const struct tsi_call *c)
{
	int domain = (int)c->args[0], type = (int)c->args[1], protocol = (int)c->args[2];
	int kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	bool is_known = (kind == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP)) ||
			(kind == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP));
	BB_AUTO_CLOSE int fd = is_known ? socket(domain, type | SOCK_CLOEXEC, protocol) : -1;
	struct seccomp_notif_addfd add = {
		.id = c->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = (type & SOCK_CLOEXEC) != 0 ? O_CLOEXEC : 0,
	};

	if (!is_known)
		answer(c, -EPROTONOSUPPORT, false);
	else if (fd < 0)
		answer(c, -errno, false);
	else if (ioctl(c->notify_fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0)
		answer(c, -errno, false);
}

/* Waits for a connection under way, as long as the guest's thread does. */
static int finish_connect(const struct tsi_call *c, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	while (poll(&p, 1, 200) <= 0) {
		if (!tsi_is_live(c))
			return -EINTR;
	}
	return -option(fd, SO_ERROR);
}

/* A blocking connect would hold up every other guest thread: a child waits for it. The alarm turns
 * the kernel's wait into finish_connect()'s. */
static void connect_apart(const struct tsi_call *c, int fd, const struct tsi_address *a)
{
	const struct sigaction act = { .sa_handler = tsi_on_alarm };
	pid_t pid = fork();
	int r;

	if (pid < 0)
		answer(c, -EAGAIN, false);
	if (pid != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigaction(SIGALRM, &act, NULL);
	(void)alarm(1);
	r = connect(fd, &a->u.any, a->length) < 0 ? -errno : 0;
	(void)alarm(0);
	answer(c, r == -EINTR ? finish_connect(c, fd) : r, false);
	_exit(0);
}

static void do_connect(const struct tsi_call *c, int fd, bool is_stream)
{
	struct tsi_address a;
	int r = tsi_read_address(c, c->args[1], c->args[2], &a);

	if (r == 0 && a.u.any.sa_family != AF_UNSPEC) /* that one only disconnects */
		r = tsi_check(c, &a);
	if (r < 0) {
		answer(c, r, false);
		return;
	}
	if (is_stream && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) {
		connect_apart(c, fd, &a);
		return;
	}
	answer(c, connect(fd, &a.u.any, a.length) < 0 ? -errno : 0, false);
}

/* The flags are in a register: they cannot change any more. */
static bool has_fast_open(const struct tsi_call *c)
{
	return (c->args[c->number == SCMP_SYS(sendmsg) ? 2 : 3] & MSG_FASTOPEN) != 0;
}

static void act(const struct tsi_call *c)
{
	BB_AUTO_CLOSE int fd = -1;
	int domain;
	bool is_stream;

	if (c->number == SCMP_SYS(socket)) {
		make_socket(c);
		return;
	}
	fd = copy_fd(c, (int)c->args[0]);
	if (fd < 0) {
		answer(c, fd, false);
		return;
	}
	domain = option(fd, SO_DOMAIN);
	is_stream = option(fd, SO_TYPE) == SOCK_STREAM;
	if (domain != AF_INET && domain != AF_INET6)
		answer(c, 0, true);
	else if (c->number == SCMP_SYS(connect))
		do_connect(c, fd, is_stream);
	else if (is_stream)
		answer(c, has_fast_open(c) ? -EOPNOTSUPP : 0, !has_fast_open(c));
	else
		answer(c, tsi_send(c, fd), false);
}

void tsi_serve(const struct guest *g, int notify_fd)
{
	struct seccomp_notif n = { 0 };
	struct tsi_call c = { .guest = g, .notify_fd = notify_fd };

	if (ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
		return;
	c.id = n.id;
	c.pid = (pid_t)n.pid;
	c.number = n.data.nr;
	memcpy(c.args, n.data.args, sizeof(c.args));
	act(&c);
}

void tsi_on_alarm(int number)
{
	(void)number; /* its only effect is EINTR */
}
