/*
 * Leaves: one certificate a name, signed by the bottle's CA, all with the same key. The cache is
 * bounded (the longest unused leaf goes) and so is the rate of fresh ones: a guest that asks for
 * ever new names costs one signature each, at most LIMIT_EGRESS_LEAF_RATE a second.
 */
#include "tls/tls_impl.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/clock.h"

#define LEAF_DAYS 90 /* below what clients accept of a public certificate */
#define CN_MAX    64 /* RFC 5280, ub-common-name; the name that counts is the alternative name */

/* The subject alternative name: an address as such, everything else as a DNS name. */
static GENERAL_NAME *general_name(const char *name)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	unsigned char raw[16];
	ASN1_STRING *s;
	int bytes = 0;

	if (inet_pton(AF_INET, name, raw) == 1)
		bytes = 4;
	else if (inet_pton(AF_INET6, name, raw) == 1)
		bytes = 16;
	s = bytes > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	if (g == NULL || s == NULL ||
	    ASN1_STRING_set(s, bytes > 0 ? (const void *)raw : name,
			    bytes > 0 ? bytes : (int)strlen(name)) != 1) {
		GENERAL_NAME_free(g);
		ASN1_STRING_free(s);
		return NULL;
	}
	GENERAL_NAME_set0_value(g, bytes > 0 ? GEN_IPADD : GEN_DNS, s);
	return g;
}

static bool add_name(X509 *cert, const char *name)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *g = general_name(name);
	bool is_ok = false;

	if (names != NULL && g != NULL && sk_GENERAL_NAME_push(names, g) > 0) {
		g = NULL; /* the stack has it */
		is_ok = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;
	}
	GENERAL_NAME_free(g);
	GENERAL_NAMES_free(names);
	return is_ok;
}

static bool add_usage(X509 *cert)
{
	BASIC_CONSTRAINTS *basic = BASIC_CONSTRAINTS_new(); /* not a CA */
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	EXTENDED_KEY_USAGE *extended = sk_ASN1_OBJECT_new_null();
	bool is_ok = basic != NULL && usage != NULL && extended != NULL &&
		     ASN1_BIT_STRING_set_bit(usage, 0, 1) == 1 && /* digitalSignature */
		     sk_ASN1_OBJECT_push(extended, OBJ_nid2obj(NID_server_auth)) > 0 &&
		     X509_add1_ext_i2d(cert, NID_basic_constraints, basic, 1, 0) == 1 &&
		     X509_add1_ext_i2d(cert, NID_key_usage, usage, 1, 0) == 1 &&
		     X509_add1_ext_i2d(cert, NID_ext_key_usage, extended, 0, 0) == 1;

	BASIC_CONSTRAINTS_free(basic);
	ASN1_BIT_STRING_free(usage);
	sk_ASN1_OBJECT_free(extended); /* its one element is static */
	return is_ok;
}

static bool add_issuer(X509 *cert, const struct tls_ca *ca)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(ca->cert);
	AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
	bool is_ok = false;

	if (authority != NULL && id != NULL) {
		authority->keyid = ASN1_OCTET_STRING_dup(id);
		is_ok = authority->keyid != NULL &&
			X509_add1_ext_i2d(cert, NID_authority_key_identifier, authority, 0, 0) ==
				1 &&
			X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) == 1;
	}
	AUTHORITY_KEYID_free(authority);
	return is_ok;
}

static X509 *mint(struct tls_ca *ca, const char *name)
{
	X509 *cert = tls_cert_new(strlen(name) <= CN_MAX ? name : "bot-bottle", LEAF_DAYS);

	if (cert != NULL && X509_set_pubkey(cert, ca->leaf_key) == 1 && add_issuer(cert, ca) &&
	    add_usage(cert) && add_name(cert, name) && X509_sign(cert, ca->key, EVP_sha256()) != 0)
		return cert;
	X509_free(cert);
	return NULL;
}

static bool take_token(struct tls_ca *ca)
{
	uint64_t now = bb_clock_ms();

	ca->tokens += (double)(now - ca->tokens_ms) * LIMIT_EGRESS_LEAF_RATE / 1000;
	ca->tokens_ms = now;
	if (ca->tokens > LIMIT_EGRESS_LEAF_RATE)
		ca->tokens = LIMIT_EGRESS_LEAF_RATE;
	if (ca->tokens < 1)
		return false;
	ca->tokens -= 1;
	return true;
}

int tls_leaf_get(struct tls_ca *ca, const char *name, X509 **ret)
{
	struct tls_leaf *oldest = &ca->leaves[0];
	X509 *cert;

	for (size_t i = 0; i < LIMIT_EGRESS_LEAVES; i++) {
		struct tls_leaf *leaf = &ca->leaves[i];

		if (leaf->cert != NULL && strcmp(leaf->name, name) == 0) {
			leaf->used = ++ca->clock;
			*ret = leaf->cert;
			return 0;
		}
		if (leaf->used < oldest->used)
			oldest = leaf;
	}
	if (!take_token(ca))
		return -EBUSY;
	cert = mint(ca, name);
	if (cert == NULL)
		return -ENOMEM;
	ca->minted++;
	X509_free(oldest->cert); /* connections that use it hold their own reference */
	(void)snprintf(oldest->name, sizeof(oldest->name), "%s", name); /* fits: names have 253 */
	oldest->cert = cert;
	oldest->used = ++ca->clock;
	*ret = cert;
	return 0;
}
