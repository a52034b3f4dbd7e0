/* role/monitor/plan.c: a plan comes back as it was written; what is not one is refused. */
#include "../../unit.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/tlv.h"
#include "role/monitor/plan.h"

static char id[] = "dev-abcde", agent[] = "dev", backend[] = "namespace", image[] = "host",
	    label[] = "work", env_a[] = "A=1", env_b[] = "B=", token[] = "TOKEN";
static char *env[] = { env_a, env_b, NULL };
static char *tokens[] = { token, NULL };
static uint16_t ports[] = { 8080, 65535 };

static struct monitor_plan sample(void)
{
	return (struct monitor_plan){
		.identity = id,
		.agent = agent,
		.backend = backend,
		.image = image,
		.label = label,
		.resources = { .cpus = 2, .memory_bytes = 1ull << 33, .disk_bytes = 5, .pids = 7 },
		.policy = { .p = (const uint8_t *)"pol\0icy", .n = 7 },
		.env = env,
		.token_refs = tokens,
		.ports = ports,
		.port_count = 2,
		.is_headless = true,
		.max_seconds = 9,
		.orphan_grace_ms = 100,
	};
}

static void a_plan_comes_back_whole(void **state)
{
	struct monitor_plan in = sample(), *out = NULL;
	struct bb_err err = { 0 };
	struct bb_buf b;

	(void)state;
	bb_buf_init(&b, MONITOR_PLAN_MAX);
	assert_int_equal(monitor_plan_encode(&in, &b), 0);
	assert_int_equal(monitor_plan_decode(bb_buf_peek(&b), &out, &err), 0);
	bb_buf_done(&b); /* the plan stands alone */
	assert_string_equal(out->identity, id);
	assert_string_equal(out->label, label);
	assert_null(out->cwd);
	assert_int_equal(out->resources.cpus, 2);
	assert_int_equal(out->resources.pids, 7);
	assert_true(out->resources.memory_bytes == 1ull << 33);
	assert_true(bb_view_eq(out->policy, in.policy));
	assert_string_equal(out->env[0], env_a);
	assert_string_equal(out->env[1], env_b);
	assert_null(out->env[2]);
	assert_string_equal(out->token_refs[0], token);
	assert_int_equal(out->port_count, 2);
	assert_int_equal(out->ports[1], 65535);
	assert_true(out->is_headless);
	assert_int_equal(out->max_seconds, 9);
	assert_int_equal(out->orphan_grace_ms, 100);
	monitor_plan_free(out);
}

static void every_cut_is_refused(void **state)
{
	struct monitor_plan in = sample(), *out = NULL;
	struct bb_view whole;
	struct bb_buf b;
	size_t accepted = 0;

	(void)state;
	bb_buf_init(&b, MONITOR_PLAN_MAX);
	assert_int_equal(monitor_plan_encode(&in, &b), 0);
	whole = bb_buf_peek(&b);
	for (size_t n = 0; n < whole.n; n++) {
		struct bb_err err = { 0 };

		if (monitor_plan_decode(bb_view_of(whole.p, n), &out, &err) == 0) {
			accepted++;
			monitor_plan_free(out);
			continue;
		}
		assert_true(err.msg[0] != '\0');
	}
	/* Whole optional fields may be missing at the end: the token and the two variables. */
	assert_int_equal(accepted, 3);
	bb_buf_done(&b);
}

static void refuse(struct monitor_plan *in)
{
	struct monitor_plan *out = NULL;
	struct bb_err err = { 0 };
	struct bb_buf b;

	bb_buf_init(&b, MONITOR_PLAN_MAX);
	assert_int_equal(monitor_plan_encode(in, &b), 0);
	assert_true(monitor_plan_decode(bb_buf_peek(&b), &out, &err) < 0);
	assert_null(out);
	assert_true(err.msg[0] != '\0');
	bb_buf_done(&b);
}

static void bad_values_are_refused(void **state)
{
	char bad_name[] = "../x", no_value[] = "NAME", no_name[] = "=x";
	char *bad_env[] = { no_value, NULL }, *bad_env2[] = { no_name, NULL };
	struct monitor_plan p;

	(void)state;
	p = sample();
	p.identity = bad_name;
	refuse(&p);
	p = sample();
	p.label = bad_name;
	refuse(&p);
	p = sample();
	p.env = bad_env;
	refuse(&p);
	p = sample();
	p.env = bad_env2;
	refuse(&p);
	p = sample();
	p.image = NULL;
	refuse(&p);
}

static void a_plan_above_the_cap_is_refused(void **state)
{
	struct monitor_plan *out = NULL;
	struct bb_err err = { 0 };
	struct bb_buf b;

	(void)state;
	bb_buf_init(&b, MONITOR_PLAN_MAX + 1);
	memset(bb_buf_reserve(&b, MONITOR_PLAN_MAX + 1), 0, MONITOR_PLAN_MAX + 1);
	bb_buf_commit(&b, MONITOR_PLAN_MAX + 1);
	assert_error(monitor_plan_decode(bb_buf_peek(&b), &out, &err), -EMSGSIZE, err);
	bb_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_comes_back_whole),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(bad_values_are_refused),
		cmocka_unit_test(a_plan_above_the_cap_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
