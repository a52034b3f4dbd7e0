/*
 * Where the guest connects instead of being handed a stream: a listening socket that somebody else
 * made. Exactly one connection is taken, then the socket is closed. Whoever can reach the socket
 * may be anybody of the host:
 *
 *   Unix socket   the kernel says who connects (SO_PEERCRED): only the bottle's own user. What
 *                 starts the guest may look whether the socket answers, so a connection that ends
 *                 without a word is not the guest: the door stays until the guest has spoken.
 *   TCP           the connection says a random credential first, compared in constant time. Not a
 *                 byte beyond it is read here: what follows is the stream's. Nobody is answered.
 *
 * A caller that is refused is closed, counted and noted in the bundle's log. The channel's hello
 * deadline covers all of it.
 */
#include <sys/socket.h>

#include "base/log.h"
#include "base/secret.h"
#include "ipc/messages.h"
#include "role/channel/channel_impl.h"

#define DOOR_CALLER_MS 5000 /* to say the credential; a guest says it at once */
#define DOOR_TURN      16   /* connections taken in one turn of the loop */
#define DOOR_WORDS     16   /* refusals that are noted in words; all are counted */

struct caller {
	struct door *door;
	struct caller *next; /* younger ones first */
	int fd;
	struct loop_fd *watch;
	struct loop_timer *timer;
	uint8_t said[CHANNEL_CREDENTIAL_BYTES];
	size_t said_bytes;
};

struct door {
	struct channel *c;
	int fd;
	struct loop_fd *watch;
	bool has_uid;
	uint32_t uid;
	struct bb_secret *credential; /* NULL: a Unix socket */
	struct caller *callers;
	size_t caller_count;
	unsigned refused;
};

static void refuse(struct door *d, const char *why)
{
	d->refused++;
	if (d->refused <= DOOR_WORDS)
		bb_warn("a connection to the bottle's stream was refused: %s (%u so far)", why,
			d->refused);
}

static void caller_free(struct caller *k)
{
	struct caller **at = &k->door->callers;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	k->door->caller_count--;
	loop_fd_free(k->watch);
	loop_timer_free(k->timer);
	if (k->fd >= 0)
		(void)close(k->fd);
	explicit_bzero(k->said, sizeof(k->said));
	free(k);
}

static void caller_refuse(struct caller *k, const char *why)
{
	refuse(k->door, why);
	caller_free(k);
}

/* The door is gone afterwards, and this caller with it. */
static void caller_enters(struct caller *k)
{
	struct channel *c = k->door->c;
	int fd = bb_take_fd(&k->fd);

	door_free(bb_take_ptr(&c->door));
	channel_guest_is_in(c, fd);
}

static void on_caller(void *arg, int events)
{
	struct caller *k = arg;
	ssize_t n =
		recv(k->fd, k->said + k->said_bytes, sizeof(k->said) - k->said_bytes, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		caller_refuse(k, "it ended without the credential");
		return;
	}
	k->said_bytes += (size_t)n;
	if (k->said_bytes < sizeof(k->said))
		return;
	if (bb_secret_eq(bb_view_of(k->said, sizeof(k->said)), bb_secret_peek(k->door->credential)))
		caller_enters(k);
	else
		caller_refuse(k, "wrong credential");
}

static void on_caller_late(void *arg)
{
	caller_refuse(arg, "it said no credential in time");
}

/* Takes fd. */
static void caller_new(struct door *d, int fd)
{
	struct caller *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		(void)close(fd);
		return;
	}
	*k = (struct caller){ .door = d, .fd = fd, .next = d->callers };
	d->callers = k;
	d->caller_count++;
	k->watch = loop_fd_new(d->c->loop, fd, LOOP_READ, on_caller, k);
	k->timer = loop_timer_new(d->c->loop, on_caller_late, k);
	if (k->watch == NULL || k->timer == NULL) {
		caller_free(k);
		return;
	}
	loop_timer_set(k->timer, DOOR_CALLER_MS);
}

static struct caller *oldest(const struct door *d)
{
	struct caller *k = d->callers;

	while (k != NULL && k->next != NULL)
		k = k->next;
	return k;
}

/* One at a time: until it has spoken or gone, the others wait in the socket's queue. */
static void let_in(struct door *d, int fd)
{
	loop_fd_set(d->watch, 0);
	channel_guest_is_in(d->c, fd);
}

void door_guest_left(struct door *d)
{
	loop_fd_set(d->watch, LOOP_READ);
}

static bool is_expected(const struct door *d, int fd)
{
	return ipc_peer_uid(fd) == (long)d->uid;
}

static void on_knock(void *arg, int events)
{
	struct door *d = arg;

	(void)events;
	for (int i = 0; i < DOOR_TURN; i++) {
		int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			return; /* nobody, or one that has gone already */
		if (d->has_uid && is_expected(d, fd)) {
			let_in(d, fd);
			return;
		}
		if (d->has_uid) {
			refuse(d, "it is another user's");
			(void)close(fd);
			continue;
		}
		if (d->caller_count == LIMIT_CHANNEL_CALLERS)
			caller_refuse(oldest(d), "too many come at a time");
		caller_new(d, fd);
	}
}

int door_new(struct channel *c, const struct door_plan *plan, struct bb_err *err)
{
	struct door *d;

	if (plan->has_uid == (plan->credential.n > 0) ||
	    (!plan->has_uid && plan->credential.n != CHANNEL_CREDENTIAL_BYTES))
		return bb_err_set(err, -EPROTO,
				  "a listener wants a uid or a credential of %d bytes",
				  CHANNEL_CREDENTIAL_BYTES);
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	*d = (struct door){ .c = c, .fd = -1, .has_uid = plan->has_uid, .uid = plan->uid };
	if (!plan->has_uid) {
		d->credential = bb_secret_new(plan->credential.p, plan->credential.n);
		if (d->credential == NULL) {
			free(d);
			return bb_err_set(err, -ENOMEM, "cannot lock memory for a credential");
		}
	}
	d->fd = plan->fd;
	c->door = d;
	return 0;
}

int door_open(struct door *d, struct bb_err *err)
{
	d->watch = loop_fd_new(d->c->loop, d->fd, LOOP_READ, on_knock, d);
	return d->watch == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

void door_free(struct door *d)
{
	if (d == NULL)
		return;
	while (d->callers != NULL)
		caller_free(d->callers);
	loop_fd_free(d->watch);
	(void)close(d->fd);
	bb_secret_free(d->credential);
	free(d);
}
