/* The two kinds of TLS: what is offered to guests, what is asked of upstreams. */
#include "tls/tls_impl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

static const unsigned char alpn_http1[] = { 8, 'h', 't', 't', 'p', '/', '1', '.', '1' };

/* No resumption (a session is a few records long, and nothing is kept), no renegotiation, no
 * compression; buffers are given back while a connection is idle. */
static void set_common(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx,
			    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* A client that offers protocols, but not HTTP/1.1, is told so by an alert. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
		       const unsigned char *in, unsigned in_n, void *arg)
{
	unsigned char *chosen = NULL;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_n, alpn_http1, sizeof(alpn_http1), in, in_n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Second line: the hello callback has refused it already. */
static int refuse_extension(SSL *ssl, unsigned type, unsigned context, const unsigned char *in,
			    size_t in_n, X509 *x, size_t chain, int *alert, void *arg)
{
	(void)ssl;
	(void)type;
	(void)context;
	(void)in;
	(void)in_n;
	(void)x;
	(void)chain;
	(void)arg;
	*alert = SSL_AD_UNSUPPORTED_EXTENSION;
	return 0;
}

/* OpenSSL 3.0 does not know the extension, and the hello callback is shown known ones only. */
static bool watch_extension(SSL_CTX *ctx, unsigned type)
{
	return SSL_CTX_add_custom_ext(ctx, type, SSL_EXT_CLIENT_HELLO, NULL, NULL, NULL,
				      refuse_extension, NULL) == 1;
}

int tls_server_new(struct tls_ca *ca, struct tls_server **ret, struct bb_err *err)
{
	struct tls_server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	s->ca = ca;
	s->ctx = SSL_CTX_new(TLS_server_method());
	if (s->ctx == NULL || SSL_CTX_set_min_proto_version(s->ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(s->ctx, 0) != 1 ||
	    !watch_extension(s->ctx, TLS_EXTENSION_ECH) ||
	    !watch_extension(s->ctx, TLS_EXTENSION_ESNI)) {
		tls_server_free(s);
		return tls_err(err, BB_E_PART, "cannot set up TLS for guests");
	}
	set_common(s->ctx);
	SSL_CTX_set_client_hello_cb(s->ctx, tls_on_client_hello, NULL);
	SSL_CTX_set_alpn_select_cb(s->ctx, choose_alpn, NULL);
	*ret = s;
	return 0;
}

void tls_server_free(struct tls_server *s)
{
	if (s == NULL)
		return;
	SSL_CTX_free(s->ctx);
	free(s);
}

int tls_client_new(struct tls_client **ret, struct bb_err *err)
{
	struct tls_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (c->ctx == NULL || SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_alpn_protos(c->ctx, alpn_http1, sizeof(alpn_http1)) != 0) {
		tls_client_free(c);
		return tls_err(err, BB_E_PART, "cannot set up TLS for upstreams");
	}
	set_common(c->ctx);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	*ret = c;
	return 0;
}

void tls_client_free(struct tls_client *c)
{
	if (c == NULL)
		return;
	SSL_CTX_free(c->ctx);
	free(c);
}

int tls_client_add_roots(struct tls_client *c, struct bb_view pem, struct bb_err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
	BIO *bio;
	int count = 0;

	if (pem.n > INT32_MAX)
		return bb_err_set(err, -EMSGSIZE, "the host's certificates are too large");
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (;;) {
		X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		unsigned long e = ERR_peek_last_error();

		if (cert != NULL) {
			count += X509_STORE_add_cert(store, cert) == 1;
			X509_free(cert);
			continue;
		}
		ERR_clear_error();
		/* No further BEGIN line: the end. Anything else: one bad certificate. */
		if (ERR_GET_REASON(e) == PEM_R_NO_START_LINE || BIO_eof(bio))
			break;
	}
	BIO_free(bio);
	if (count == 0)
		return bb_err_set(err, -EINVAL, "the host's bundle holds no certificate");
	return count;
}
