/* What the host may provision, and the environment that comes of it. */
#include "../unit.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/tlv.h"
#include "guest/process.h"
#include "guest/provision.h"
#include "mux/proto.h"

static struct bb_buf body;

static int add(struct provision *p, struct bb_err *err)
{
	int r = provision_add(p, bb_buf_peek(&body), err);

	bb_buf_done(&body);
	return r;
}

static void provision_adds_up_over_frames(void **state)
{
	struct provision p = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	bb_buf_init(&body, 65536);
	bb_tlv_put_str(&body, LIFECYCLE_TAG_ENV, "A=1");
	bb_tlv_put_u32(&body, LIFECYCLE_TAG_PORT, 8443);
	bb_tlv_put_str(&body, LIFECYCLE_TAG_HOSTNAME, "one");
	assert_int_equal(add(&p, &err), 0);
	bb_buf_init(&body, 65536);
	bb_tlv_put_str(&body, LIFECYCLE_TAG_ENV, "B=");
	bb_tlv_put_u32(&body, LIFECYCLE_TAG_PORT, 8443);
	bb_tlv_put_u32(&body, LIFECYCLE_TAG_PORT, 22);
	bb_tlv_put_u32(&body, LIFECYCLE_TAG_PIDS, 7);
	assert_int_equal(add(&p, &err), 0);
	assert_int_equal(bb_strv_len(p.env), 2);
	assert_string_equal(p.env[1], "B=");
	assert_int_equal(p.port_count, 2);
	assert_int_equal(p.ports[1], 22);
	assert_int_equal(p.pids, 7);
	assert_string_equal(p.hostname, "one");
	provision_done(&p);
}

static void provision_refuses_what_makes_no_sense(void **state)
{
	static const struct {
		uint16_t tag;
		const char *text; /* NULL: a number */
		uint32_t number;
	} cases[] = {
		{ LIFECYCLE_TAG_ENV, "no equals sign", 0 },
		{ LIFECYCLE_TAG_ENV, "=value", 0 },
		{ LIFECYCLE_TAG_ENV, "", 0 },
		{ LIFECYCLE_TAG_PORT, NULL, 0 },
		{ LIFECYCLE_TAG_PORT, NULL, 65536 },
		{ LIFECYCLE_TAG_PORT, "80", 0 },
		{ 999, "unknown", 0 },
		{ LIFECYCLE_TAG_HOSTNAME,
		  "0123456789012345678901234567890123456789012345678901234567890123", 0 },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct provision p = { 0 };
		struct bb_err err = { 0 };

		bb_buf_init(&body, 65536);
		if (cases[i].text != NULL)
			bb_tlv_put_str(&body, cases[i].tag, cases[i].text);
		else
			bb_tlv_put_u32(&body, cases[i].tag, cases[i].number);
		assert_error(add(&p, &err), -EPROTO, err);
		provision_done(&p);
	}
}

static void provision_bounds_the_ports(void **state)
{
	struct provision p = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	for (uint32_t i = 0; i <= LIMIT_GUEST_PORTS; i++) {
		bb_buf_init(&body, 64);
		bb_tlv_put_u32(&body, LIFECYCLE_TAG_PORT, 1000 + i);
		assert_int_equal(add(&p, &err), i < LIMIT_GUEST_PORTS ? 0 : -EPROTO);
	}
	provision_done(&p);
}

static const char *value(char **env, const char *name)
{
	size_t n = strlen(name);
	const char *found = NULL;

	for (; *env != NULL; env++) {
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
			assert_null(found); /* a name stands once */
			found = *env + n + 1;
		}
	}
	return found;
}

static void environment_is_defaults_then_base_then_added(void **state)
{
	const struct guest_user node = { "node", "/home/node", 1000, 1000, true };
	const struct guest_user root = { "root", "/root", 0, 0, true };
	char *base[] = { (char[]){ "HOME=/elsewhere" }, (char[]){ "A=base" }, (char[]){ "B=base" },
			 NULL };
	const struct bb_view added[] = { bb_view_str("A=added"), bb_view_str("PATH=/mine") };
	char **env = process_environment(&node, base, added, 2);

	(void)state;
	assert_string_equal(value(env, "HOME"), "/elsewhere");
	assert_string_equal(value(env, "A"), "added");
	assert_string_equal(value(env, "B"), "base");
	assert_string_equal(value(env, "PATH"), "/mine");
	assert_string_equal(value(env, "USER"), "node");
	bb_strv_free(env);
	env = process_environment(&root, base, NULL, 0);
	assert_string_equal(value(env, "HOME"), "/root");
	assert_string_equal(value(env, "USER"), "root");
	bb_strv_free(env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(provision_adds_up_over_frames),
		cmocka_unit_test(provision_refuses_what_makes_no_sense),
		cmocka_unit_test(provision_bounds_the_ports),
		cmocka_unit_test(environment_is_defaults_then_base_then_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
