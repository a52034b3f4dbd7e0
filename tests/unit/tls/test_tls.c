/* tls/: both ends in one process, over a socket pair. */
#include "../unit.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tls/tls_impl.h"

struct ends {
	struct tls_ca *ca;
	struct tls_server *server;
	struct tls_client *client;
	struct tls_conn *a, *b; /* server's, client's */
	int fds[2];
	struct bb_err err_a, err_b;
	int r_a, r_b;
};

static void ends_init(struct ends *e, bool has_roots)
{
	BB_AUTO_BUF struct bb_buf pem = { 0 };
	struct bb_err err = { 0 };

	*e = (struct ends){ 0 };
	bb_buf_init(&pem, 8192);
	assert_int_equal(tls_init(&err), 0);
	assert_int_equal(tls_ca_new(&e->ca, &err), 0);
	assert_int_equal(tls_server_new(e->ca, &e->server, &err), 0);
	assert_int_equal(tls_client_new(&e->client, &err), 0);
	assert_int_equal(tls_ca_put_pem(e->ca, &pem), 0);
	if (has_roots)
		assert_int_equal(tls_client_add_roots(e->client, bb_buf_peek(&pem), &err), 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, e->fds), 0);
}

static void ends_done(struct ends *e)
{
	tls_conn_free(e->a);
	tls_conn_free(e->b);
	tls_server_free(e->server);
	tls_client_free(e->client);
	tls_ca_free(e->ca);
	(void)close(e->fds[0]);
	(void)close(e->fds[1]);
}

/* Runs both handshakes as far as they go. */
static void shake(struct ends *e, const char *asked, const char *named, bool needs_sni)
{
	struct bb_err err = { 0 };

	assert_int_equal(tls_accept(e->server, e->fds[0], bb_view_of(NULL, 0), asked, needs_sni,
				    &e->a, &err),
			 0);
	assert_int_equal(tls_connect(e->client, e->fds[1], named, &e->b, &err), 0);
	e->r_a = e->r_b = -EAGAIN;
	for (int i = 0; i < 20; i++) {
		if (e->r_b == -EAGAIN)
			e->r_b = tls_conn_handshake(e->b, &e->err_b);
		if (e->r_a == -EAGAIN)
			e->r_a = tls_conn_handshake(e->a, &e->err_a);
	}
}

static void a_leaf_proves_the_asked_name_and_bytes_pass(void **state)
{
	struct ends e;
	char got[8] = { 0 };

	(void)state;
	ends_init(&e, true);
	shake(&e, "allowed.test", "allowed.test", true);
	assert_int_equal(e.r_a, 0);
	assert_int_equal(e.r_b, 0);
	assert_int_equal(tls_conn_write(e.b, "hello", 5), 5);
	assert_int_equal(tls_conn_read(e.a, got, sizeof(got)), 5);
	assert_string_equal(got, "hello");
	assert_int_equal(tls_conn_read(e.a, got, sizeof(got)), -EAGAIN);
	assert_false(tls_conn_wants_write(e.a));
	tls_conn_shutdown(e.b);
	assert_int_equal(tls_conn_read(e.a, got, sizeof(got)), 0); /* a proper end */
	ends_done(&e);
}

static void an_end_without_a_word_is_told_from_a_proper_one(void **state)
{
	struct ends e;
	char got[8];

	(void)state;
	ends_init(&e, true);
	shake(&e, "allowed.test", "allowed.test", true);
	assert_int_equal(e.r_a, 0);
	assert_int_equal(shutdown(e.fds[1], SHUT_WR), 0);
	assert_int_equal(tls_conn_read(e.a, got, sizeof(got)), -ENODATA);
	ends_done(&e);
}

static void an_upstream_without_a_trusted_root_is_refused(void **state)
{
	struct ends e;

	(void)state;
	ends_init(&e, false);
	shake(&e, "allowed.test", "allowed.test", true);
	assert_error(e.r_b, -EKEYREJECTED, e.err_b);
	assert_true(e.r_a < 0);
	ends_done(&e);
}

static void an_upstream_with_another_name_is_refused(void **state)
{
	struct ends e;
	X509 *leaf = NULL;

	(void)state;
	ends_init(&e, true);
	/* The cache is made to hold another host's leaf under the asked name. */
	assert_int_equal(tls_leaf_get(e.ca, "other.test", &leaf), 0);
	(void)snprintf(e.ca->leaves[0].name, sizeof(e.ca->leaves[0].name), "allowed.test");
	shake(&e, "allowed.test", "allowed.test", true);
	assert_error(e.r_b, -EKEYREJECTED, e.err_b);
	ends_done(&e);
}

static void a_hello_for_another_name_is_refused(void **state)
{
	struct ends e;

	(void)state;
	ends_init(&e, true);
	shake(&e, "allowed.test", "evil.test", false);
	assert_true(e.r_a < 0 && e.r_b < 0);
	assert_int_equal(tls_conn_hello(e.a), TLS_HELLO_SNI_MISMATCH);
	assert_int_equal(tls_ca_minted(e.ca), 0);
	ends_done(&e);
}

static void the_cache_is_bounded_and_keeps_what_is_used(void **state)
{
	struct ends e;
	X509 *leaf = NULL, *first = NULL;
	char name[32];

	(void)state;
	ends_init(&e, true);
	assert_int_equal(tls_leaf_get(e.ca, "first.test", &first), 0);
	for (int i = 0; i < LIMIT_EGRESS_LEAVES + 50; i++) {
		e.ca->tokens = 2; /* the rate has its own test */
		(void)snprintf(name, sizeof(name), "n%d.test", i);
		assert_int_equal(tls_leaf_get(e.ca, name, &leaf), 0);
		assert_int_equal(tls_leaf_get(e.ca, "first.test", &leaf), 0);
		assert_ptr_equal(leaf, first);
	}
	assert_int_equal(tls_ca_cached(e.ca), LIMIT_EGRESS_LEAVES);
	assert_int_equal(tls_ca_minted(e.ca), LIMIT_EGRESS_LEAVES + 51);
	ends_done(&e);
}

static void fresh_names_have_a_rate_known_ones_have_none(void **state)
{
	struct ends e;
	X509 *leaf = NULL;
	char name[32];
	int r = 0, n = 0;

	(void)state;
	ends_init(&e, true);
	for (; r == 0 && n < 100000; n++) {
		(void)snprintf(name, sizeof(name), "n%d.test", n);
		r = tls_leaf_get(e.ca, name, &leaf);
	}
	assert_int_equal(r, -EBUSY);
	assert_true(n > LIMIT_EGRESS_LEAF_RATE);
	(void)snprintf(name, sizeof(name), "n%d.test", n - 2);
	assert_int_equal(tls_leaf_get(e.ca, name, &leaf), 0);
	e.ca->tokens = 0;
	shake(&e, "fresh.test", "fresh.test", true);
	assert_int_equal(tls_conn_hello(e.a), TLS_HELLO_LEAF_RATE);
	ends_done(&e);
}

static void addresses_get_leaves_too(void **state)
{
	struct ends e;
	X509 *leaf = NULL;

	(void)state;
	ends_init(&e, true);
	assert_int_equal(tls_leaf_get(e.ca, "192.0.2.9", &leaf), 0);
	assert_int_equal(X509_check_ip_asc(leaf, "192.0.2.9", 0), 1);
	assert_int_equal(tls_leaf_get(e.ca, "2001:db8::9", &leaf), 0);
	assert_int_equal(X509_check_ip_asc(leaf, "2001:db8::9", 0), 1);
	assert_int_equal(
		X509_check_host(leaf, "2001:db8::9", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL),
		0);
	ends_done(&e);
}

static void a_bundle_with_a_broken_certificate_keeps_the_others(void **state)
{
	BB_AUTO_BUF struct bb_buf pem = { 0 };
	struct bb_err err = { 0 };
	struct ends e;

	(void)state;
	ends_init(&e, false);
	bb_buf_init(&pem, 65536);
	assert_int_equal(bb_buf_append_str(&pem, "# a comment\n-----BEGIN CERTIFICATE-----\nAAAA\n"
						 "-----END CERTIFICATE-----\n"),
			 0);
	assert_int_equal(tls_ca_put_pem(e.ca, &pem), 0);
	assert_int_equal(tls_client_add_roots(e.client, bb_buf_peek(&pem), &err), 1);
	assert_error(tls_client_add_roots(e.client, bb_view_str("nothing"), &err), -EINVAL, err);
	ends_done(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_proves_the_asked_name_and_bytes_pass),
		cmocka_unit_test(an_end_without_a_word_is_told_from_a_proper_one),
		cmocka_unit_test(an_upstream_without_a_trusted_root_is_refused),
		cmocka_unit_test(an_upstream_with_another_name_is_refused),
		cmocka_unit_test(a_hello_for_another_name_is_refused),
		cmocka_unit_test(the_cache_is_bounded_and_keeps_what_is_used),
		cmocka_unit_test(fresh_names_have_a_rate_known_ones_have_none),
		cmocka_unit_test(addresses_get_leaves_too),
		cmocka_unit_test(a_bundle_with_a_broken_certificate_keeps_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
