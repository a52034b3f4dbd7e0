/*
 * The network of a bottle without a network card, seen from both ends: guest programs (Python and
 * its sockets) on the one side, the EGRESS streams that reach the host on the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "host.h"

static const uint16_t ports[] = { 8443, 9000, 0 };

static int setup(void **state)
{
	*state = host_start(&(struct host_options){ .ports = ports });
	return 0;
}

static int teardown(void **state)
{
	host_free(*state);
	return 0;
}

#define PRELUDE                                                                                  \
	"import socket, struct, sys, errno, time, threading\n"                                   \
	"def dial(host, port, family=0):\n"                                                      \
	"    last = None\n"                                                                      \
	"    for a in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM):\n"             \
	"        s = socket.socket(a[0], a[1]); s.settimeout(15); s.connect(a[4]); return s\n"   \
	"def query(name, kind, server=('127.0.0.1', 53), family=socket.AF_INET, raw=None):\n"    \
	"    q = raw if raw is not None else struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + "    \
	"b''.join(bytes([len(l)]) + l.encode() for l in name.split('.') if l) + "                \
	"b'\\0' + struct.pack('>HH', kind, 1)\n"                                                 \
	"    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(2); s.connect(server)\n" \
	"    for i in range(5):\n"                                                               \
	"        s.send(q)\n"                                                                    \
	"        try: return s.recv(600)\n"                                                      \
	"        except TimeoutError: pass\n"

static struct host_stream *start(struct host *h, const char *script)
{
	char text[8192];
	const char *const argv[] = { "python3", "-c", text, NULL };
	struct host_stream *s;

	(void)snprintf(text, sizeof(text), "%s%s", PRELUDE, script);
	s = host_exec_open(h, &(struct host_exec){ .argv = argv });
	host_send(s, EXEC_STDIN_EOF, NULL, 0);
	return s;
}

static void finish(struct host_stream *s, const char *out)
{
	struct host_result r;

	host_collect(s, &r);
	if (r.code != 0)
		fail_msg("code %d: %s", r.code, host_text(&r.err));
	assert_string_equal(host_text(&r.out), out);
	host_result_done(&r);
}

/* Reads until the text has come. */
static void expect(struct host_stream *s, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(host_read(s, n), n);
	assert_memory_equal(bb_buf_peek(&s->in).p, text, n);
	bb_buf_consume(&s->in, n);
}

static void say(struct host_stream *s, const char *text)
{
	assert_int_equal(mux_stream_write(s->s, text, strlen(text)), strlen(text));
}

static void expect_connect(struct host_stream *s, const char *authority)
{
	char head[600];

	(void)snprintf(head, sizeof(head), "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority,
		       authority);
	expect(s, head);
	assert_int_equal(bb_buf_size(&s->in), 0); /* nothing before the answer */
}

static void transparent_tcp_carries_the_name_on_every_routed_port(void **state)
{
	static const struct {
		const char *host, *family, *authority;
		int port;
	} cases[] = {
		{ "api.example.com", "socket.AF_INET", "api.example.com:443", 443 },
		{ "api.example.com", "socket.AF_INET6", "api.example.com:443", 443 },
		{ "Plain.Example.ORG", "0", "plain.example.org:80", 80 },
		{ "svc.example.com", "socket.AF_INET", "svc.example.com:8443", 8443 },
		{ "svc.example.com", "socket.AF_INET6", "svc.example.com:9000", 9000 },
		{ "192.0.2.7", "0", "192.0.2.7:443", 443 },
		{ "2001:db8::7", "0", "[2001:db8::7]:80", 80 },
		{ "198.18.77.77", "0", "198.18.77.77:443", 443 }, /* nobody's */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host_stream *guest, *egress;
		char script[512];

		(void)snprintf(script, sizeof(script),
			       "s = dial('%s', %d, %s)\n"
			       "s.sendall(b'ping'); print(s.recv(4).decode()); "
			       "s.shutdown(socket.SHUT_WR); print(s.recv(100).decode(), "
			       "s.recv(1) == b'')\n",
			       cases[i].host, cases[i].port, cases[i].family);
		guest = start(*state, script);
		egress = host_accept(*state, HOST_WAIT_MS);
		assert_non_null(egress);
		expect_connect(egress, cases[i].authority);
		say(egress, "HTTP/1.1 200 OK\r\nX: y\r\n\r\npong"); /* answer and data in one */
		expect(egress, "ping");
		HOST_UNTIL(*state, mux_stream_at_eof(egress->s));
		say(egress, "last"); /* the other half is still open */
		mux_stream_finish(egress->s);
		finish(guest, "pong\nlast True\n");
		host_close(egress);
	}
}

static void refused_connect_resets_the_client(void **state)
{
	struct host_stream *guest =
		start(*state, "try: print(dial('bad.example.com', 443).recv(100))\n"
			      "except ConnectionResetError: print('reset')\n");
	struct host_stream *egress = host_accept(*state, HOST_WAIT_MS);

	expect_connect(egress, "bad.example.com:443");
	say(egress, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
	finish(guest, "reset\n");
	host_close(egress);
}

static void reset_goes_through_both_ways(void **state)
{
	struct host_stream *guest =
		start(*state, "s = dial('a.example.com', 443); s.sendall(b'x')\n"
			      "try: print(s.recv(100))\n"
			      "except ConnectionResetError: print('reset')\n"
			      "s = dial('b.example.com', 443); s.sendall(b'x')\n"
			      "s.recv(1)\n"
			      "s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, "
			      "struct.pack('ii', 1, 0)); s.close()\n");
	struct host_stream *egress = host_accept(*state, HOST_WAIT_MS);

	expect_connect(egress, "a.example.com:443");
	say(egress, "HTTP/1.1 200 OK\r\n\r\n");
	expect(egress, "x");
	host_close(egress);
	egress = host_accept(*state, HOST_WAIT_MS);
	expect_connect(egress, "b.example.com:443");
	say(egress, "HTTP/1.1 200 OK\r\n\r\ny");
	expect(egress, "x");
	HOST_UNTIL(*state, egress->is_reset);
	finish(guest, "reset\n");
	host_close(egress);
}

static void explicit_proxy_passes_bytes_as_they_are(void **state)
{
	struct host_stream *guest =
		start(*state, "s = dial('127.0.0.1', 9099); "
			      "s.sendall(b'GET http://a/ HTTP/1.1\\r\\n\\r\\n'); "
			      "print(s.recv(100).decode())\n");
	struct host_stream *egress = host_accept(*state, HOST_WAIT_MS);

	expect(egress, "GET http://a/ HTTP/1.1\r\n\r\n");
	say(egress, "HTTP/1.1 403 no\r\n");
	finish(guest, "HTTP/1.1 403 no\r\n\n");
	host_close(egress);
}

static void guests_own_server_on_a_routed_port_is_untouched(void **state)
{
	finish(start(*state, "socket.getaddrinfo('warm.example.com', 8443)\n"
			     "l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, "
			     "socket.SO_REUSEADDR, 1)\n"
			     "l.bind(('127.0.0.1', 8443)); l.listen()\n"
			     "socket.getaddrinfo('cold.example.com', 8443)\n"
			     "def serve():\n"
			     "    c, _ = l.accept(); c.sendall(b'mine'); c.close()\n"
			     "threading.Thread(target=serve).start()\n"
			     "print(dial('127.0.0.1', 8443).recv(10).decode())\n"),
	       "mine\n");
	assert_null(host_accept(*state, 200));
}

static void what_nothing_listens_to_is_refused_at_once(void **state)
{
	finish(start(*state,
		     "for host, port in (('x.example.com', 8444), ('192.0.2.1', 22), "
		     "('127.0.0.1', 443), ('::1', 80), ('10.0.2.15', 443), ('192.0.2.1', 8443)):\n"
		     "    t = time.time()\n"
		     "    try: s = dial(host, port); s.recv(1); print('connected', host, port)\n"
		     "    except (ConnectionRefusedError, ConnectionResetError): pass\n"
		     "    assert time.time() - t < 3\n"
		     "for server in (('192.0.2.1', 443), ('192.0.2.1', 123)):\n"
		     "    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(3)\n"
		     "    u.connect(server); u.send(b'quic')\n"
		     "    try: u.recv(10); print('answer')\n"
		     "    except ConnectionRefusedError: print('refused')\n"),
	       "refused\nrefused\n");
	assert_null(host_accept(*state, 200));
}

static void dns_answers_names_and_nothing_else(void **state)
{
	finish(start(*state,
		     "def show(p): return p[3] & 15, struct.unpack('>HHHH', p[4:12])\n"
		     "a = query('a.example.com', 1); b = query('a.example.com', 1)\n"
		     "print(show(a), a[-4:-2] in (b'\\xc6\\x12', b'\\xc6\\x13'), a == b)\n"
		     "print(query('b.example.com', 1)[-4:] != a[-4:])\n"
		     "print(show(query('a.example.com', 28)), "
		     "query('a.example.com', 28)[-16:-4] == bytes.fromhex('fd000b0b') + bytes(8))\n"
		     "print(show(query('a.example.com', 16)), show(query('a.example.com', 65)))\n"
		     "print(show(query('bad name.example', 1)), show(query('1.2.3.4', 1)))\n"
		     "print(query('localhost', 1)[-4:])\n"
		     "print(show(query('c.example.com', 1, ('8.8.8.8', 53))))\n"
		     "print(show(query('c.example.com', 1, ('2001:db8::53', 53), "
		     "socket.AF_INET6)))\n"
		     "t = socket.create_connection(('192.0.2.53', 53)); t.settimeout(5)\n"
		     "q = struct.pack('>HHHHHH', 9, 0x100, 1, 0, 0, 0) + "
		     "b'\\1t\\2de\\0\\0\\1\\0\\1'\n"
		     "m = struct.pack('>H', len(q)) + q\n"
		     "t.sendall(m + m[:5]); p = t.recv(600); t.sendall(m[5:]); "
		     "p2 = t.recv(600); print(len(p) == 2 + p[1], p == p2)\n"),
	       "(0, (1, 1, 0, 0)) True True\n"
	       "True\n"
	       "(0, (1, 1, 0, 0)) True\n"
	       "(0, (1, 0, 0, 0)) (0, (1, 0, 0, 0))\n"
	       "(3, (1, 0, 0, 0)) (3, (1, 0, 0, 0))\n"
	       "b'\\x7f\\x00\\x00\\x01'\n"
	       "(0, (1, 1, 0, 0))\n"
	       "(0, (1, 1, 0, 0))\n"
	       "True True\n");
	assert_null(host_accept(*state, 100)); /* no name leaves the guest by being asked for */
}

static void dns_survives_rubbish_and_too_many_names(void **state)
{
	finish(start(*state,
		     "import os\n"
		     "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
		     "for i in range(2000): u.sendto(os.urandom(i % 600), ('127.0.0.1', 53))\n"
		     "first = query('n0.example', 1)[-4:]\n"
		     "for i in range(5000): last = query('n%d.example' % i, 1)\n"
		     "print(query('n4999.example', 1) == last)\n"
		     "print(query('n0.example', 1)[-4:] != first)\n"),
	       "True\nTrue\n");
}

static void connections_beyond_the_limit_are_reset_and_the_rest_lives(void **state)
{
	struct host_stream *guest = start(
		*state, "import resource\n"
			"resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit("
			"resource.RLIMIT_NOFILE)[1],) * 2)\n"
			"held = []; failed = 0\n"
			"for i in range(520):\n"
			"    s = socket.create_connection(('127.0.0.1', 9099)); s.settimeout(10); "
			"held.append(s)\n"
			"gone = set(); end = time.time() + 10\n"
			"while len(gone) < 8 and time.time() < end:\n"
			"    for s in held:\n"
			"        try: s.setblocking(False); s.recv(1)\n"
			"        except BlockingIOError: pass\n"
			"        except OSError: gone.add(s)\n"
			"failed = len(gone)\n"
			"print(failed)\n"
			"for s in held: s.close()\n"
			"s = socket.create_connection(('127.0.0.1', 9099)); s.close()\n");

	finish(guest, "8\n");
}

static void answer_without_an_end_is_bounded(void **state)
{
	struct host_stream *guest =
		start(*state, "try: print(dial('long.example.com', 443).recv(100))\n"
			      "except ConnectionResetError: print('reset')\n");
	struct host_stream *egress = host_accept(*state, HOST_WAIT_MS);

	expect_connect(egress, "long.example.com:443");
	say(egress, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 600 && !egress->is_reset; i++) {
		say(egress, "X-Header: 0123456789\r\n");
		host_turn(*state, 0);
	}
	HOST_UNTIL(*state, egress->is_reset);
	finish(guest, "reset\n");
	host_close(egress);
}

/* 32 connections at a time; the thirty-third is closed, the others still answer. And more names on
 * routed ports than there may be listeners: the newest are reachable. */
static void dns_connections_and_named_listeners_are_bounded(void **state)
{
	struct host_stream *guest = start(
		*state,
		"q = struct.pack('>HHHHHH', 9, 0x100, 1, 0, 0, 0) + b'\\1t\\2de\\0\\0\\1\\0\\1'\n"
		"m = struct.pack('>H', len(q)) + q\n"
		"held = [socket.create_connection(('127.0.0.1', 53)) for i in range(32)]\n"
		"for s in held: s.settimeout(10); s.sendall(m); s.recv(600)\n"
		"more = socket.create_connection(('127.0.0.1', 53)); more.settimeout(10)\n"
		"try: print(more.recv(1))\n"
		"except ConnectionResetError: print(b'')\n"
		"held[0].sendall(m); print(len(held[0].recv(600)) > 2)\n"
		"for i in range(300): query('l%d.example' % i, 1)\n"
		"s = dial('l299.example', 9000, socket.AF_INET); s.recv(1)\n");
	struct host_stream *egress = host_accept(*state, HOST_WAIT_MS);

	assert_non_null(egress);
	expect_connect(egress, "l299.example:9000");
	say(egress, "HTTP/1.1 200 OK\r\n\r\nx");
	finish(guest, "b''\nTrue\n");
	host_close(egress);
}

static void bulk_through_a_relay_is_complete(void **state)
{
	struct host_stream *guest =
		start(*state, "import hashlib\n"
			      "s = dial('bulk.example.com', 443); d = bytes(range(256)) * 40000\n"
			      "threading.Thread(target=lambda: (s.sendall(d), "
			      "s.shutdown(socket.SHUT_WR))).start()\n"
			      "n = b''\n"
			      "while True:\n"
			      "    p = s.recv(65536)\n"
			      "    if not p: break\n"
			      "    n += p\n"
			      "print(n == d)\n");
	struct host_stream *egress = host_accept(*state, HOST_WAIT_MS);
	size_t total = 0;

	expect_connect(egress, "bulk.example.com:443");
	say(egress, "HTTP/1.1 200 OK\r\n\r\n");
	/* An echo. */
	HOST_UNTIL(*state, ({
		struct bb_view v = mux_stream_peek(egress->s);
		size_t n = mux_stream_write(egress->s, v.p, v.n);

		mux_stream_consume(egress->s, n);
		total += n;
		mux_stream_at_eof(egress->s);
	}));
	assert_int_equal(total, 256 * 40000);
	mux_stream_finish(egress->s);
	finish(guest, "True\n");
	host_close(egress);
}

#define NET_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(transparent_tcp_carries_the_name_on_every_routed_port),
		NET_TEST(refused_connect_resets_the_client),
		NET_TEST(reset_goes_through_both_ways),
		NET_TEST(explicit_proxy_passes_bytes_as_they_are),
		NET_TEST(guests_own_server_on_a_routed_port_is_untouched),
		NET_TEST(what_nothing_listens_to_is_refused_at_once),
		NET_TEST(dns_answers_names_and_nothing_else),
		NET_TEST(dns_survives_rubbish_and_too_many_names),
		NET_TEST(connections_beyond_the_limit_are_reset_and_the_rest_lives),
		NET_TEST(answer_without_an_end_is_bounded),
		NET_TEST(dns_connections_and_named_listeners_are_bounded),
		NET_TEST(bulk_through_a_relay_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
