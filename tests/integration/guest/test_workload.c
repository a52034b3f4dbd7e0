/*
 * bottle-init in a machine that somebody else made: as the workload that serves on a mounted
 * socket, and as a program beside the workload that calls the bundle by TCP. Root inside, the agent
 * is uid 1000.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "host.h"

#define NEW_NETWORK_CARD "ip link add card type veth peer name other && ip link set card up"

/* Without a range of ids only one uid can be had inside: the test of that runs everywhere. */
static struct host *start(const struct host_options *options)
{
	if (!host_can_map() && !options->has_one_id) {
		print_message("no range in /etc/subuid and /etc/subgid: a machine with root and "
			      "the agent cannot be made\n");
		skip();
	}
	return host_start(options);
}

static void expect_as(struct host *h, const char *user, const char *script, const char *out)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct host_stream *s =
		host_exec_open(h, &(struct host_exec){ .argv = argv, .user = user });
	struct host_result r;

	host_send(s, EXEC_STDIN_EOF, NULL, 0);
	host_collect(s, &r);
	assert_string_equal(host_text(&r.out), out);
	assert_string_equal(r.text, "");
	host_result_done(&r);
}

static void expect_a_bottle(struct host *h)
{
	expect_as(h, NULL, "id -u; id -g; id -G; echo $HOME $USER; pwd",
		  "1000\n1000\n1000\n/home/node node\n/home/node\n");
	expect_as(h, "root", "id -u; echo $HOME", "0\n/root\n");
	/* The agent is not root by any way back. */
	expect_as(h, NULL, "grep -E '^(Uid|Groups):' /proc/self/status | tr -s '\\t ' ' '",
		  "Uid: 1000 1000 1000 1000\nGroups: \n");
	expect_as(h, NULL, "stat -c '%u %g %a' /home/node /home/node/old /tmp /var/tmp",
		  "1000 1000 755\n1000 1000 644\n0 0 1777\n0 0 1777\n");
	expect_as(h, NULL, "touch /home/node/new /tmp/new && echo made", "made\n");
	expect_as(h, NULL, "cat /etc/ssl/certs/ca-certificates.crt; hostname; head -1 /etc/hosts",
		  "ROOTS\n\nBOTTLE CA\nbottle\n127.0.0.1\tlocalhost bottle\n");
}

static void expect_a_terminal(struct host *h)
{
	const char *const argv[] = { "sh", "-c", "stty size; test -O $(tty) && echo own", NULL };
	struct host_stream *s =
		host_exec_open(h, &(struct host_exec){ .argv = argv, .rows = 33, .columns = 77 });
	struct host_result r;

	host_collect(s, &r);
	assert_string_equal(host_text(&r.out), "33 77\r\nown\r\n");
	host_result_done(&r);
}

/* Ports with a listener inside, lowest first, in hexadecimal. */
#define LISTENERS                                                                               \
	"sed -n 's/^ *[0-9]*: [0-9A-F]*:\\([0-9A-F]*\\) [0-9A-F:]* 0A .*/\\1/p' /proc/net/tcp " \
	"| sort -u | tr '\\n' ' '"

static void socket_workload_serves_a_bottle(void **state)
{
	struct host *h = start(&(struct host_options){ .way = HOST_SOCKET });

	(void)state;
	expect_a_bottle(h);
	expect_a_terminal(h);
	/* 53, 80, 443, 9099 */
	expect_as(h, NULL, LISTENERS, "0035 0050 01BB 238B ");
	expect_as(h, NULL, "cat /etc/resolv.conf", "nameserver 127.0.0.1\n");
	assert_int_equal(host_shutdown(h), 0);
	host_free(h);
}

static void socket_workload_carries_connections(void **state)
{
	const char *const argv[] = { "bash", "-c",
				     "exec 3<>/dev/tcp/192.0.2.7/80; echo hello >&3; cat <&3",
				     NULL };
	struct host *h = start(&(struct host_options){ .way = HOST_SOCKET });
	struct host_stream *exec = host_exec_open(h, &(struct host_exec){ .argv = argv });
	struct host_stream *egress = host_accept(h, HOST_WAIT_MS);

	(void)state;
	assert_non_null(egress);
	assert_int_equal(host_read(egress, 27), 27);
	assert_memory_equal(bb_buf_peek(&egress->in).p, "CONNECT 192.0.2.7:80 HTTP/1", 27);
	host_close(egress);
	host_close(exec);
	assert_int_equal(host_shutdown(h), 0);
	host_free(h);
}

static void socket_workload_waits_for_its_socket(void **state)
{
	struct host *h = start(&(struct host_options){ .way = HOST_SOCKET, .listen_late = true });

	(void)state;
	expect_as(h, NULL, "echo here", "here\n");
	assert_int_equal(host_shutdown(h), 0);
	host_free(h);
}

static void expect_not_ready(const struct host_options *options, const char *why)
{
	char text[HOST_TEXT_MAX] = "";
	struct host_options o = *options;
	struct host *h;
	struct host_stream *s;

	o.not_ready = text;
	h = start(&o);
	if (strstr(text, why) == NULL)
		fail_msg("READY says '%s', not '%s'", text, why);
	s = host_exec_open(h, &(struct host_exec){ .argv = (const char *const[]){ "id", NULL } });
	HOST_UNTIL(h, s->is_reset || mux_stream_at_eof(s->s) ||
			      mux_stream_peek(s->s).n >= PROTO_FRAME_HEAD);
	if (!s->is_reset) {
		struct bb_buf body;

		bb_buf_init(&body, 65536);
		assert_int_equal(host_recv(s, &body), EXEC_FAILED);
		bb_buf_done(&body);
	}
	host_free(h);
}

static void workload_says_when_the_agents_uid_is_not_mapped(void **state)
{
	(void)state;
	expect_not_ready(&(struct host_options){ .way = HOST_SOCKET, .has_one_id = true },
			 "uid or gid 1000 is not mapped");
	expect_not_ready(&(struct host_options){ .way = HOST_CONNECT, .has_one_id = true },
			 "uid or gid 1000 is not mapped");
}

static void socket_workload_runs_nothing_beside_a_network_card(void **state)
{
	(void)state;
	expect_not_ready(&(struct host_options){ .way = HOST_SOCKET, .before = NEW_NETWORK_CARD },
			 "this machine has a network card ('card')");
}

static void socket_workload_lets_interfaces_be_that_are_down(void **state)
{
	struct host *h = start(&(struct host_options){
		.way = HOST_SOCKET,
		.before = NEW_NETWORK_CARD " && ip link set card down",
	});

	(void)state;
	expect_as(h, NULL, "echo here", "here\n");
	host_free(h);
}

static void socket_workload_ends_when_the_host_is_gone(void **state)
{
	struct host *h = start(&(struct host_options){ .way = HOST_SOCKET });

	(void)state;
	h->is_dead = true; /* nothing more is expected of it: host_wait() closes */
	assert_int_equal(host_wait(h), 1);
	host_free(h);
}

static void connected_guest_serves_a_bottle_without_listeners(void **state)
{
	struct host *h = start(&(struct host_options){ .way = HOST_CONNECT });
	char line[32] = "";

	(void)state;
	assert_int_equal(read(h->out_fd, line, sizeof(line) - 1), 23);
	assert_string_equal(line, "bottle-init: connected\n");
	expect_a_bottle(h);
	expect_a_terminal(h);
	/* None of ours: neither 53, 80, 443 nor 9099. The test's own was closed. */
	expect_as(h, NULL, LISTENERS, "");
	expect_as(h, NULL, "cat /etc/resolv.conf", "nameserver 127.0.0.1\n");
	/* The line with the credential is not what programs find on standard input. */
	expect_as(h, "root", "readlink /proc/$PPID/fd/0", "/dev/null\n");
	assert_int_equal(host_shutdown(h), 0);
	host_free(h);
}

/* Programs that leave their session and ignore TERM; the second one has lost its parents as well.
 */
#define STUBBORN                                                                       \
	"trap '' TERM HUP; setsid sleep 1000 & "                                       \
	"(setsid sh -c 'trap \"\" TERM HUP; sleep 1001 & sleep 1002' &) ; "            \
	"until [ $(ps -A -o comm= | grep -cx sleep) = 3 ]; do sleep 0.01; done; echo " \
	"on; "                                                                         \
	"sleep 1003"

static struct host_stream *start_stubborn(struct host *h)
{
	const char *const argv[] = { "sh", "-c", STUBBORN, NULL };
	struct host_stream *s =
		host_exec_open(h, &(struct host_exec){ .argv = argv, .flags = EXEC_FLAG_KEEP });
	struct bb_buf body;

	bb_buf_init(&body, 65536);
	assert_int_equal(host_recv(s, &body), EXEC_STARTED);
	assert_int_equal(host_recv(s, &body), EXEC_STDOUT);
	bb_buf_done(&body);
	return s;
}

static void connected_guest_ends_all_that_is_its_own(void **state)
{
	struct host *h = start(&(struct host_options){ .way = HOST_CONNECT });

	(void)state;
	start_stubborn(h);
	/* host_wait() sees that nothing is left below the workload, and that it still is there. */
	assert_int_equal(host_shutdown(h), 0);
	host_free(h);
}

static void connected_guest_that_lost_its_host_leaves_nothing(void **state)
{
	struct host *h = start(&(struct host_options){ .way = HOST_CONNECT });

	(void)state;
	start_stubborn(h);
	h->is_dead = true;
	assert_int_equal(host_wait(h), 0); /* the workload's own end */
	host_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(socket_workload_serves_a_bottle),
		cmocka_unit_test(socket_workload_carries_connections),
		cmocka_unit_test(socket_workload_waits_for_its_socket),
		cmocka_unit_test(socket_workload_runs_nothing_beside_a_network_card),
		cmocka_unit_test(socket_workload_lets_interfaces_be_that_are_down),
		cmocka_unit_test(socket_workload_ends_when_the_host_is_gone),
		cmocka_unit_test(workload_says_when_the_agents_uid_is_not_mapped),
		cmocka_unit_test(connected_guest_serves_a_bottle_without_listeners),
		cmocka_unit_test(connected_guest_ends_all_that_is_its_own),
		cmocka_unit_test(connected_guest_that_lost_its_host_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
