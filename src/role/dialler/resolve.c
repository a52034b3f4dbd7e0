/*
 * Names to addresses: c-ares on the loop. Its answers are hostile input, parsed here and nowhere
 * else. No search list (a name that fails must not be asked again with the host's domain behind
 * it), no sorting (that connects UDP sockets to every address, before any was checked).
 *
 * The channel is made before the sandbox is locked: its query ids are seeded from a device that
 * cannot be opened afterwards.
 */
#include <ares.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "role/dialler/dialler_impl.h"

#define RESOLVE_TIMEOUT_MS 2000 /* of one try; doubled by c-ares for the next */
#define RESOLVE_TRIES      2

struct resolve_socket {
	struct resolve_socket *next;
	struct resolver *resolver;
	ares_socket_t fd;
	struct loop_fd *watch;
};

struct resolver {
	struct loop *loop;
	ares_channel channel;
	struct loop_timer *timer;
	struct resolve_socket *sockets;
	size_t query_count;
};

struct resolve {
	struct resolver *resolver;
	resolve_cb *cb; /* NULL: cancelled */
	void *arg;
	union address addresses[DIALLER_ADDRESSES];
	size_t count;
	const char *text;
};

static void set_timer(struct resolver *r)
{
	struct timeval tv;

	if (ares_timeout(r->channel, NULL, &tv) == NULL)
		loop_timer_stop(r->timer);
	else
		loop_timer_set(r->timer,
			       (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
}

static void on_timer(void *arg)
{
	struct resolver *r = arg;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(r);
}

static void on_socket(void *arg, int events)
{
	struct resolve_socket *s = arg;
	struct resolver *r = s->resolver;
	ares_socket_t fd = s->fd;

	/* s may be gone after this call. */
	ares_process_fd(r->channel, (events & (LOOP_READ | LOOP_HANGUP)) ? fd : ARES_SOCKET_BAD,
			(events & LOOP_WRITE) ? fd : ARES_SOCKET_BAD);
	set_timer(r);
}

static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	struct resolve_socket **at = &r->sockets;
	struct resolve_socket *s;
	int events = (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0);

	while (*at != NULL && (*at)->fd != fd)
		at = &(*at)->next;
	s = *at;
	if (s != NULL && events == 0) { /* c-ares closes it next */
		*at = s->next;
		loop_fd_free(s->watch);
		free(s);
		return;
	}
	if (s != NULL) {
		loop_fd_set(s->watch, events);
		return;
	}
	if (events == 0)
		return;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return; /* the query times out */
	*s = (struct resolve_socket){ .next = r->sockets, .resolver = r, .fd = fd };
	s->watch = loop_fd_new(r->loop, fd, events, on_socket, s);
	if (s->watch == NULL) {
		free(s);
		return;
	}
	r->sockets = s;
}

struct resolver *resolver_new(struct loop *loop, struct bb_err *err)
{
	static char lookups[] = "fb"; /* the hosts file, then DNS */
	struct resolver *r = calloc(1, sizeof(*r));
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH,
		.timeout = RESOLVE_TIMEOUT_MS,
		.tries = RESOLVE_TRIES,
		.lookups = lookups,
		.sock_state_cb = on_state,
		.sock_state_cb_data = r,
	};
	int status;

	if (r == NULL) {
		(void)bb_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	r->loop = loop;
	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS)
		status = ares_init_options(&r->channel, &options,
					   ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
						   ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS) {
		(void)bb_err_set(err, BB_E_PART, "cannot start the resolver: %s",
				 ares_strerror(status));
		free(r);
		return NULL;
	}
	r->timer = loop_timer_new(loop, on_timer, r);
	if (r->timer == NULL) {
		(void)bb_err_set(err, -ENOMEM, "out of memory");
		resolver_free(r);
		return NULL;
	}
	return r;
}

void resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	ares_destroy(r->channel); /* ends every query; cancelled ones are only freed */
	ares_library_cleanup();
	loop_timer_free(r->timer);
	free(r);
}

static void deliver(void *arg)
{
	struct resolve *q = arg;

	q->resolver->query_count--;
	if (q->cb != NULL)
		q->cb(q->arg, q->addresses, q->count, q->text);
	free(q);
}

/* v6 and v4 in turn, v6 first (RFC 8305 4). */
static void take_addresses(struct resolve *q, const struct ares_addrinfo *info)
{
	const struct ares_addrinfo_node *next[2] = { info->nodes, info->nodes };
	const int family[2] = { AF_INET6, AF_INET };

	for (unsigned turn = 0; q->count < DIALLER_ADDRESSES; turn ^= 1) {
		for (unsigned k = 0; k < 2; k++)
			while (next[k] != NULL && next[k]->ai_family != family[k])
				next[k] = next[k]->ai_next;
		if (next[turn] == NULL && next[turn ^ 1] == NULL)
			return;
		if (next[turn] == NULL)
			continue;
		if ((size_t)next[turn]->ai_addrlen <= sizeof(q->addresses[0]))
			memcpy(&q->addresses[q->count++], next[turn]->ai_addr,
			       (size_t)next[turn]->ai_addrlen);
		next[turn] = next[turn]->ai_next;
	}
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve *q = arg;

	(void)timeouts;
	if (info != NULL)
		take_addresses(q, info);
	ares_freeaddrinfo(info);
	if (status == ARES_EDESTRUCTION) {
		free(q);
		return;
	}
	if (q->count == 0)
		q->text = status == ARES_SUCCESS ? "it has no address" : ares_strerror(status);
	loop_defer(q->resolver->loop, deliver, q); /* never inside resolve_start() */
}

struct resolve *resolve_start(struct resolver *r, const char *host, resolve_cb *cb, void *arg)
{
	static const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct resolve *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	*q = (struct resolve){ .resolver = r, .cb = cb, .arg = arg };
	r->query_count++;
	ares_getaddrinfo(r->channel, host, NULL, &hints, on_answer, q);
	set_timer(r);
	return q;
}

void resolve_cancel(struct resolve *q)
{
	if (q != NULL)
		q->cb = NULL; /* c-ares cannot drop one query; it is freed when it ends */
}
