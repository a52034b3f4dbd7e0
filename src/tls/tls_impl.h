/* Shared inside tls/ only: the one place where types of OpenSSL appear. */
#ifndef BB_TLS_TLS_IMPL_H
#define BB_TLS_TLS_IMPL_H

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/limit.h"
#include "tls/tls.h"

#define TLS_EXTENSION_SERVER_NAME 0
#define TLS_EXTENSION_ECH         0xfe0d /* encrypted_client_hello */
#define TLS_EXTENSION_ESNI        0xffce /* its forerunner */

struct tls_leaf {
	char name[256]; /* "": free */
	X509 *cert;
	uint64_t used; /* by tls_ca.clock: the least is evicted */
};

struct tls_ca {
	EVP_PKEY *key;
	X509 *cert;
	EVP_PKEY *leaf_key; /* one for all leaves: minting is one signature */
	struct tls_leaf leaves[LIMIT_EGRESS_LEAVES];
	uint64_t clock;
	size_t minted;
	/* Token bucket: so many fresh leaves may be minted now; refilled at the rate's pace. */
	double tokens;
	uint64_t tokens_ms;
};

struct tls_server {
	SSL_CTX *ctx;
	struct tls_ca *ca;
};

struct tls_client {
	SSL_CTX *ctx;
};

struct tls_conn {
	SSL *ssl;
	int fd; /* borrowed */
	struct bb_buf prefix;
	char name[256];
	bool needs_sni;
	bool wants_write;
	bool is_server;
	enum tls_hello hello;
	struct tls_ca *ca; /* server side */
};

/* Turns OpenSSL's last error into a sentence and empties its queue; returns code. */
int tls_err(struct bb_err *err, int code, const char *what);

/* An unsigned certificate with serial, validity and subject set. NULL: out of memory. */
X509 *tls_cert_new(const char *common_name, long days);

/* The leaf for a name (borrowed from the cache). 0, -EBUSY above the rate, or -ENOMEM. */
int tls_leaf_get(struct tls_ca *ca, const char *name, X509 **ret);

/* Called by OpenSSL when a ClientHello has come. */
int tls_on_client_hello(SSL *ssl, int *alert, void *arg);

#endif
