/* The process: what it holds, from start to end. The CA is made before the first message comes, the
 * host's roots are read when the first upstream is met: an idle bottle does not hold them parsed.
 */
#include "role/egress/egress_impl.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define ROOTS_BYTES (4 * 1024 * 1024) /* of the host's bundle; Debian's has 220 KiB */

const struct bb_secret *egress_find_secret(const struct egress *e, const char *token_ref)
{
	for (size_t i = 0; i < e->secret_count; i++)
		if (strcmp(e->secrets[i].token_ref, token_ref) == 0)
			return e->secrets[i].secret;
	return NULL;
}

int egress_load_roots(struct egress *e, struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = bb_take_fd(&e->roots_fd);
	BB_AUTO_BUF struct bb_buf pem = { 0 };
	int r;

	if (fd < 0)
		return 0; /* read already, or there are none: then nothing verifies */
	bb_buf_init(&pem, ROOTS_BYTES);
	for (;;) {
		uint8_t *p = bb_buf_reserve(&pem, 65536);
		ssize_t n = p == NULL ? -1 : pread(fd, p, 65536, (off_t)bb_buf_size(&pem));

		if (n < 0)
			return bb_err_set(err, -EIO, "cannot read the host's certificates");
		if (n == 0)
			break;
		bb_buf_commit(&pem, (size_t)n);
	}
	r = tls_client_add_roots(e->client, bb_buf_peek(&pem), err);
	return r < 0 ? r : 0;
}

static int start(struct egress *e, struct bb_err *err)
{
	int r = tls_init(err);

	return r < 0 ? r : tls_ca_new(&e->ca, err);
}

int egress_start_tls(struct egress *e, struct bb_err *err)
{
	int r = tls_server_new(e->ca, &e->server, err);

	return r < 0 ? r : tls_client_new(&e->client, err);
}

static void finish(struct egress *e)
{
	int fds[] = { e->channel_fd, e->dialler_fd, e->recorder_fd, e->roots_fd, e->listen_fd };

	listen_stop(e);
	while (e->tunnels != NULL)
		tunnel_free(e->tunnels);
	for (size_t i = 0; i < BB_ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	link_free(e->channel);
	link_free(e->dialler);
	link_free(e->recorder);
	credential_forget(e);
	rate_forget(e);
	for (size_t i = 0; i < e->secret_count; i++) {
		free(e->secrets[i].token_ref);
		bb_secret_free(e->secrets[i].secret);
	}
	tls_server_free(e->server);
	tls_client_free(e->client);
	tls_ca_free(e->ca);
	policy_free(e->policy);
	role_done(&e->role);
}

int egress_main(void)
{
	struct egress *e = calloc(1, sizeof(*e));
	struct bb_err err = { 0 };
	int code;

	if (e == NULL)
		return 1;
	e->channel_fd = e->dialler_fd = e->recorder_fd = e->roots_fd = e->listen_fd = -1;
	if (role_init(&e->role, "bot-bottle-egress", egress_ops, egress_op_count, e) < 0) {
		free(e);
		return 1;
	}
	if (start(e, &err) < 0) {
		role_fail(&e->role, &err);
		code = 1;
	} else {
		code = role_run(&e->role);
	}
	finish(e);
	free(e);
	return code;
}
