/* http/target.c: authorities, and the canonical form of paths (attack P4). */
#include "../unit.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "http/target.h"

static void paths_are_brought_to_one_form(void **state)
{
	static const struct {
		const char *in, *path, *query;
		bool has_slash;
	} rows[] = {
		{ "/", "/", "", false },
		{ "/a/b", "/a/b", "", false },
		{ "/a?b=c?d/../e", "/a", "?b=c?d/../e", false },
		{ "/a/./b", "/a/b", "", false },
		{ "/a/../b", "/b", "", false },
		{ "/a/b/..", "/a/", "", false },
		{ "/a/b/.", "/a/b/", "", false },
		{ "/a/%2e%2E/b", "/b", "", false },
		{ "/a/.%2e/b", "/b", "", false },
		{ "/%61%7e%2D", "/a~-", "", false },
		{ "/%c3%a9", "/%C3%A9", "", false },
		{ "/a%2fb", "/a%2Fb", "", true },
		{ "/a%252e%252e/b", "/a%252e%252e/b", "", false },
		{ "//a//b", "//a//b", "", false },
		{ "/a//../b", "/a/b", "", false },
		{ "/.../..a/.b", "/.../..a/.b", "", false },
		{ "/a;p=1/b", "/a;p=1/b", "", false },
		{ "/a|b\"c", "/a%7Cb%22c", "", false },
		{ "/?", "/", "?", false },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		BB_AUTO_BUF struct bb_buf out = { 0 }, again = { 0 };
		struct bb_err err = { 0 };
		struct http_path p, q;

		bb_buf_init(&out, 1024);
		bb_buf_init(&again, 1024);
		if (http_canonical_path(bb_view_str(rows[i].in), &out, &p, &err) < 0)
			fail_msg("'%s': %s", rows[i].in, err.msg);
		if (!bb_view_eq_str(p.path, rows[i].path) ||
		    !bb_view_eq_str(p.query, rows[i].query))
			fail_msg("'%s' becomes '%.*s' '%.*s'", rows[i].in, BB_VIEW_ARG(p.path),
				 BB_VIEW_ARG(p.query));
		assert_int_equal(p.has_encoded_slash, rows[i].has_slash);
		assert_int_equal(http_canonical_path(bb_buf_peek(&out), &again, &q, &err), 0);
		assert_true(bb_view_eq(bb_buf_peek(&out), bb_buf_peek(&again)));
	}
}

static void paths_that_servers_read_differently_are_refused(void **state)
{
	static const char *const rows[] = {
		"",           "a",          "*",        "http://a/", "/..",          "/../a",
		"/a/../../b", "/%2e%2e/a",  "/a/..;/b", "/a/.;x/b",  "/a/%2e%2e;/b", "/a\\b",
		"/a%5cb",     "/a%5Cb",     "/a%00",    "/a%0d%0ab", "/a%1f",        "/a%7f",
		"/a%",        "/a%4",       "/a%4g",    "/a%zz",     "/a#b",         "/a b",
		"/a\tb",      "/a\xc3\xa9", "/a?b#c",   "/a?b\xff",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		BB_AUTO_BUF struct bb_buf out = { 0 };
		struct bb_err err = { 0 };
		struct http_path p;

		bb_buf_init(&out, 1024);
		if (http_canonical_path(bb_view_str(rows[i]), &out, &p, &err) != -EPROTO)
			fail_msg("'%s' passes", rows[i]);
		assert_true(err.msg[0] != '\0');
	}
}

static void authorities_are_host_and_port_and_nothing_else(void **state)
{
	static const struct {
		const char *in;
		uint16_t fallback;
		int want;
		const char *host;
		uint16_t port;
	} rows[] = {
		{ "a.test", 443, 0, "a.test", 443 },
		{ "a.test:8443", 443, 0, "a.test", 8443 },
		{ "[::1]:80", 443, 0, "[::1]", 80 },
		{ "[::1]", 443, 0, "[::1]", 443 },
		{ "a.test", 0, -EPROTO, NULL, 0 },
		{ "a.test:", 443, -EPROTO, NULL, 0 },
		{ "a.test:0", 443, -EPROTO, NULL, 0 },
		{ "a.test:65536", 443, -EPROTO, NULL, 0 },
		{ "a.test:+1", 443, -EPROTO, NULL, 0 },
		{ "a.test:080", 443, -EPROTO, NULL, 0 },
		{ "a.test:80:80", 443, -EPROTO, NULL, 0 },
		{ ":80", 443, -EPROTO, NULL, 0 },
		{ "", 443, -EPROTO, NULL, 0 },
		{ "user@a.test", 443, -EPROTO, NULL, 0 },
		{ "[::1]x", 443, -EPROTO, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		struct bb_err err = { 0 };
		struct bb_view host;
		uint16_t port;
		int r = http_parse_authority(bb_view_str(rows[i].in), rows[i].fallback, &host,
					     &port, &err);

		if (r != rows[i].want)
			fail_msg("'%s' gives %d", rows[i].in, r);
		if (r == 0) {
			assert_true(bb_view_eq_str(host, rows[i].host));
			assert_int_equal(port, rows[i].port);
		}
	}
}

static void absolute_targets_are_split(void **state)
{
	struct bb_err err = { 0 };
	struct bb_view authority, rest;

	(void)state;
	assert_int_equal(
		http_split_absolute(bb_view_str("HTTP://a.test:80/b?c"), &authority, &rest, &err),
		0);
	assert_true(bb_view_eq_str(authority, "a.test:80"));
	assert_true(bb_view_eq_str(rest, "/b?c"));
	assert_int_equal(http_split_absolute(bb_view_str("http://a.test"), &authority, &rest, &err),
			 0);
	assert_true(bb_view_eq_str(rest, "/"));
	assert_error(http_split_absolute(bb_view_str("https://a.test/"), &authority, &rest, &err),
		     -EPROTO, err);
	assert_error(http_split_absolute(bb_view_str("/a"), &authority, &rest, &err), -EPROTO, err);
	assert_error(http_split_absolute(bb_view_str("http://a.test?b"), &authority, &rest, &err),
		     -EPROTO, err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_brought_to_one_form),
		cmocka_unit_test(paths_that_servers_read_differently_are_refused),
		cmocka_unit_test(authorities_are_host_and_port_and_nothing_else),
		cmocka_unit_test(absolute_targets_are_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
