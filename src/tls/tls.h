/*
 * TLS on both sides of egress: towards the guest with leaves minted for the name it asked for,
 * towards an upstream with its certificate verified against the host's roots and its name. TLS 1.2
 * and 1.3, HTTP/1.1 by ALPN. No I/O but non-blocking reads and writes of the given descriptor; no
 * type of OpenSSL leaves this folder.
 */
#ifndef BB_TLS_TLS_H
#define BB_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/view.h"

struct tls_ca;     /* a CA of one bottle, its leaf key and leaf cache */
struct tls_server; /* how guests are met */
struct tls_client; /* how upstreams are met */
struct tls_conn;   /* one connection of either kind */

/* Before anything else: no configuration file is read, no engine loaded. */
int tls_init(struct bb_err *err);

/* A fresh CA (P-256, ECDSA): its key exists in this process only and dies with it. */
int tls_ca_new(struct tls_ca **ret, struct bb_err *err);
void tls_ca_free(struct tls_ca *ca);
int tls_ca_put_pem(const struct tls_ca *ca, struct bb_buf *out);
/* Leaves minted so far and leaves in the cache: for tests of the limits. */
size_t tls_ca_minted(const struct tls_ca *ca);
size_t tls_ca_cached(const struct tls_ca *ca);

/* ca must outlive the server. */
int tls_server_new(struct tls_ca *ca, struct tls_server **ret, struct bb_err *err);
void tls_server_free(struct tls_server *s);

/* Without roots nothing verifies. */
int tls_client_new(struct tls_client **ret, struct bb_err *err);
void tls_client_free(struct tls_client *c);
/* Adds the certificates of a PEM bundle; how many. Those that cannot be read are left out. */
int tls_client_add_roots(struct tls_client *c, struct bb_view pem, struct bb_err *err);

/* What was wrong with a ClientHello: decided before anything is answered. */
enum tls_hello {
	TLS_HELLO_OK,
	TLS_HELLO_SNI_MISMATCH, /* names another host than the one asked for */
	TLS_HELLO_NO_SNI,       /* names none although it must */
	TLS_HELLO_ECH,          /* encrypted_client_hello: its true name cannot be read */
	TLS_HELLO_MALFORMED,
	TLS_HELLO_LEAF_RATE, /* too many fresh names a second */
};
#define TLS_NUM_HELLOS 6
const char *tls_hello_word(enum tls_hello h); /* "sni_mismatch": audit */

/*
 * A connection from a guest that asked for `name` (normalised, or an address); fd is borrowed,
 * prefix are bytes read from it already (copied). needs_sni: a hello without a name is refused.
 */
int tls_accept(struct tls_server *s, int fd, struct bb_view prefix, const char *name,
	       bool needs_sni, struct tls_conn **ret, struct bb_err *err);
/* To an upstream that must prove to be `name`. fd is borrowed. */
int tls_connect(struct tls_client *c, int fd, const char *name, struct tls_conn **ret,
		struct bb_err *err);
void tls_conn_free(struct tls_conn *c);

/* 0: done; -EAGAIN: see tls_conn_wants_write(); else over, with a sentence. */
int tls_conn_handshake(struct tls_conn *c, struct bb_err *err);
enum tls_hello tls_conn_hello(const struct tls_conn *c);
/* After -EAGAIN: waits for room to write instead of bytes to read. */
bool tls_conn_wants_write(const struct tls_conn *c);
/* Bytes read; 0: ended by the peer's close_notify; -EAGAIN; -ENODATA: ended without one (the rest
 * may have been cut off); or -EPROTO. */
ssize_t tls_conn_read(struct tls_conn *c, void *p, size_t n);
/* Bytes written, -EAGAIN or -EPIPE. */
ssize_t tls_conn_write(struct tls_conn *c, const void *p, size_t n);
/* Says close_notify, if it can be sent at once. */
void tls_conn_shutdown(struct tls_conn *c);

#endif
