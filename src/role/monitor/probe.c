/*
 * The probe. Where somebody else's program makes the guest's network, its word that the guest is
 * confined is not taken: before the agent runs, the guest is asked to reach what it must not, and
 * the bundle, which it must. One wrong answer ends the launch and says which; the machine is then
 * deleted like that of any launch that failed.
 *
 * The guest is ours until the agent runs (bottle-init, nothing else), so its word counts; where
 * this side can see for itself it looks, too: at both canaries for a connection, and at the host
 * for the port on which the guest listens.
 */
#include "role/monitor/monitor_impl.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/messages.h"
#include "sys/resolvers.h"

#define PROBE_MS      30000 /* its parts have shorter limits in bottle-init */
#define PROBE_TARGETS (2 * PROTO_PROBE_ENDPOINTS)
#define PROBE_HOST    "bot-bottle-probe.invalid" /* RFC 6761: nobody's, ever */

void probe_init(struct probe *p)
{
	*p = (struct probe){ .canaries = { -1, -1 } };
}

void probe_done(struct probe *p)
{
	for (size_t i = 0; i < NUM_CANARIES; i++) {
		bb_cleanup_fd(&p->canaries[i]);
		p->canaries[i] = -1;
	}
	free(bb_take_ptr(&p->targets));
	loop_timer_free(p->timer);
	p->timer = NULL;
}

static void add(struct probe *p, const char *address, uint16_t port, bool is_udp, const char *what)
{
	struct probe_target *t = &p->targets[p->target_count];
	unsigned bit = 0;

	for (size_t i = 0; i < p->target_count; i++)
		bit += p->targets[i].is_udp == is_udp;
	*t = (struct probe_target){ .is_udp = is_udp, .bit = bit, .what = what };
	if (bit == PROTO_PROBE_ENDPOINTS || inet_pton(AF_INET, address, t->endpoint) != 1)
		return; /* a resolver that has no IPv4 address */
	bb_put_be16(t->endpoint + 4, port);
	p->target_count++;
}

static int port_of(int fd)
{
	struct sockaddr_in at = { 0 };
	socklen_t n = sizeof(at);

	return getsockname(fd, (struct sockaddr *)&at, &n) < 0 ? -errno : ntohs(at.sin_port);
}

static int listen_anywhere(int *ret_fd)
{
	const struct sockaddr_in at = { .sin_family = AF_INET };
	BB_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0)
		return -errno;
	*ret_fd = bb_take_fd(&fd);
	return port_of(*ret_fd);
}

/* The bundle's own address in the guest's network, from the proxy's URL; "" in a machine without
 * a network. */
static void read_proxy(const struct monitor *m, char address[INET_ADDRSTRLEN], uint16_t *ret_port)
{
	const char *at = strrchr(m->launch.kept.proxy_url, '@');
	const char *colon = at == NULL ? NULL : strchr(at, ':');

	address[0] = '\0';
	*ret_port = 0;
	if (colon == NULL || colon - at - 1 >= INET_ADDRSTRLEN)
		return;
	(void)snprintf(address, INET_ADDRSTRLEN, "%.*s", (int)(colon - at - 1), at + 1);
	*ret_port = (uint16_t)strtoul(colon + 1, NULL, 10); /* the keeper's own number */
}

static void add_resolvers(struct probe *p)
{
	struct in_addr own[RESOLVERS_MAX];
	size_t n = resolvers_read(own);

	for (size_t i = 0; i < n; i++) {
		char number[INET_ADDRSTRLEN] = "";

		(void)inet_ntop(AF_INET, &own[i], number, sizeof(number));
		add(p, number, 53, false, "this host's name server (by TCP)");
		add(p, number, 53, true, "this host's name server");
	}
}

static int make_targets(struct monitor *m, const char *address, struct bb_err *err)
{
	struct probe *p = &m->launch.kept.probe;
	int port = listen_anywhere(&p->canaries[CANARY_HOST]);
	int other = p->canaries[CANARY_ADDRESS] < 0 ? 0 : port_of(p->canaries[CANARY_ADDRESS]);

	p->targets = calloc(PROBE_TARGETS, sizeof(*p->targets));
	if (p->targets == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (port < 0 || other < 0)
		return bb_err_set(err, port < 0 ? port : other,
				  "cannot open a port that the guest must not reach");
	if (address[0] != '\0')
		add(p, address, (uint16_t)port, false, "a port of this host on all its addresses");
	add(p, "127.0.0.1", (uint16_t)port, false, "this host's loopback");
	add(p, "127.0.0.31", (uint16_t)port, false, "another loopback address of this host");
	if (other > 0) {
		struct sockaddr_in at = { 0 };
		socklen_t n = sizeof(at);
		char text[INET_ADDRSTRLEN] = "";

		if (getsockname(p->canaries[CANARY_ADDRESS], (struct sockaddr *)&at, &n) == 0)
			(void)inet_ntop(AF_INET, &at.sin_addr, text, sizeof(text));
		add(p, text, (uint16_t)other, false,
		    "an address beside the bundle's; the machine's allow-list is not in force");
	}
	add(p, "1.1.1.1", 53, false, "the Internet (1.1.1.1, port 53)");
	add(p, "1.1.1.1", 53, true, "a name server of the Internet (1.1.1.1)");
	add(p, "169.254.169.254", 80, false, "the metadata service (169.254.169.254)");
	add_resolvers(p);
	return 0;
}

/* A port that is free on this host now. */
static uint16_t choose_port(void)
{
	BB_AUTO_CLOSE int fd = -1;
	int port = listen_anywhere(&fd);

	return port < 0 ? 0 : (uint16_t)port;
}

static int put_request(const struct monitor *m, struct bb_buf *body, const char *address,
		       uint16_t port)
{
	const char *login = strstr(m->launch.kept.proxy_url, "://");
	const char *at = strrchr(m->launch.kept.proxy_url, '@');
	char request[512], field[256] = "", text[192];
	uint8_t endpoint[PROTO_PROBE_ENDPOINT];
	int r = 0;

	if (address[0] != '\0' && login != NULL && at != NULL) {
		struct bb_view v = bb_view_of(login + 3, (size_t)(at - login - 3));

		if (bb_base64(v, text, sizeof(text)) < 0 ||
		    inet_pton(AF_INET, address, endpoint) != 1)
			return -EINVAL;
		bb_put_be16(endpoint + 4, port);
		r = bb_tlv_put(body, LIFECYCLE_TAG_PROBE_PROXY, endpoint, sizeof(endpoint));
		(void)snprintf(field, sizeof(field), "Proxy-Authorization: Basic %s\r\n", text);
	}
	(void)snprintf(request, sizeof(request),
		       "GET http://" PROBE_HOST "/ HTTP/1.1\r\nHost: " PROBE_HOST "\r\n%s\r\n",
		       field);
	if (r == 0)
		r = bb_tlv_put_str(body, LIFECYCLE_TAG_PROBE_REQUEST, request);
	explicit_bzero(field, sizeof(field));
	explicit_bzero(request, sizeof(request));
	explicit_bzero(text, sizeof(text));
	return r;
}

static int put_question(struct monitor *m, struct bb_buf *body, const char *address, uint16_t port)
{
	struct probe *p = &m->launch.kept.probe;
	char name[64];
	uint64_t random;
	int r = 0;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -errno;
	(void)snprintf(name, sizeof(name), "bot-bottle-%016llx.example.com",
		       (unsigned long long)random);
	for (size_t i = 0; r == 0 && i < p->target_count; i++)
		r = bb_tlv_put(body,
			       p->targets[i].is_udp ? LIFECYCLE_TAG_PROBE_UDP
						    : LIFECYCLE_TAG_PROBE_TCP,
			       p->targets[i].endpoint, PROTO_PROBE_ENDPOINT);
	if (r == 0)
		r = bb_tlv_put_str(body, LIFECYCLE_TAG_PROBE_NAME, name);
	if (r == 0)
		r = bb_tlv_put_u32(body, LIFECYCLE_TAG_PROBE_LISTEN, p->listen_port);
	return r < 0 ? r : put_request(m, body, address, port);
}

static void on_late(void *arg)
{
	monitor_end(arg, 125, "the guest did not say in time what it reaches");
}

static int ask(struct monitor *m, struct bb_err *err)
{
	struct probe *p = &m->launch.kept.probe;
	char address[INET_ADDRSTRLEN];
	struct bb_buf fields, body;
	uint16_t port;
	int r;

	read_proxy(m, address, &port);
	p->listen_port = choose_port();
	p->timer = loop_timer_new(m->loop, on_late, m);
	r = p->timer == NULL || p->listen_port == 0
		    ? bb_err_set(err, -ENOMEM, "cannot prepare the probe of the guest")
		    : make_targets(m, address, err);
	if (r < 0)
		return r;
	bb_buf_init(&fields, LIMIT_PROTO_FRAME);
	bb_buf_init(&body, LIMIT_IPC_BODY);
	r = put_question(m, &fields, address, port);
	if (r == 0)
		r = bb_tlv_put_view(&body, 1, bb_buf_peek(&fields));
	if (r == 0)
		r = link_send(part_link(m, PART_CHANNEL), IPC_CHANNEL_PROBE, 0, bb_buf_peek(&body),
			      NULL, 0);
	bb_buf_wipe(&fields);
	bb_buf_wipe(&body);
	loop_timer_set(p->timer, PROBE_MS);
	return r < 0 ? bb_err_set(err, r, "cannot probe the guest: %s", bb_err_name(r)) : 0;
}

void probe_ask(struct monitor *m)
{
	struct bb_err err = { 0 };

	m->launch.kept.probe.is_asked = true;
	launch_step(m, "asking the guest what it reaches");
	if (ask(m, &err) < 0)
		monitor_end(m, 125, "%s", err.msg);
}

void probe_answered(struct monitor *m, const uint32_t numbers[PROBE_NUMBERS])
{
	struct probe *p = &m->launch.kept.probe;
	struct bb_err err = { 0 };

	loop_timer_stop(p->timer);
	if (probe_judge(p, numbers, &err) < 0) {
		monitor_end(m, 125, "%s", err.msg);
		return;
	}
	p->has_passed = true;
	launch_advance(m);
}
