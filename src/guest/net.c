/*
 * The listeners. 80 and 443 are listened to on every address; another port that routes name only on
 * the synthetic addresses that the DNS stub has told, so that the guest's own servers on that port
 * (on loopback) are left alone. The dialled address is the accepted socket's own.
 *
 * Known limit: a guest program cannot bind a routed port to the wildcard address while a listener
 * of ours holds it on a synthetic one (Linux refuses the overlap), nor 80 and 443 at all.
 */
#include "guest/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "guest/dnsd.h"
#include "guest/listen.h"
#include "guest/relay.h"

#define NET_ACCEPTS 32 /* connections before the others get their turn */

struct listener {
	struct poll_watch watch;
	struct guest *guest;
	int family;
	uint32_t number; /* of the name it stands for; 0: not one name's */
	uint16_t port;
	bool is_proxy;
	struct listener *next;
};

struct net {
	struct names *names;
	struct dnsd *dnsd;
	struct listener *listeners; /* newest first */
	size_t named_count;         /* those with a number */
	struct relay *relays;
	size_t relay_count;
};

union net_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The guest's own addresses: nothing of the host stands behind them. */
static bool net_is_own(const union net_address *a)
{
	static const uint8_t own4[4] = { 10, 0, 2, 15 };
	static const uint8_t own6[16] = { 0xfd, [15] = 2 };

	if (a->any.sa_family == AF_INET) {
		const uint8_t *p = (const uint8_t *)&a->v4.sin_addr;

		return p[0] == 127 || memcmp(p, own4, 4) == 0;
	}
	return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr) ||
	       memcmp(&a->v6.sin6_addr, own6, sizeof(own6)) == 0;
}

/* "name:port", "192.0.2.1:port" or "[2001:db8::1]:port". */
static int net_authority(struct net *n, const union net_address *a, char *dst, size_t cap)
{
	bool is_v4 = a->any.sa_family == AF_INET;
	const void *address =
		is_v4 ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr;
	uint16_t port = ntohs(is_v4 ? a->v4.sin_port : a->v6.sin6_port);
	const char *name =
		names_find(n->names, names_number(a->any.sa_family, (const uint8_t *)address));
	char text[INET6_ADDRSTRLEN];
	int r;

	if (name == NULL && inet_ntop(a->any.sa_family, address, text, sizeof(text)) == NULL)
		return -EINVAL;
	if (name != NULL)
		r = snprintf(dst, cap, "%s:%u", name, port);
	else
		r = snprintf(dst, cap, is_v4 ? "%s:%u" : "[%s]:%u", text, port);
	return r > 0 && (size_t)r < cap ? 0 : -EINVAL;
}

static void net_serve(struct listener *l, int fd)
{
	struct net *n = l->guest->net;
	struct relay_plan plan = { .fd = fd };
	union net_address a = { 0 };
	socklen_t size = sizeof(a);
	char authority[320];

	if (!l->is_proxy) {
		if (getsockname(fd, &a.any, &size) < 0 || net_is_own(&a) ||
		    net_authority(n, &a, authority, sizeof(authority)) < 0) {
			relay_refuse(fd);
			return;
		}
		plan.authority = authority;
	}
	relay_start(l->guest, &n->relays, &n->relay_count, &plan);
}

static void net_on_accept(void *arg, int events)
{
	struct listener *l = arg;

	(void)events; /* connections only */
	for (int i = 0; i < NET_ACCEPTS; i++) {
		int fd = accept4(l->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				listen_shed(l->watch.fd);
			return;
		}
		net_serve(l, fd);
	}
}

static void net_close(struct guest *g, struct listener *l)
{
	int fd = l->watch.fd;

	poll_del(&g->loop, &l->watch);
	(void)close(fd); /* what it accepted lives on */
	free(l);
}

/* 0 or -errno. */
static int net_listen(struct guest *g, const struct listen_plan *plan, uint32_t number,
		      bool is_proxy)
{
	struct listener *l = calloc(1, sizeof(*l));
	int fd, r;

	if (l == NULL)
		return -ENOMEM;
	*l = (struct listener){ .guest = g,
				.family = plan->family,
				.number = number,
				.port = plan->port,
				.is_proxy = is_proxy };
	l->watch = (struct poll_watch){ .cb = net_on_accept, .arg = l };
	fd = listen_open(plan);
	if (fd < 0) {
		free(l);
		return fd;
	}
	r = poll_add(&g->loop, &l->watch, fd, POLL_READ);
	if (r < 0) {
		(void)close(fd); /* never used */
		free(l);
		return r;
	}
	l->next = g->net->listeners;
	g->net->listeners = l;
	if (number != 0)
		g->net->named_count++;
	return 0;
}

static void net_close_oldest(struct guest *g)
{
	struct listener **oldest = NULL;

	for (struct listener **p = &g->net->listeners; *p != NULL; p = &(*p)->next)
		if ((*p)->number != 0)
			oldest = p; /* the list has the newest in front */
	if (oldest != NULL) {
		struct listener *l = *oldest;

		*oldest = l->next;
		net_close(g, l);
		g->net->named_count--;
	}
}

static bool net_has(const struct net *n, uint32_t number, int family, uint16_t port)
{
	for (const struct listener *l = n->listeners; l != NULL; l = l->next)
		if (l->number == number && l->family == family && l->port == port)
			return true;
	return false;
}

bool net_is_fixed(uint16_t port)
{
	return port == 80 || port == 443 || port == 53 || port == NET_PROXY_PORT;
}

/* A name's address is about to be told: be there for the ports that routes name. A guest server
 * that holds the port on the wildcard address keeps it, and the connection then is the guest's own
 * affair. */
static void net_on_told(void *arg, uint32_t number, int family)
{
	struct guest *g = arg;
	uint8_t address[16];

	names_address(number, family, address);
	for (size_t i = 0; i < g->provision.port_count; i++) {
		uint16_t port = g->provision.ports[i];

		if (net_is_fixed(port) || net_has(g->net, number, family, port))
			continue;
		if (g->net->named_count >= LIMIT_GUEST_LISTENERS)
			net_close_oldest(g);
		(void)net_listen(g,
				 &(struct listen_plan){ .family = family,
							.type = SOCK_STREAM,
							.address = address,
							.port = port },
				 number, false);
	}
}

static int net_start_fixed(struct guest *g, struct bb_err *err)
{
	static const uint8_t any[16], loopback[4] = { 127, 0, 0, 1 };
	static const struct {
		int family;
		uint16_t port;
		const uint8_t *address;
		bool is_proxy;
	} fixed[] = {
		{ AF_INET, 80, any, false },
		{ AF_INET6, 80, any, false },
		{ AF_INET, 443, any, false },
		{ AF_INET6, 443, any, false },
		{ AF_INET, NET_PROXY_PORT, loopback, true },
	};

	for (size_t i = 0; i < BB_ARRAY_LEN(fixed); i++) {
		int r = net_listen(g,
				   &(struct listen_plan){ .family = fixed[i].family,
							  .type = SOCK_STREAM,
							  .address = fixed[i].address,
							  .port = fixed[i].port },
				   0, fixed[i].is_proxy);

		if (r < 0 && !(r == -EAFNOSUPPORT && fixed[i].family == AF_INET6))
			return bb_err_set(err, r, "port %u (TCP): %s", fixed[i].port,
					  bb_err_name(r));
	}
	return 0;
}

int net_start(struct guest *g, struct bb_err *err)
{
	int r;

	g->net = calloc(1, sizeof(*g->net));
	if (g->net == NULL)
		return bb_err_set(err, -ENOMEM, "network: out of memory");
	g->net->names = names_new();
	if (g->net->names == NULL)
		return bb_err_set(err, -ENOMEM, "network: out of memory");
	r = net_start_fixed(g, err);
	if (r == 0)
		r = dnsd_start(g, g->net->names, net_on_told, g, &g->net->dnsd, err);
	return r;
}

void net_free(struct guest *g)
{
	struct net *n = g->net;

	if (n == NULL)
		return;
	relay_free_all(&n->relays, &n->relay_count);
	dnsd_free(n->dnsd);
	while (n->listeners != NULL) {
		struct listener *l = n->listeners;

		n->listeners = l->next;
		net_close(g, l);
	}
	names_free(n->names);
	free(n);
	g->net = NULL;
}
