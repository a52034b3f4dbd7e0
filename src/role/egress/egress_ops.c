/* What the monitor may ask of egress: one table. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/tlv.h"
#include "http/field.h"
#include "role/egress/egress_impl.h"
#include "sys/sandbox.h"

#define SECRET_BYTES     (LIMIT_SECRET + 1)
#define CREDENTIAL_BYTES 128  /* of "user:password" */
#define SECRET_WAIT_MS   5000 /* the CLI has written it before it says go */

static int op_setup(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = ctx;
	struct bb_view policy = { 0 };
	const struct bb_tlv_field fields[] = {
		{ .tag = 1,
		  .type = BB_TLV_BYTES,
		  .max = LIMIT_IPC_BODY,
		  .is_required = true,
		  .out = &policy },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (e->policy != NULL)
		return bb_err_set(err, -EPROTO, "egress is set up twice");
	e->channel_fd = ipc_message_take_fd(m, 0);
	e->dialler_fd = ipc_message_take_fd(m, 1);
	e->recorder_fd = ipc_message_take_fd(m, 2);
	return policy_decode(policy, &e->policy, err);
}

static int op_roots(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = ctx;

	if (e->roots_fd >= 0)
		return bb_err_set(err, -EPROTO, "the host's certificates come twice");
	e->roots_fd = ipc_message_take_fd(m, 0);
	return 0;
}

/* Reads to the end of the pipe, waiting at most SECRET_WAIT_MS. Bytes, or negative. */
static ssize_t read_secret(int fd, uint8_t *dst, size_t cap)
{
	uint64_t deadline = bb_clock_ms() + SECRET_WAIT_MS;
	size_t n = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got;

		if (n == cap)
			return -EMSGSIZE;
		if (poll(&p, 1, bb_clock_left_ms(deadline)) == 0)
			return -ETIMEDOUT;
		got = read(fd, dst + n, cap - n);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (got == 0)
			return (ssize_t)n;
		if (got > 0)
			n += (size_t)got;
	}
}

static int take_secret(struct egress *e, const char *ref, int fd, struct bb_err *err)
{
	BB_AUTO_FREE uint8_t *raw = malloc(SECRET_BYTES);
	struct egress_secret *s = &e->secrets[e->secret_count];
	ssize_t n = raw == NULL ? -ENOMEM : read_secret(fd, raw, SECRET_BYTES);
	int r = 0;

	if (n < 0)
		r = bb_err_set(err, (int)n, "cannot read the secret '%s': %s", ref,
			       bb_err_name((int)n));
	else if (n == 0)
		r = bb_err_set(err, -EINVAL, "the secret '%s' is empty", ref);
	else if (!http_is_field_value(bb_view_of(raw, (size_t)n)))
		r = bb_err_set(err, -EINVAL,
			       "the secret '%s' holds control characters, such as a line feed; a "
			       "header cannot carry them",
			       ref);
	if (r == 0) {
		s->token_ref = strdup(ref);
		s->secret = bb_secret_new(raw, (size_t)n);
		if (s->token_ref == NULL || s->secret == NULL)
			r = bb_err_set(err, -ENOMEM, "cannot lock memory for the secret '%s'", ref);
		else
			e->secret_count++;
	}
	if (raw != NULL)
		explicit_bzero(raw, SECRET_BYTES);
	return r;
}

static int op_secret(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = ctx;
	BB_AUTO_CLOSE int fd = ipc_message_take_fd(m, 0);
	BB_AUTO_FREE char *name = NULL;
	struct bb_view ref = { 0 };
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_STR, .max = 1024, .is_required = true, .out = &ref },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	name = strndup((const char *)ref.p, ref.n);
	if (name == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (e->secret_count == EGRESS_SECRETS || egress_find_secret(e, name) != NULL)
		return bb_err_set(err, -EPROTO, "the secret '%s' comes twice, or is one too many",
				  name);
	return take_secret(e, name, fd, err);
}

/* Serving begins with the set-up's end: until then egress has made its CA and nothing else. */
static int tell_certificate(struct egress *e, uint16_t type, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf pem = { 0 }, body = { 0 };

	bb_buf_init(&pem, 8192);
	bb_buf_init(&body, 8192 + BB_TLV_HEADER);
	if (tls_ca_put_pem(e->ca, &pem) < 0 || bb_tlv_put_view(&body, 1, bb_buf_peek(&pem)) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	role_tell(&e->role, type, bb_buf_peek(&body));
	return 0;
}

static int op_mint(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	(void)m;
	return tell_certificate(ctx, IPC_EGRESS_MINTED, err);
}

static int op_listen(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = ctx;
	char text[CREDENTIAL_BYTES / 3 * 4 + 5];
	struct bb_view pair = { 0 };
	const struct bb_tlv_field fields[] = {
		{ .tag = 1,
		  .type = BB_TLV_BYTES,
		  .max = CREDENTIAL_BYTES,
		  .is_required = true,
		  .out = &pair },
	};
	int r = bb_tlv_read(m->body, fields, BB_ARRAY_LEN(fields), err);

	if (r < 0)
		return r;
	if (e->listen_fd >= 0 || pair.n == 0 || bb_base64(pair, text, sizeof(text)) < 0)
		return bb_err_set(err, -EPROTO, "a listener comes twice or without a credential");
	e->credential = bb_secret_new(text, strlen(text));
	explicit_bzero(text, sizeof(text));
	if (e->credential == NULL)
		return bb_err_set(err, -ENOMEM, "cannot lock memory for the credential");
	e->listen_fd = ipc_message_take_fd(m, 0);
	return 0;
}

static int op_setup_done(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = ctx;
	int r;

	(void)m;
	if (e->policy == NULL)
		return bb_err_set(err, -EPROTO, "egress has no policy");
	r = credential_prepare(e, err);
	if (r == 0)
		r = rate_prepare(e, err);
	if (r == 0)
		r = sandbox_lock(e->listen_fd < 0 ? SANDBOX_EGRESS : SANDBOX_EGRESS_ACCEPT, -1,
				 err);
	if (r == 0)
		r = links_start(e, err);
	if (r == 0 && e->listen_fd >= 0)
		r = listen_start(e, err);
	if (r < 0)
		return r;
	e->role.state = ROLE_SERVING;
	r = tell_certificate(e, IPC_EGRESS_READY, err);
	/* The guest waits for the certificate; the rest is made before anything else is heard. */
	return r < 0 ? r : egress_start_tls(e, err);
}

static int op_shutdown(void *ctx, struct ipc_message *m, struct bb_err *err)
{
	struct egress *e = ctx;

	(void)m;
	(void)err;
	role_stop(&e->role, 0);
	return 0;
}

const struct ipc_op egress_ops[] = {
	{ IPC_EGRESS_SETUP, "egress set-up", IPC_IN(ROLE_SETUP), 1, LIMIT_IPC_BODY, 3, op_setup },
	{ IPC_EGRESS_ROOTS, "egress roots", IPC_IN(ROLE_SETUP), 0, 0, 1, op_roots },
	{ IPC_EGRESS_SECRET, "egress secret", IPC_IN(ROLE_SETUP), 1, 2048, 1, op_secret },
	{ IPC_EGRESS_MINT, "egress mint", IPC_IN(ROLE_SETUP), 0, 0, 0, op_mint },
	{ IPC_EGRESS_LISTEN, "egress listen", IPC_IN(ROLE_SETUP), 1, 256, 1, op_listen },
	{ IPC_SETUP_DONE, "set-up done", IPC_IN(ROLE_SETUP), 0, 0, 0, op_setup_done },
	{ IPC_SHUTDOWN, "shutdown", IPC_IN(ROLE_SETUP) | IPC_IN(ROLE_SERVING), 0, 0, 0,
	  op_shutdown },
};
const size_t egress_op_count = BB_ARRAY_LEN(egress_ops);
