/*
 * The probe, in two halves. First every endpoint at once, waiting PROBE_REACH_MS at most for all of
 * them: nothing else runs yet, so that this process may wait. A packet that is dropped and one that
 * is refused are the same here: not reached. Then one request to egress, on the way that the
 * agent's will take, and its answer comes by the loop because the mux carries it.
 */
#include "guest/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/tlv.h"
#include "guest/lifecycle.h"
#include "guest/relay.h"
#include "sys/resolvers.h"

#define PROBE_REACH_MS  2500
#define PROBE_BUNDLE_MS 10000
#define PROBE_SOCKETS   (2 * PROTO_PROBE_ENDPOINTS + RESOLVERS_MAX)
#define PROBE_ANSWER    4096
#define DNS_PORT        53
#define DNS_PACKET      512

struct probe {
	struct guest *guest;
	int listen_fd;     /* -1: could not */
	int bundle_fd;     /* our end; -1: over */
	uint32_t tcp, udp; /* what was reached */
	struct poll_watch watch;
	struct poll_timer timer;
	struct bb_buf request, answer;
	struct relay *relays;
	size_t relay_count;
};

struct endpoint {
	int fd; /* -1: done, or could not be tried */
	bool is_udp;
	uint32_t bit;
};

/* A query for an address of name; its length, 0: the name is none. */
static size_t make_query(struct bb_view name, uint8_t dst[DNS_PACKET])
{
	static const uint8_t head[12] = {
		0x42, 0x42, 1, 0, 0, 1
	};                                                /* recursion desired, one question */
	static const uint8_t tail[5] = { 0, 0, 1, 0, 1 }; /* the root; A, IN */
	size_t n = sizeof(head);

	if (name.n == 0 || name.n > DNS_PACKET - sizeof(head) - sizeof(tail) - 1)
		return 0;
	memcpy(dst, head, n);
	while (name.n > 0) {
		const uint8_t *dot = memchr(name.p, '.', name.n);
		size_t label = dot == NULL ? name.n : (size_t)(dot - name.p);

		if (label == 0 || label > 63)
			return 0;
		dst[n++] = (uint8_t)label;
		memcpy(dst + n, name.p, label);
		n += label;
		name = bb_view_from(name, dot == NULL ? label : label + 1);
	}
	memcpy(dst + n, tail, sizeof(tail));
	return n + sizeof(tail);
}

static struct sockaddr_in address_of(const uint8_t raw[PROTO_PROBE_ENDPOINT])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(bb_be16(raw + 4)) };

	memcpy(&at.sin_addr, raw, 4);
	return at;
}

/* True: reached at once. */
static bool try_endpoint(struct endpoint *e, const struct sockaddr_in *at, const uint8_t *query,
			 size_t query_size)
{
	int type = e->is_udp ? SOCK_DGRAM : SOCK_STREAM;
	int r;

	e->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (e->fd < 0)
		return false; /* no sockets, nothing reached */
	r = connect(e->fd, (const struct sockaddr *)at, sizeof(*at));
	if (r == 0 && !e->is_udp)
		return true;
	if ((r < 0 && errno != EINPROGRESS) ||
	    (e->is_udp && send(e->fd, query, query_size, MSG_NOSIGNAL) < 0))
		bb_cleanup_fd(&e->fd), e->fd = -1;
	return false;
}

/* What became of it, once something did: reached, or not. */
static bool is_reached(const struct endpoint *e)
{
	socklen_t n = sizeof(int);
	uint8_t packet[DNS_PACKET];
	int error = EIO;

	if (e->is_udp)
		return recv(e->fd, packet, sizeof(packet), MSG_DONTWAIT) >= 0;
	return getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0;
}

struct reach {
	struct probe *probe;
	struct endpoint endpoints[PROBE_SOCKETS];
	size_t count;
	uint8_t query[DNS_PACKET];
	size_t query_size;
};

static void note_reached(struct reach *r, struct endpoint *e)
{
	if (e->is_udp)
		r->probe->udp |= e->bit;
	else
		r->probe->tcp |= e->bit;
	bb_cleanup_fd(&e->fd);
	e->fd = -1;
}

static void add(struct reach *r, const struct sockaddr_in *at, bool is_udp, uint32_t bit)
{
	struct endpoint *e = &r->endpoints[r->count++];

	*e = (struct endpoint){ .fd = -1, .is_udp = is_udp, .bit = bit };
	if (try_endpoint(e, at, r->query, r->query_size))
		note_reached(r, e);
}

/* Those that the machine would ask by itself. */
static void add_own(struct reach *r)
{
	struct in_addr own[RESOLVERS_MAX];
	size_t n = resolvers_read(own);

	for (size_t i = 0; i < n; i++) {
		const struct sockaddr_in at = { .sin_family = AF_INET,
						.sin_port = htons(DNS_PORT),
						.sin_addr = own[i] };

		add(r, &at, true, PROTO_PROBE_OWN);
	}
}

static void wait_for_all(struct reach *r)
{
	uint64_t deadline = bb_clock_ms() + PROBE_REACH_MS;
	bool is_waiting = true;

	while (is_waiting && bb_clock_left_ms(deadline) > 0) {
		struct pollfd p[PROBE_SOCKETS];

		is_waiting = false;
		for (size_t i = 0; i < r->count; i++) {
			const struct endpoint *e = &r->endpoints[i];

			p[i] = (struct pollfd){ .fd = e->fd,
						.events = e->is_udp ? POLLIN : POLLOUT };
			is_waiting = is_waiting || e->fd >= 0;
		}
		if (!is_waiting || poll(p, r->count, bb_clock_left_ms(deadline)) <= 0)
			continue;
		for (size_t i = 0; i < r->count; i++) {
			struct endpoint *e = &r->endpoints[i];

			if (e->fd < 0 || p[i].revents == 0)
				continue;
			if (is_reached(e)) {
				note_reached(r, e);
			} else {
				bb_cleanup_fd(&e->fd);
				e->fd = -1;
			}
		}
	}
	for (size_t i = 0; i < r->count; i++)
		bb_cleanup_fd(&r->endpoints[i].fd);
}

static int listen_on(uint32_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	BB_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0)
		return -1;
	return bb_take_fd(&fd);
}

/* "HTTP/1.1 403 ..." of egress; its own word is in what follows. 0: not that. */
static uint32_t status_of(struct bb_view v)
{
	static const char version[] = "HTTP/1.1 ";
	uint32_t status = 0;

	if (v.n < sizeof(version) + 2 || memcmp(v.p, version, sizeof(version) - 1) != 0 ||
	    memmem(v.p, v.n, "bot-bottle", 10) == NULL)
		return 0;
	for (const uint8_t *p = v.p + sizeof(version) - 1; p < v.p + sizeof(version) + 2; p++) {
		if (*p < '0' || *p > '9')
			return 0;
		status = status * 10 + (uint32_t)(*p - '0');
	}
	return status;
}

static void answer(struct probe *p)
{
	BB_AUTO_BUF struct bb_buf body;
	uint32_t status = status_of(bb_buf_peek(&p->answer));
	int r;

	poll_del(&p->guest->loop, &p->watch);
	poll_timer_stop(&p->guest->loop, &p->timer);
	bb_cleanup_fd(&p->bundle_fd);
	p->bundle_fd = -1;
	bb_buf_init(&body, 64);
	r = bb_tlv_put_u32(&body, LIFECYCLE_TAG_PROBED_TCP, p->tcp);
	if (r == 0)
		r = bb_tlv_put_u32(&body, LIFECYCLE_TAG_PROBED_UDP, p->udp);
	if (r == 0)
		r = bb_tlv_put_u32(&body, LIFECYCLE_TAG_PROBED_LISTENS, p->listen_fd >= 0);
	if (r == 0)
		r = bb_tlv_put_u32(&body, LIFECYCLE_TAG_PROBED_BUNDLE, status);
	if (r == 0)
		lifecycle_probed(p->guest, &body);
}

static void on_timer(void *arg)
{
	answer(arg);
}

static void on_bundle(void *arg, int events)
{
	struct probe *p = arg;
	uint8_t chunk[1024];
	struct bb_view v = bb_buf_peek(&p->request);
	ssize_t n;

	(void)events;
	if (v.n > 0) {
		n = send(p->bundle_fd, v.p, v.n, MSG_NOSIGNAL);
		if (n > 0)
			bb_buf_consume(&p->request, (size_t)n);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			answer(p);
		else if (bb_buf_size(&p->request) == 0)
			poll_set(&p->guest->loop, &p->watch, POLL_READ);
		return;
	}
	n = recv(p->bundle_fd, chunk, sizeof(chunk), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || bb_buf_append(&p->answer, chunk, (size_t)n) < 0)
		answer(p); /* egress closes after a refusal: all of it is here */
}

/* The way that the agent's requests take: its own connection, or a stream. -1: none. */
static int dial_bundle(struct probe *p, struct bb_view proxy)
{
	struct relay_plan plan = { .fd = -1 };
	struct sockaddr_in at;
	int ends[2], fd;

	if (proxy.n == PROTO_PROBE_ENDPOINT) {
		at = address_of(proxy.p);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 &&
		    errno != EINPROGRESS)
			bb_cleanup_fd(&fd), fd = -1;
		return fd;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	plan.fd = ends[1];
	relay_start(p->guest, &p->relays, &p->relay_count, &plan);
	return ends[0];
}

static int ask_bundle(struct probe *p, struct bb_view proxy, struct bb_view request,
		      struct bb_err *err)
{
	if (bb_buf_append_view(&p->request, request) < 0)
		return bb_err_set(err, -ENOMEM, "probe: out of memory");
	p->bundle_fd = dial_bundle(p, proxy);
	if (p->bundle_fd < 0 ||
	    poll_add(&p->guest->loop, &p->watch, p->bundle_fd, POLL_WRITE) < 0) {
		answer(p);
		return 0;
	}
	poll_timer_set(&p->guest->loop, &p->timer, PROBE_BUNDLE_MS);
	return 0;
}

static void reach_all(struct probe *p, struct bb_view name, const struct bb_view *tcp,
		      const struct bb_view *udp, const size_t counts[2])
{
	struct reach r = { .probe = p };

	r.query_size = make_query(name, r.query);
	for (size_t i = 0; i < counts[0]; i++) {
		struct sockaddr_in at = address_of(tcp[i].p);

		add(&r, &at, false, 1u << i);
	}
	for (size_t i = 0; i < counts[1]; i++) {
		struct sockaddr_in at = address_of(udp[i].p);

		add(&r, &at, true, 1u << i);
	}
	add_own(&r);
	wait_for_all(&r);
}

static bool are_endpoints(const struct bb_view *v, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (v[i].n != PROTO_PROBE_ENDPOINT)
			return false;
	return true;
}

static struct probe *probe_new(struct guest *g)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	*p = (struct probe){ .guest = g,
			     .listen_fd = -1,
			     .bundle_fd = -1,
			     .watch = { .fd = -1, .cb = on_bundle, .arg = p },
			     .timer = { .cb = on_timer, .arg = p } };
	bb_buf_init(&p->request, LIMIT_PROTO_FRAME);
	bb_buf_init(&p->answer, PROBE_ANSWER);
	return p;
}

int probe_start(struct guest *g, struct bb_view body, struct bb_err *err)
{
	struct bb_view tcp[PROTO_PROBE_ENDPOINTS], udp[PROTO_PROBE_ENDPOINTS];
	struct bb_view name = { 0 }, proxy = { 0 }, request = { 0 };
	size_t counts[2] = { 0 };
	uint32_t port = 0;
	const struct bb_tlv_field fields[] = {
		{ LIFECYCLE_TAG_PROBE_TCP, BB_TLV_BYTES, .max = PROTO_PROBE_ENDPOINT, .out = tcp,
		  .count = &counts[0], .repeat_max = BB_ARRAY_LEN(tcp) },
		{ LIFECYCLE_TAG_PROBE_UDP, BB_TLV_BYTES, .max = PROTO_PROBE_ENDPOINT, .out = udp,
		  .count = &counts[1], .repeat_max = BB_ARRAY_LEN(udp) },
		{ LIFECYCLE_TAG_PROBE_NAME, BB_TLV_STR, .max = 253, .out = &name },
		{ LIFECYCLE_TAG_PROBE_LISTEN, BB_TLV_U32, .out = &port },
		{ LIFECYCLE_TAG_PROBE_PROXY, BB_TLV_BYTES, .max = PROTO_PROBE_ENDPOINT,
		  .out = &proxy },
		{ LIFECYCLE_TAG_PROBE_REQUEST, BB_TLV_STR, .max = 4096, .out = &request },
	};
	int r = bb_tlv_read(body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (g->probe != NULL || port > 65535 || !are_endpoints(tcp, counts[0]) ||
	    !are_endpoints(udp, counts[1]))
		return bb_err_set(err, -EPROTO, "a probe comes twice or is malformed");
	g->probe = probe_new(g);
	if (g->probe == NULL)
		return bb_err_set(err, -ENOMEM, "probe: out of memory");
	g->probe->listen_fd = listen_on(port);
	reach_all(g->probe, name, tcp, udp, counts);
	return ask_bundle(g->probe, proxy, request, err);
}

void probe_free(struct guest *g)
{
	struct probe *p = g->probe;

	if (p == NULL)
		return;
	poll_del(&g->loop, &p->watch);
	poll_timer_stop(&g->loop, &p->timer);
	relay_free_all(&p->relays, &p->relay_count);
	bb_cleanup_fd(&p->bundle_fd);
	bb_cleanup_fd(&p->listen_fd);
	bb_buf_wipe(&p->request);
	bb_buf_done(&p->answer);
	free(p);
	g->probe = NULL;
}
