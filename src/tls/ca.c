/* The CA of one bottle: made in egress at start, its key never leaves the process. */
#include "tls/tls_impl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "base/clock.h"

#define CA_DAYS  365    /* a bottle lives for hours or days */
#define CA_SLACK 86400L /* seconds a certificate is valid before now: a guest's clock may lag */

int tls_err(struct bb_err *err, int code, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e == 0 ? NULL : ERR_reason_error_string(e);

	ERR_clear_error();
	return bb_err_set(err, code, "%s%s%s", what, reason == NULL ? "" : ": ",
			  reason == NULL ? "" : reason);
}

/* Without its clean-up at exit: keys are wiped when they are freed, the rest goes with the process.
 */
int tls_init(struct bb_err *err)
{
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT |
				     OPENSSL_INIT_LOAD_SSL_STRINGS,
			     NULL) != 1)
		return tls_err(err, BB_E_PART, "cannot start OpenSSL");
	return 0;
}

static bool set_serial(X509 *cert)
{
	unsigned char raw[16];
	BIGNUM *n;
	bool is_ok;

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return false;
	raw[0] &= 0x7f; /* positive */
	raw[0] |= 0x40; /* and of a fixed length */
	n = BN_bin2bn(raw, sizeof(raw), NULL);
	is_ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
	BN_free(n);
	return is_ok;
}

X509 *tls_cert_new(const char *common_name, long days)
{
	X509 *cert = X509_new();
	X509_NAME *name;

	if (cert == NULL)
		return NULL;
	name = X509_get_subject_name(cert);
	if (X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -CA_SLACK) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400L) == NULL ||
	    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
				       (const unsigned char *)common_name, -1, -1, 0) != 1) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static bool add_key_id(X509 *cert)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	bool is_ok = id != NULL && X509_pubkey_digest(cert, EVP_sha256(), hash, &n) == 1 &&
		     ASN1_OCTET_STRING_set(id, hash, 20) == 1 &&
		     X509_add1_ext_i2d(cert, NID_subject_key_identifier, id, 0, 0) == 1;

	ASN1_OCTET_STRING_free(id);
	return is_ok;
}

static bool add_ca_extensions(X509 *cert)
{
	BASIC_CONSTRAINTS *basic = BASIC_CONSTRAINTS_new();
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	bool is_ok = false;

	if (basic != NULL && usage != NULL) {
		basic->ca = 0xff;
		basic->pathlen = ASN1_INTEGER_new();
		is_ok = basic->pathlen != NULL && ASN1_INTEGER_set(basic->pathlen, 0) == 1 &&
			ASN1_BIT_STRING_set_bit(usage, 5, 1) == 1 && /* keyCertSign */
			ASN1_BIT_STRING_set_bit(usage, 6, 1) == 1 && /* cRLSign */
			X509_add1_ext_i2d(cert, NID_basic_constraints, basic, 1, 0) == 1 &&
			X509_add1_ext_i2d(cert, NID_key_usage, usage, 1, 0) == 1 &&
			add_key_id(cert);
	}
	BASIC_CONSTRAINTS_free(basic);
	ASN1_BIT_STRING_free(usage);
	return is_ok;
}

/*
 * The public key as its point. X509_set_pubkey() has every encoder of the provider made first, a
 * fifth of this process's start; it also keeps the key beside the certificate, which connections
 * need of a leaf and nobody of the CA.
 */
static bool put_point(X509 *cert, EVP_PKEY *key)
{
	unsigned char *point = NULL;
	size_t n = EVP_PKEY_get1_encoded_public_key(key, &point);

	if (n == 0 || n > INT32_MAX ||
	    X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert),
				   OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
				   OBJ_nid2obj(NID_X9_62_prime256v1), point, (int)n) != 1) {
		OPENSSL_free(point);
		return false;
	}
	return true; /* the certificate has the point */
}

int tls_ca_new(struct tls_ca **ret, struct bb_err *err)
{
	struct tls_ca *ca = calloc(1, sizeof(*ca));

	if (ca == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	ca->tokens = LIMIT_EGRESS_LEAF_RATE;
	ca->tokens_ms = bb_clock_ms();
	ca->key = EVP_EC_gen("P-256");
	ca->leaf_key = EVP_EC_gen("P-256");
	if (ca->key != NULL && ca->leaf_key != NULL)
		ca->cert = tls_cert_new("bot-bottle CA of this bottle", CA_DAYS);
	if (ca->cert == NULL || !put_point(ca->cert, ca->key) || !add_ca_extensions(ca->cert) ||
	    X509_set_issuer_name(ca->cert, X509_get_subject_name(ca->cert)) != 1 ||
	    X509_sign(ca->cert, ca->key, EVP_sha256()) == 0) {
		tls_ca_free(ca);
		return tls_err(err, BB_E_PART, "cannot make the bottle's CA");
	}
	*ret = ca;
	return 0;
}

void tls_ca_free(struct tls_ca *ca)
{
	if (ca == NULL)
		return;
	for (size_t i = 0; i < LIMIT_EGRESS_LEAVES; i++)
		X509_free(ca->leaves[i].cert);
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	EVP_PKEY_free(ca->leaf_key);
	free(ca);
}

int tls_ca_put_pem(const struct tls_ca *ca, struct bb_buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n;
	int r = -ENOMEM;

	if (bio != NULL && PEM_write_bio_X509(bio, ca->cert) == 1) {
		n = BIO_get_mem_data(bio, &p);
		r = bb_buf_append(out, p, (size_t)n);
	}
	BIO_free(bio);
	return r;
}

size_t tls_ca_minted(const struct tls_ca *ca)
{
	return ca->minted;
}

size_t tls_ca_cached(const struct tls_ca *ca)
{
	size_t n = 0;

	for (size_t i = 0; i < LIMIT_EGRESS_LEAVES; i++)
		n += ca->leaves[i].cert != NULL;
	return n;
}
