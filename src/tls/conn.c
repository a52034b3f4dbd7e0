/* One TLS connection over a non-blocking descriptor; see tls.h. */
#include "tls/tls_impl.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/num.h"

static const char *const hello_words[] = {
	[TLS_HELLO_OK] = "ok",
	[TLS_HELLO_SNI_MISMATCH] = "sni_mismatch",
	[TLS_HELLO_NO_SNI] = "sni_missing",
	[TLS_HELLO_ECH] = "ech",
	[TLS_HELLO_MALFORMED] = "tls_malformed",
	[TLS_HELLO_LEAF_RATE] = "leaf_rate",
};
_Static_assert(BB_ARRAY_LEN(hello_words) == TLS_NUM_HELLOS, "one word for each");

const char *tls_hello_word(enum tls_hello h)
{
	return (unsigned)h < TLS_NUM_HELLOS ? hello_words[h] : "unknown";
}

static int bio_read(BIO *bio, char *p, int n)
{
	struct tls_conn *c = BIO_get_data(bio);
	struct bb_view v = bb_buf_peek(&c->prefix);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	if (v.n > 0) {
		size_t m = v.n < (size_t)n ? v.n : (size_t)n;

		memcpy(p, v.p, m);
		bb_buf_consume(&c->prefix, m);
		if (bb_buf_size(&c->prefix) == 0)
			bb_buf_done(&c->prefix);
		return (int)m;
	}
	do
		got = recv(c->fd, p, (size_t)n, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	return (int)got;
}

static int bio_write(BIO *bio, const char *p, int n)
{
	struct tls_conn *c = BIO_get_data(bio);
	ssize_t put;

	BIO_clear_retry_flags(bio);
	do
		put = send(c->fd, p, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put < 0 && errno == EAGAIN)
		BIO_set_retry_write(bio);
	return (int)put;
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *p)
{
	(void)bio;
	(void)number;
	(void)p;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0; /* nothing is buffered here */
}

/* The descriptor of a connection as OpenSSL sees it: prefix first, MSG_NOSIGNAL, MSG_DONTWAIT. */
static BIO *bio_new(struct tls_conn *c)
{
	static BIO_METHOD *method; /* one for the process's life */
	BIO *bio;

	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "descriptor");
		if (method == NULL || BIO_meth_set_read(method, bio_read) != 1 ||
		    BIO_meth_set_write(method, bio_write) != 1 ||
		    BIO_meth_set_ctrl(method, bio_ctrl) != 1)
			return NULL;
	}
	bio = BIO_new(method);
	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	return bio;
}

/* The one host_name of a server_name extension (RFC 6066 3); false when it is anything else. */
static bool read_sni(const unsigned char *p, size_t n, struct bb_view *ret)
{
	size_t list, name;

	if (n < 5)
		return false;
	list = bb_be16(p);
	name = bb_be16(p + 3);
	if (list != n - 2 || p[2] != 0 || name != list - 3 || name == 0)
		return false;
	*ret = bb_view_of(p + 5, name);
	return true;
}

static enum tls_hello judge_hello(SSL *ssl, const struct tls_conn *c)
{
	const unsigned char *p;
	struct bb_view sni;
	size_t n;

	if (SSL_client_hello_get0_ext(ssl, TLS_EXTENSION_ECH, &p, &n) == 1 ||
	    SSL_client_hello_get0_ext(ssl, TLS_EXTENSION_ESNI, &p, &n) == 1)
		return TLS_HELLO_ECH;
	if (SSL_client_hello_get0_ext(ssl, TLS_EXTENSION_SERVER_NAME, &p, &n) != 1)
		return c->needs_sni ? TLS_HELLO_NO_SNI : TLS_HELLO_OK;
	if (!read_sni(p, n, &sni))
		return TLS_HELLO_MALFORMED;
	return bb_view_ieq_str(sni, c->name) ? TLS_HELLO_OK : TLS_HELLO_SNI_MISMATCH;
}

int tls_on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_conn *c = SSL_get_app_data(ssl);
	X509 *leaf = NULL;
	int r;

	(void)arg;
	c->hello = judge_hello(ssl, c);
	*alert = c->hello == TLS_HELLO_MALFORMED ? SSL_AD_DECODE_ERROR : SSL_AD_UNRECOGNIZED_NAME;
	if (c->hello != TLS_HELLO_OK)
		return SSL_CLIENT_HELLO_ERROR;
	*alert = SSL_AD_INTERNAL_ERROR;
	r = tls_leaf_get(c->ca, c->name, &leaf);
	if (r == -EBUSY)
		c->hello = TLS_HELLO_LEAF_RATE;
	if (r < 0 || SSL_use_certificate(ssl, leaf) != 1 ||
	    SSL_use_PrivateKey(ssl, c->ca->leaf_key) != 1)
		return SSL_CLIENT_HELLO_ERROR;
	return SSL_CLIENT_HELLO_SUCCESS;
}

static struct tls_conn *conn_new(SSL_CTX *ctx, int fd, const char *name)
{
	struct tls_conn *c = calloc(1, sizeof(*c));
	BIO *bio;

	if (c == NULL)
		return NULL;
	c->fd = fd;
	if ((size_t)snprintf(c->name, sizeof(c->name), "%s", name) >= sizeof(c->name)) {
		free(c);
		return NULL;
	}
	c->ssl = SSL_new(ctx);
	bio = c->ssl == NULL ? NULL : bio_new(c);
	if (bio == NULL) {
		tls_conn_free(c);
		return NULL;
	}
	SSL_set_bio(c->ssl, bio, bio);
	if (SSL_set_app_data(c->ssl, c) != 1) {
		tls_conn_free(c);
		return NULL;
	}
	return c;
}

int tls_accept(struct tls_server *s, int fd, struct bb_view prefix, const char *name,
	       bool needs_sni, struct tls_conn **ret, struct bb_err *err)
{
	struct tls_conn *c = conn_new(s->ctx, fd, name);

	if (c == NULL)
		return tls_err(err, -ENOMEM, "cannot make a TLS connection");
	c->is_server = true;
	c->needs_sni = needs_sni;
	c->ca = s->ca;
	bb_buf_init(&c->prefix, prefix.n);
	if (bb_buf_append_view(&c->prefix, prefix) < 0) {
		tls_conn_free(c);
		return bb_err_set(err, -ENOMEM, "out of memory");
	}
	SSL_set_accept_state(c->ssl);
	*ret = c;
	return 0;
}

int tls_connect(struct tls_client *client, int fd, const char *name, struct tls_conn **ret,
		struct bb_err *err)
{
	struct tls_conn *c = conn_new(client->ctx, fd, name);

	if (c == NULL)
		return tls_err(err, -ENOMEM, "cannot make a TLS connection");
	SSL_set_connect_state(c->ssl);
	/* The name must be an alternative name of the certificate; the subject's CN never counts,
	 * and a wildcard stands for one whole label. */
	SSL_set_hostflags(c->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
					  X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (SSL_set1_host(c->ssl, name) != 1 || SSL_set_tlsext_host_name(c->ssl, c->name) != 1) {
		tls_conn_free(c);
		return tls_err(err, -ENOMEM, "cannot make a TLS connection");
	}
	*ret = c;
	return 0;
}

void tls_conn_free(struct tls_conn *c)
{
	if (c == NULL)
		return;
	SSL_free(c->ssl);
	bb_buf_done(&c->prefix);
	free(c);
}

/* -EAGAIN when OpenSSL only waits; else 0: a real end or error. */
static int waits(struct tls_conn *c, int r)
{
	int e = SSL_get_error(c->ssl, r);

	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		return 0;
	c->wants_write = e == SSL_ERROR_WANT_WRITE;
	return -EAGAIN;
}

int tls_conn_handshake(struct tls_conn *c, struct bb_err *err)
{
	long verified;
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(c->ssl);
	c->wants_write = false;
	if (r == 1)
		return 0;
	if (waits(c, r) < 0)
		return -EAGAIN;
	verified = SSL_get_verify_result(c->ssl);
	if (!c->is_server && verified != X509_V_OK) {
		ERR_clear_error();
		return bb_err_set(err, -EKEYREJECTED, "its certificate is not accepted: %s",
				  X509_verify_cert_error_string(verified));
	}
	return tls_err(err, -EPROTO, "the TLS handshake failed");
}

enum tls_hello tls_conn_hello(const struct tls_conn *c)
{
	return c->hello;
}

bool tls_conn_wants_write(const struct tls_conn *c)
{
	return c->wants_write;
}

ssize_t tls_conn_read(struct tls_conn *c, void *p, size_t n)
{
	size_t got = 0;
	int r;

	ERR_clear_error();
	r = SSL_read_ex(c->ssl, p, n, &got);
	c->wants_write = false;
	if (r == 1)
		return (ssize_t)got;
	if (waits(c, r) < 0)
		return -EAGAIN;
	if (SSL_get_error(c->ssl, r) == SSL_ERROR_ZERO_RETURN)
		return 0;
	r = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
			    ERR_peek_error() == 0
		    ? -ENODATA
		    : -EPROTO;
	ERR_clear_error();
	return r;
}

ssize_t tls_conn_write(struct tls_conn *c, const void *p, size_t n)
{
	size_t put = 0;
	int r;

	ERR_clear_error();
	r = SSL_write_ex(c->ssl, p, n, &put);
	c->wants_write = false;
	if (r == 1)
		return (ssize_t)put;
	if (waits(c, r) < 0)
		return -EAGAIN;
	ERR_clear_error();
	return -EPIPE;
}

void tls_conn_shutdown(struct tls_conn *c)
{
	ERR_clear_error();
	(void)SSL_shutdown(c->ssl); /* best effort: the descriptor is closed next */
	ERR_clear_error();
}
