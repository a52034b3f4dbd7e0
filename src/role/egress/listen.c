/*
 * The listener of a guest that comes to egress by itself, past channel. Whoever reaches the socket
 * may be another user of the host, who must not spend what this bottle may: each request (each
 * CONNECT for a tunnel) brings the bottle's credential in Proxy-Authorization, compared in constant
 * time. Without it: 403 and one sentence, never 407, which would make clients ask people for a
 * password; one record, up to a limit. The field is a hop's own: http_is_hop_field() keeps it from
 * every upstream, and no record or log shows a field.
 */
#include <ctype.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "http/target.h"
#include "role/egress/egress_impl.h"

#define LISTEN_TURN  16 /* connections taken in one turn of the loop */
#define LISTEN_WORDS 16 /* refusals that are noted in the bundle's log */

static struct tunnel *oldest_stranger(const struct egress *e)
{
	struct tunnel *found = NULL;

	for (struct tunnel *t = e->tunnels; t != NULL; t = t->next)
		if (t->is_stranger)
			found = t; /* the list begins with the youngest */
	return found;
}

static void on_knock(void *arg, int events)
{
	struct egress *e = arg;

	(void)events;
	for (int i = 0; i < LISTEN_TURN; i++) {
		int fd = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			return; /* nobody, or one that has gone already */
		if (e->stranger_count == LIMIT_EGRESS_STRANGERS)
			tunnel_free(oldest_stranger(e));
		tunnel_new(e, fd, TUNNEL_LISTENER);
	}
}

int listen_start(struct egress *e, struct bb_err *err)
{
	e->listen_watch = loop_fd_new(e->role.loop, e->listen_fd, LOOP_READ, on_knock, e);
	return e->listen_watch == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

void listen_stop(struct egress *e)
{
	loop_fd_free(bb_take_ptr(&e->listen_watch));
	bb_secret_free(bb_take_ptr(&e->credential));
}

void listen_forget(struct tunnel *t)
{
	if (t->is_stranger)
		t->egress->stranger_count--;
	t->is_stranger = false;
}

/* "Basic", spaces, and exactly the credential; exactly one such field. */
static bool shows_credential(const struct egress *e, const struct http_head *h)
{
	static const char scheme[] = "basic";
	struct bb_view v = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < h->field_count; i++)
		if (bb_view_ieq_str(h->fields[i].name, "proxy-authorization")) {
			v = h->fields[i].value;
			count++;
		}
	if (count != 1 || v.n < sizeof(scheme) || v.p[sizeof(scheme) - 1] != ' ')
		return false;
	for (size_t i = 0; i < sizeof(scheme) - 1; i++)
		if (tolower(v.p[i]) != scheme[i])
			return false;
	v = bb_view_from(v, sizeof(scheme));
	while (v.n > 0 && v.p[0] == ' ')
		v = bb_view_from(v, 1);
	return bb_secret_eq(v, bb_secret_peek(e->credential));
}

/* For the record: what was asked for, where it is a host at all. */
static void note_target(struct tunnel *t, const struct http_head *h)
{
	struct bb_view authority = h->target, path, host;

	if (!t->is_connect && http_split_absolute(h->target, &authority, &path, NULL) < 0)
		return;
	if (http_parse_authority(authority, t->is_connect ? 0 : 80, &host, &t->port, NULL) < 0 ||
	    policy_normalise_host(host, t->host) == POLICY_HOST_INVALID) {
		t->host[0] = '\0';
		t->port = 0;
	}
}

bool listen_admits(struct tunnel *t, const struct http_head *h)
{
	struct egress *e = t->egress;

	if (!t->needs_credential)
		return true;
	if (shows_credential(e, h)) {
		listen_forget(t);
		return true;
	}
	e->stranger_refusals++;
	if (e->stranger_refusals <= LISTEN_WORDS)
		bb_warn("a connection to the bottle's proxy was refused: no credential, or a wrong "
			"one (%zu so far)",
			e->stranger_refusals);
	if (e->stranger_refusals > LIMIT_EGRESS_STRANGER_RECORDS) {
		tunnel_close(t);
		return false;
	}
	note_target(t, h);
	answer_refuse(t, 403, "no_credential",
		      "this proxy serves one bottle only, and the request does not bring that "
		      "bottle's credential");
	return false;
}
