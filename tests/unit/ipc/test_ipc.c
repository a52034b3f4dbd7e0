/* Messages with descriptors: nothing is cut off silently, nothing leaks, tables are obeyed. */
#include "../unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "ipc/ipc.h"

static uint8_t buffer[LIMIT_IPC_BODY];

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

struct link {
	int a, b;
};

static int set_up(void **state)
{
	static struct link l;
	int pair[2];

	if (ipc_pair(pair) < 0)
		return -1;
	l = (struct link){ pair[0], pair[1] };
	*state = &l;
	return 0;
}

static int tear_down(void **state)
{
	struct link *l = *state;

	if (l->a >= 0)
		(void)close(l->a);
	(void)close(l->b);
	return 0;
}

static void a_message_arrives_as_it_was_sent(void **state)
{
	struct link *l = *state;
	struct ipc_message m;
	struct bb_err err = { 0 };
	int pipe_fds[2], fd;
	char c;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(ipc_send(l->a, 7, 99, bb_view_str("body"), pipe_fds, 2), 0);
	(void)close(pipe_fds[0]);
	assert_int_equal(ipc_receive(l->b, buffer, &m, &err), 1);
	assert_int_equal(m.type, 7);
	assert_int_equal(m.id, 99);
	assert_true(bb_view_eq_str(m.body, "body"));
	assert_int_equal(m.fd_count, 2);
	fd = ipc_message_take_fd(&m, 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(ipc_message_take_fd(&m, 0), -1);
	assert_int_equal(ipc_message_take_fd(&m, 5), -1);
	assert_int_equal(write(m.fds[1], "x", 1), 1);
	assert_int_equal(read(fd, &c, 1), 1);
	(void)close(fd);
	(void)close(pipe_fds[1]);
	ipc_message_done(&m);
}

static void the_largest_body_fits_and_one_more_byte_is_refused(void **state)
{
	static uint8_t body[LIMIT_IPC_BODY + 1];
	struct link *l = *state;
	struct ipc_message m;
	struct bb_err err = { 0 };

	assert_int_equal(ipc_send(l->a, 1, 0, bb_view_of(body, sizeof(body)), NULL, 0), -EMSGSIZE);
	assert_int_equal(ipc_send(l->a, 1, 0, bb_view_of(body, LIMIT_IPC_BODY), NULL, 0), 0);
	assert_int_equal(ipc_receive(l->b, buffer, &m, &err), 1);
	assert_int_equal(m.body.n, LIMIT_IPC_BODY);
	ipc_message_done(&m);
}

/* Sends raw bytes with count copies of standard input. */
static void send_raw(int fd, const void *p, size_t n, int count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = &control.align;

	if (count > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		for (int i = 0; i < count; i++)
			memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &fd, sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &msg, 0), (ssize_t)n);
}

static void malformed_messages_are_refused_and_leak_no_descriptor(void **state)
{
	static uint8_t long_body[8 + LIMIT_IPC_BODY + 1];
	static const uint8_t head[] = { 0, 1, 0, 0, 0, 0, 0, 0 };
	static const uint8_t reserved[] = { 0, 1, 0, 1, 0, 0, 0, 0 };
	const struct {
		const void *p;
		size_t n;
		int fds;
	} cases[] = {
		{ head, 7, 0 },     /* short */
		{ head, 7, 3 },     /* short, with descriptors */
		{ reserved, 8, 2 }, /* reserved bytes */
		{ long_body, sizeof(long_body), 1 },
		{ head, 8, LIMIT_IPC_FDS + 1 }, /* the control buffer is cut off */
		{ head, 8, 64 },
	};
	struct link *l = *state;

	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct ipc_message m;
		struct bb_err err = { 0 };
		int before = open_fds();

		send_raw(l->a, cases[i].p, cases[i].n, cases[i].fds);
		assert_error(ipc_receive(l->b, buffer, &m, &err), -EPROTO, err);
		assert_int_equal(open_fds(), before);
	}
}

static void descriptors_nobody_took_are_closed(void **state)
{
	static const uint8_t head[] = { 0, 1, 0, 0, 0, 0, 0, 0 };
	struct link *l = *state;
	struct ipc_message m;
	struct bb_err err = { 0 };
	int before = open_fds();

	send_raw(l->a, head, sizeof(head), LIMIT_IPC_FDS);
	assert_int_equal(ipc_receive(l->b, buffer, &m, &err), 1);
	assert_int_equal(open_fds(), before + LIMIT_IPC_FDS);
	ipc_message_done(&m);
	assert_int_equal(open_fds(), before);
}

static void silence_and_the_end_are_told_apart(void **state)
{
	struct link *l = *state;
	struct ipc_message m;
	struct bb_err err = { 0 };

	assert_int_equal(bb_fd_set_nonblock(l->b, 1), 0);
	assert_int_equal(ipc_receive(l->b, buffer, &m, &err), -EAGAIN);
	assert_int_equal(ipc_receive_wait(l->b, buffer, 20, &m, &err), -ETIMEDOUT);
	assert_int_equal(ipc_send(l->a, 3, 0, bb_view_of(NULL, 0), NULL, 0), 0);
	(void)close(l->a);
	l->a = -1;
	assert_int_equal(ipc_receive(l->b, buffer, &m, &err), 1); /* last words come first */
	assert_int_equal(m.type, 3);
	assert_int_equal(ipc_receive(l->b, buffer, &m, &err), 0);
	assert_int_equal(ipc_send(l->b, 3, 0, bb_view_of(NULL, 0), NULL, 0), -EPIPE);
}

static void a_full_link_says_so(void **state)
{
	struct link *l = *state;
	int r = 0;

	assert_int_equal(bb_fd_set_nonblock(l->a, 1), 0);
	for (int i = 0; i < 100000 && r == 0; i++)
		r = ipc_send(l->a, 1, 0, bb_view_str("x"), NULL, 0);
	assert_int_equal(r, -EAGAIN);
}

static void the_peers_uid_is_told(void **state)
{
	struct link *l = *state;

	assert_int_equal(ipc_peer_uid(l->a), (long)getuid());
	assert_true(ipc_peer_uid(0) < 0);
}

static int count_call(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	(void)m;
	(void)err;
	++*(int *)ctx;
	return 5;
}

static void dispatch_obeys_its_table(void **state)
{
	static const struct ipc_op ops[] = {
		{ 10, "ten", IPC_IN(0) | IPC_IN(2), 2, 4, 0, count_call },
		{ 11, "eleven", IPC_IN(1), 0, 8, 1, count_call },
	};
	static const struct {
		uint16_t type;
		unsigned state;
		size_t n;
		int fds, r;
	} cases[] = {
		{ 10, 0, 2, 0, 5 },       { 10, 2, 4, 0, 5 },
		{ 10, 1, 2, 0, -EPROTO }, /* not in this state */
		{ 10, 0, 1, 0, -EPROTO }, /* too short */
		{ 10, 0, 5, 0, -EPROTO }, /* too long */
		{ 10, 0, 2, 1, -EPROTO }, /* a descriptor too many */
		{ 11, 1, 0, 0, -EPROTO }, /* one too few */
		{ 12, 0, 2, 0, -EPROTO }, /* unknown */
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct ipc_message m = { .type = cases[i].type,
					 .body = bb_view_of("12345678", cases[i].n),
					 .fd_count = cases[i].fds,
					 .fds = { -1 } };
		struct bb_err err = { 0 };
		int calls = 0;
		int r = ipc_dispatch(ops, BB_ARRAY_LEN(ops), cases[i].state, &calls, &m, &err);

		assert_int_equal(r, cases[i].r);
		assert_int_equal(calls, r == 5);
		assert_true(r == 5 || err.msg[0] != '\0');
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_arrives_as_it_was_sent),
		TEST(the_largest_body_fits_and_one_more_byte_is_refused),
		TEST(malformed_messages_are_refused_and_leak_no_descriptor),
		TEST(descriptors_nobody_took_are_closed),
		TEST(silence_and_the_end_are_told_apart),
		TEST(a_full_link_says_so),
		TEST(the_peers_uid_is_told),
		TEST(dispatch_obeys_its_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
