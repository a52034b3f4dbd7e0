/*
 * The dialler: one dial a message. Order, and it matters: own policy, then DNS, then the check of
 * every address, then connect to what was checked. Addresses that are special are left out; when
 * none remains the dial is refused. Nothing is cached: the address that was checked is the one that
 * is dialled, so an answer that changes in between (rebinding) changes nothing.
 */
#include "role/dialler/dialler.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tlv.h"
#include "role/dialler/address.h"
#include "role/dialler/dialler_impl.h"

struct dial {
	struct dialler *dialler;
	struct dial *next, **at; /* in dialler->dials */
	uint32_t id;
	char host[254];
	uint16_t port;
	struct resolve *resolve;       /* pending, or NULL */
	struct connecting *connecting; /* pending, or NULL */
};

static void dial_free(struct dial *c)
{
	resolve_cancel(c->resolve);
	connect_cancel(c->connecting);
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	c->dialler->dial_count--;
	free(c);
}

static void address_text(const union address *a, char dst[INET6_ADDRSTRLEN])
{
	const void *raw = a->any.sa_family == AF_INET ? (const void *)&a->v4.sin_addr
						      : (const void *)&a->v6.sin6_addr;

	if (inet_ntop(a->any.sa_family, raw, dst, INET6_ADDRSTRLEN) == NULL)
		dst[0] = '\0';
}

static void answer(struct dialler *d, uint32_t id, enum dial_result result, int fd,
		   const char *address, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static void answer(struct dialler *d, uint32_t id, enum dial_result result, int fd,
		   const char *address, const char *fmt, ...)
{
	BB_AUTO_BUF struct bb_buf body = { 0 };
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bb_buf_init(&body, 1024);
	if (bb_tlv_put_u32(&body, 1, (uint32_t)result) < 0 || bb_tlv_put_str(&body, 2, text) < 0 ||
	    (address != NULL && bb_tlv_put_str(&body, 3, address) < 0))
		return; /* cannot happen: it fits */
	(void)link_send(d->egress, IPC_DIAL_DONE, id, bb_buf_peek(&body), &fd, fd < 0 ? 0 : 1);
}

static void on_connected(void *arg, int fd, const union address *address, int error)
{
	struct dial *c = arg;
	char text[INET6_ADDRSTRLEN];

	c->connecting = NULL;
	address_text(address, text);
	if (fd >= 0)
		answer(c->dialler, c->id, DIAL_OK, fd, text, "connected");
	else
		answer(c->dialler, c->id, DIAL_UNREACHABLE, -1, text,
		       "'%s' port %u cannot be reached: %s", c->host, c->port, bb_err_name(error));
	if (fd >= 0)
		(void)close(fd); /* egress has its own */
	dial_free(c);
}

static void set_port(union address *a, uint16_t port)
{
	if (a->any.sa_family == AF_INET)
		a->v4.sin_port = htons(port);
	else
		a->v6.sin6_port = htons(port);
}

static void on_resolved(void *arg, const union address *addresses, size_t count, const char *text)
{
	struct dial *c = arg;
	union address good[DIALLER_ADDRESSES];
	char shown[INET6_ADDRSTRLEN];
	enum policy_private admitted = policy_private_of(c->dialler->policy, c->host);
	const char *what = NULL;
	size_t n = 0;

	c->resolve = NULL;
	for (size_t i = 0; i < count; i++) {
		const char *special = address_special(&addresses[i].any, admitted);

		if (special != NULL) {
			what = special;
			address_text(&addresses[i], shown);
			continue;
		}
		good[n] = addresses[i];
		set_port(&good[n++], c->port);
	}
	if (count == 0)
		answer(c->dialler, c->id, DIAL_NO_NAME, -1, NULL, "'%s' does not resolve: %s",
		       c->host, text);
	else if (n == 0)
		answer(c->dialler, c->id, DIAL_BAD_ADDRESS, -1, shown,
		       "'%s' resolves to %s, which is %s: %s", c->host, shown, what,
		       admitted == POLICY_PRIVATE_NONE
			       ? "such addresses are dialled only where a route says 'private'"
			       : "the route's 'private' does not cover it");
	else
		c->connecting = connect_start(c->dialler->role.loop, good, n, on_connected, c);
	if (n > 0 && c->connecting == NULL)
		answer(c->dialler, c->id, DIAL_BUSY, -1, NULL, "out of memory");
	if (c->connecting == NULL)
		dial_free(c);
}

static void dial_start(struct dialler *d, uint32_t id, const char *host, uint16_t port)
{
	struct dial *c;

	if (!policy_may_dial(d->policy, host, port)) {
		answer(d, id, DIAL_NOT_ALLOWED, -1, NULL, "'%s' port %u is not in the allowlist",
		       host, port);
		return;
	}
	c = d->dial_count < LIMIT_DIALS ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL) {
		answer(d, id, DIAL_BUSY, -1, NULL, "more than %d connections are being made",
		       LIMIT_DIALS);
		return;
	}
	c->dialler = d;
	c->id = id;
	c->port = port;
	(void)snprintf(c->host, sizeof(c->host), "%s", host); /* at most 253 bytes */
	c->at = &d->dials;
	c->next = d->dials;
	if (c->next != NULL)
		c->next->at = &c->next;
	d->dials = c;
	d->dial_count++;
	c->resolve = resolve_start(d->resolver, c->host, on_resolved, c);
	if (c->resolve == NULL) {
		answer(d, id, DIAL_BUSY, -1, NULL, "out of memory");
		dial_free(c);
	}
}

/* Believed is nothing: the name is normalised here once more and must not change by it. */
static int take_dial(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct dialler *d = ctx;
	struct bb_view host = { 0 };
	uint32_t port = 0;
	char name[254];
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_STR, .max = 253, .is_required = true, .out = &host },
		{ .tag = 2, .type = BB_TLV_U32, .is_required = true, .out = &port },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (m->id == 0 || port == 0 || port > UINT16_MAX)
		return bb_err_set(err, -EPROTO, "a dial has no number or port %u", port);
	if (policy_normalise_host(host, name) != POLICY_ALLOWED || !bb_view_eq_str(host, name))
		answer(d, m->id, DIAL_NOT_ALLOWED, -1, NULL, "the name is not in normal form");
	else
		dial_start(d, m->id, name, (uint16_t)port);
	return 0;
}

static const struct ipc_op egress_ops[] = {
	{ IPC_DIAL, "dial", IPC_IN(ROLE_SERVING), 1, 512, 0, take_dial },
};

static int on_message(void *arg, struct ipc_message *m, struct bb_err *err)
{
	struct dialler *d = arg;

	return ipc_dispatch(egress_ops, BB_ARRAY_LEN(egress_ops), (unsigned)d->role.state, d, m,
			    err);
}

static void on_gone(void *arg, const struct bb_err *err)
{
	struct dialler *d = arg;

	if (err->code < 0) {
		role_fail(&d->role, err);
		return;
	}
	role_stop(&d->role, 0);
}

static const struct link_handlers egress_handlers = { on_message, on_gone };

int dialler_start(struct dialler *d, struct bb_err *err)
{
	d->egress = link_new(d->role.loop, d->egress_fd, &egress_handlers, d);
	if (d->egress == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	d->egress_fd = -1; /* the link has it */
	return 0;
}

int dialler_main(void)
{
	struct dialler *d = calloc(1, sizeof(*d));
	struct bb_err err = { 0 };
	int code;

	if (d == NULL ||
	    role_init(&d->role, "bot-bottle-dialler", dialler_ops, dialler_op_count, d) < 0)
		return 1;
	d->resolver = resolver_new(d->role.loop, &err);
	if (d->resolver == NULL) {
		role_fail(&d->role, &err);
		return 1;
	}
	code = role_run(&d->role);
	while (d->dials != NULL)
		dial_free(d->dials);
	link_free(d->egress);
	resolver_free(d->resolver);
	policy_free(d->policy);
	role_done(&d->role);
	free(d);
	return code;
}
