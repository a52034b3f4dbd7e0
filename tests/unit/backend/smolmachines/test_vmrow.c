/* backend/smolmachines/vmrow.c: what a row may say before a patch, and what it must say after. */
#include "../../unit.h"

#include <string.h>

#include <jansson.h>

#include "backend/smolmachines/vmrow.h"
#include "base/cleanup.h"
#include "row.h"

static int patch(const char *row, const char *cidr, struct bb_buf *out, bool *changed,
		 struct bb_err *err)
{
	bb_buf_init(out, VMROW_MAX);
	return vmrow_patch(bb_view_str(row), ROW_NAME, cidr, out, changed, err);
}

static void only_a_loopback_host_address_is_one(void **state)
{
	static const char *const bad[] = {
		"",
		"/32",
		"127.0.0.16",
		"127.0.0.16/31",
		"127.0.0.16/8",
		"127.0.0.16/032",
		"127.0.0.016/32",
		"127.1/32",
		"10.0.0.1/32",
		"1.1.1.1/32",
		"126.0.0.1/32",
		"128.0.0.1/32",
		"::1/32",
		"127.0.0.16/32 ",
		" 127.0.0.16/32",
		"127.0.0.16,/32",
		"localhost/32",
		"0x7f.0.0.1/32",
		"127.0.0.256/32",
		"127.0.0.16/32/32",
	};

	(void)state;
	assert_true(vmrow_is_loopback_cidr("127.0.0.16/32"));
	assert_true(vmrow_is_loopback_cidr("127.255.255.254/32"));
	for (size_t i = 0; i < BB_ARRAY_LEN(bad); i++)
		if (vmrow_is_loopback_cidr(bad[i]))
			fail_msg("'%s' was taken", bad[i]);
}

static void a_fresh_row_gets_the_address_and_keeps_everything_else(void **state)
{
	struct bb_buf out;
	bool changed = false;
	char *text;
	json_t *before = json_loads(ROW_FRESH, 0, NULL), *after;

	(void)state;
	assert_int_equal(patch(ROW_FRESH, ROW_CIDR, &out, &changed, NULL), 0);
	assert_true(changed);
	text = bb_buf_dup_str(&out);
	/* In its place, and nothing reordered: the text before and behind the member is the same.
	 */
	assert_non_null(strstr(text, "\"storage_gb\":20,\"allowed_cidrs\":[\"127.0.0.16/32\"],"
				     "\"image\":null"));
	assert_non_null(strstr(text, "\"a_later_member\":{\"x\":[1,2.5,9007199254740993]}"));
	after = json_loads(text, 0, NULL);
	assert_true(json_is_false(json_object_get(after, "network")));
	json_object_del(after, "allowed_cidrs");
	json_object_del(before, "allowed_cidrs");
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	free(text);
	bb_buf_done(&out);
}

static void an_empty_list_is_patched_too(void **state)
{
	struct bb_buf out;
	bool changed = false;

	(void)state;
	assert_int_equal(patch(ROW("\"stopped\"", "null", "false", "[]", ""), ROW_CIDR, &out,
			       &changed, NULL),
			 0);
	assert_true(changed);
	assert_int_equal(vmrow_check(bb_buf_peek(&out), ROW_NAME, ROW_CIDR, NULL, NULL), 0);
	bb_buf_done(&out);
}

static void a_row_that_is_right_is_not_written(void **state)
{
	struct bb_buf out;
	bool changed = true;

	(void)state;
	assert_int_equal(patch(ROW_RIGHT, ROW_CIDR, &out, &changed, NULL), 0);
	assert_false(changed);
	assert_int_equal(bb_buf_size(&out), 0);
	bb_buf_done(&out);
}

static void every_other_row_is_refused_and_says_what_was_found(void **state)
{
	static const struct {
		const char *row, *expected, *found;
	} cases[] = {
		{ "", "JSON object", "" },
		{ "[]", "JSON object", "found []" },
		{ "{\"name\":\"x\"", "JSON object", "" },
		{ "{\"name\":1,\"name\":2}", "JSON object", "uplicate" },
		{ "{}", "name: expected", "found nothing" },
		{ "{\"name\":\"another\"}", "name: expected \"" ROW_NAME "\"", "\"another\"" },
		{ ROW("\"running\"", "null", "false", "null", ""), "state: expected", "running" },
		{ ROW("7", "null", "false", "null", ""), "state: expected", "found 7" },
		{ ROW("\"created\"", "123", "false", "null", ""), "pid: expected null", "123" },
		{ ROW("\"created\"", "null", "true", "null", ""), "network: expected false",
		  "found true" },
		{ ROW("\"created\"", "null", "\"false\"", "null", ""), "network: expected false",
		  "found \"false\"" },
		{ ROW("\"created\"", "null", "false", "\"127.0.0.16/32\"", ""),
		  "allowed_cidrs: expected", "found \"127.0.0.16/32\"" },
		{ ROW("\"created\"", "null", "false", "{}", ""), "allowed_cidrs: expected",
		  "found {}" },
		{ ROW("\"created\"", "null", "false", "false", ""), "allowed_cidrs: expected",
		  "found false" },
		{ ROW("\"created\"", "null", "false", "[7]", ""), "allowed_cidrs: expected",
		  "found [7]" },
		{ ROW("\"created\"", "null", "false", "[\"127.0.0.16/32\",\"127.0.0.17/32\"]", ""),
		  "and nothing else", "127.0.0.17/32" },
		{ ROW("\"created\"", "null", "false", "[\"127.0.0.16/32\",\"127.0.0.16/32\"]", ""),
		  "and nothing else", "127.0.0.16/32" },
		{ ROW("\"created\"", "null", "false", "[\"10.0.0.1/32\"]", ""),
		  "allowed_cidrs: expected", "10.0.0.1/32" },
		{ ROW("\"created\"", "null", "false", "[\"127.0.0.0/8\"]", ""),
		  "allowed_cidrs: expected", "127.0.0.0/8" },
		{ ROW("\"created\"", "null", "false", "null", ",\"dns_filter_hosts\":[\"a\"]"),
		  "dns_filter_hosts: expected nothing", "[\"a\"]" },
		{ ROW("\"created\"", "null", "false", "null",
		      ",\"network_backend\":\"virtio-net\""),
		  "network_backend: expected", "virtio-net" },
		{ ROW("\"created\"", "null", "false", "null", ",\"network_name\":\"lan\""),
		  "network_name: expected nothing", "lan" },
		{ ROW("\"created\"", "null", "false", "null", ",\"allowed_cidrs\":null"),
		  "JSON object", "uplicate" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct bb_buf out;
		bool changed = false;
		struct bb_err err = { 0 };
		int r = patch(cases[i].row, ROW_CIDR, &out, &changed, &err);

		if (r != BB_E_REFUSED || changed || bb_buf_size(&out) != 0 ||
		    strstr(err.msg, cases[i].expected) == NULL ||
		    strstr(err.msg, cases[i].found) == NULL)
			fail_msg("case %zu: %d %s", i, r, err.msg);
		bb_buf_done(&out);
	}
}

static void a_missing_key_is_refused(void **state)
{
	static const char row[] = "{\"name\":\"" ROW_NAME "\",\"state\":\"created\",\"pid\":null,"
				  "\"network\":false}";
	static const char no_network[] = "{\"name\":\"" ROW_NAME "\",\"state\":\"created\","
					 "\"pid\":null,\"allowed_cidrs\":null}";
	struct bb_buf out;
	bool changed = false;
	struct bb_err err = { 0 };

	(void)state;
	assert_error(patch(row, ROW_CIDR, &out, &changed, &err), BB_E_REFUSED, err);
	assert_non_null(strstr(err.msg, "allowed_cidrs: expected null or a list, found nothing"));
	assert_error(patch(no_network, ROW_CIDR, &out, &changed, &err), BB_E_REFUSED, err);
	assert_non_null(strstr(err.msg, "network: expected false, found nothing"));
}

static void an_address_that_is_not_ours_is_never_written(void **state)
{
	struct bb_buf out;
	bool changed = false;
	struct bb_err err = { 0 };

	(void)state;
	assert_error(patch(ROW_FRESH, "10.0.0.1/32", &out, &changed, &err), BB_E_REFUSED, err);
	assert_error(patch(ROW_FRESH, "127.0.0.0/8", &out, &changed, &err), BB_E_REFUSED, err);
	assert_false(changed);
}

static int check(const char *row, const char *cidr, const char *socket, struct bb_err *err)
{
	return vmrow_check(bb_view_str(row), ROW_NAME, cidr, socket, err);
}

static void the_check_wants_exactly_one_address(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(check(ROW_RIGHT, ROW_CIDR, NULL, NULL), 0);
	assert_int_equal(check(ROW("\"running\"", "77", "false", "[\"" ROW_CIDR "\"]", ""),
			       ROW_CIDR, NULL, NULL),
			 0);
	assert_error(check(ROW_FRESH, ROW_CIDR, NULL, &err), BB_E_REFUSED, err);
	assert_non_null(strstr(err.msg, "found null"));
	assert_error(check(ROW_RIGHT, "127.0.0.17/32", NULL, &err), BB_E_REFUSED, err);
	assert_error(check(ROW("\"running\"", "77", "true", "[\"" ROW_CIDR "\"]", ""), ROW_CIDR,
			   NULL, &err),
		     BB_E_REFUSED, err);
	assert_error(check("[", ROW_CIDR, NULL, &err), BB_E_REFUSED, err);
}

static void socket_mode_has_no_network_and_one_socket(void **state)
{
#define SOCKET(more) ROW("\"created\"", "null", "false", "null", more)
#define ENTRY(direction, guest) \
	"{\"direction\":\"" direction "\",\"host\":\"/h\",\"guest\":\"" guest "\"}"
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(check(SOCKET(",\"published_sockets\":[" ENTRY("mount", "/g") "]"), NULL,
			       "/g", NULL),
			 0);
	assert_int_equal(check(SOCKET(""), NULL, NULL, NULL), 0);
	assert_error(check(SOCKET(""), NULL, "/g", &err), BB_E_REFUSED, err);
	assert_error(check(SOCKET(",\"published_sockets\":[" ENTRY("expose", "/g") "]"), NULL, "/g",
			   &err),
		     BB_E_REFUSED, err);
	assert_error(check(SOCKET(",\"published_sockets\":[" ENTRY("mount", "/other") "]"), NULL,
			   "/g", &err),
		     BB_E_REFUSED, err);
	assert_error(check(SOCKET(",\"published_sockets\":[" ENTRY("mount", "/g") "," ENTRY(
				   "mount", "/h") "]"),
			   NULL, "/g", &err),
		     BB_E_REFUSED, err);
	assert_error(check(SOCKET(",\"published_sockets\":[" ENTRY("mount", "/g") "]"), NULL, NULL,
			   &err),
		     BB_E_REFUSED, err);
	assert_error(check(ROW_RIGHT, NULL, NULL, &err), BB_E_REFUSED, err);
	assert_error(check(ROW("\"created\"", "null", "true", "null", ""), NULL, NULL, &err),
		     BB_E_REFUSED, err);
}

static int effective(const char *text, const char *cidr, struct bb_err *err)
{
	return vmrow_check_effective(bb_view_str(text), cidr, err);
}

static void the_effective_configuration_is_compared(void **state)
{
#define EFFECTIVE(network, cidrs, ports)                                      \
	"{\"version\":1,\"mounts\":[],\"ports\":" ports                       \
	",\"resources\":{\"cpus\":2,\"memory_mib\":2048,\"network\":" network \
	",\"allowed_cidrs\":" cidrs "}}"
	static const struct {
		const char *text, *cidr;
	} bad[] = {
		{ "", ROW_CIDR },
		{ "{}", ROW_CIDR },
		{ "{\"resources\":[]}", ROW_CIDR },
		{ EFFECTIVE("false", "null", "[]"), ROW_CIDR },
		{ EFFECTIVE("false", "[]", "[]"), ROW_CIDR },
		{ EFFECTIVE("false", "[\"127.0.0.16/32\",\"1.1.1.1/32\"]", "[]"), ROW_CIDR },
		{ EFFECTIVE("false", "[\"127.0.0.17/32\"]", "[]"), ROW_CIDR },
		{ EFFECTIVE("false", "[\"127.0.0.16/32\"]", "[[80,80]]"), ROW_CIDR },
		{ EFFECTIVE("7", "[\"127.0.0.16/32\"]", "[]"), ROW_CIDR },
		{ EFFECTIVE("true", "null", "[]"), NULL },
		{ EFFECTIVE("false", "[\"127.0.0.16/32\"]", "[]"), NULL },
	};

	(void)state;
	assert_int_equal(effective(EFFECTIVE("false", "[\"127.0.0.16/32\"]", "[]"), ROW_CIDR, NULL),
			 0);
	assert_int_equal(effective(EFFECTIVE("true", "[\"127.0.0.16/32\"]", "[]"), ROW_CIDR, NULL),
			 0);
	assert_int_equal(effective(EFFECTIVE("false", "null", "[]"), NULL, NULL), 0);
	for (size_t i = 0; i < BB_ARRAY_LEN(bad); i++) {
		struct bb_err err = { 0 };

		if (effective(bad[i].text, bad[i].cidr, &err) != BB_E_REFUSED)
			fail_msg("case %zu was taken", i);
		assert_non_null(strstr(err.msg, "expected"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_loopback_host_address_is_one),
		cmocka_unit_test(a_fresh_row_gets_the_address_and_keeps_everything_else),
		cmocka_unit_test(an_empty_list_is_patched_too),
		cmocka_unit_test(a_row_that_is_right_is_not_written),
		cmocka_unit_test(every_other_row_is_refused_and_says_what_was_found),
		cmocka_unit_test(a_missing_key_is_refused),
		cmocka_unit_test(an_address_that_is_not_ours_is_never_written),
		cmocka_unit_test(the_check_wants_exactly_one_address),
		cmocka_unit_test(socket_mode_has_no_network_and_one_socket),
		cmocka_unit_test(the_effective_configuration_is_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
