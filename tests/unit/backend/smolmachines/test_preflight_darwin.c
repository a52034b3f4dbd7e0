/* backend/smolmachines/preflight_darwin.c: what a Mac is asked, and what the operator is. The
 * programs are played. */
#include "../../unit.h"

#include <string.h>

#include "backend/smolmachines/preflight_darwin.h"
#include "base/cleanup.h"

static char smolvm_path[] = "/opt/homebrew/bin/smolvm";
static char *no_environment[] = { NULL };
static const char *hypervisor, *lsof; /* what they print */
static int lsof_code;
static struct backend_report report;
static struct smol_seen_darwin seen;

static int play(void *arg, char *const *argv, struct bb_buf *out, struct bb_err *err)
{
	bool is_lsof = strcmp(argv[0], "/usr/sbin/lsof") == 0;

	(void)arg;
	(void)err;
	assert_int_equal(bb_buf_append_str(out, is_lsof ? lsof : hypervisor), 0);
	return is_lsof ? lsof_code : 0;
}

static int look(enum smolvm_mode mode, struct bb_err *err)
{
	const struct darwin_runner runner = { .run = play };

	seen = (struct smol_seen_darwin){ .common = { .vm = { .path = smolvm_path,
							      .env = no_environment,
							      .version = { 0, 8, 1 },
							      .mode = mode } } };
	smol_see_darwin(&runner, &seen);
	seen.common.pack_result = 0; /* what is installed here is not what this is about */
	return smol_judge_darwin(&seen, &report, err);
}

static int set_up(void **state)
{
	(void)state;
	hypervisor = "1\n";
	lsof = "";
	lsof_code = 1; /* nobody listens */
	return 0;
}

static const struct backend_check *row(const char *name)
{
	for (size_t i = 0; i < report.count; i++)
		if (strcmp(report.checks[i].name, name) == 0)
			return &report.checks[i];
	fail_msg("no row '%s'", name);
	return NULL;
}

static void assert_row(const char *name, enum backend_check_state state, const char *text)
{
	const struct backend_check *c = row(name);

	if (c->state != state || strstr(c->text, text) == NULL)
		fail_msg("%s: %d '%s'", name, (int)c->state, c->text);
}

static void nothing_to_reach_nothing_to_ask(void **state)
{
	(void)state;
	assert_int_equal(look(SMOLVM_TSI, NULL), 0);
	assert_row("hypervisor", BACKEND_CHECK_OK, "is there");
	assert_row("listeners", BACKEND_CHECK_OK, "nothing listens");
	assert_row("verified", BACKEND_CHECK_WARN, "not yet verified on a real smolvm");
	assert_string_equal(report.question, "");
}

static void no_hypervisor_stops(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	hypervisor = "0\n";
	assert_error(look(SMOLVM_SOCKET, &err), BB_E_MISSING, err);
	assert_row("hypervisor", BACKEND_CHECK_FAIL, "cannot run virtual machines");
	assert_non_null(strstr(err.msg, "kern.hv_support"));
}

/* Not refused: listed, and asked about. */
static void listeners_are_listed_and_asked_about(void **state)
{
	(void)state;
	lsof_code = 0;
	lsof = "p501\ncControlCe\nf9\nn*:5000\nf10\nn[::]:7000\np77\ncnginx\nf6\nn127.0.0.1:80\n"
	       "p78\ncother\nf3\nn127.0.0.16:99\n";
	assert_int_equal(look(SMOLVM_TSI, NULL), 0);
	assert_row("listeners", BACKEND_CHECK_WARN, "3 program(s)");
	assert_non_null(strstr(row("listeners")->mend, "1.7.5"));
	assert_string_equal(report.question,
			    "  port 5000: ControlCe (pid 501), on all addresses\n"
			    "  port 7000: ControlCe (pid 501), on all addresses\n"
			    "  port 99: other (pid 78), on the machine's address\n");
}

/* Socket mode has no network: lsof is not run at all. */
static void socket_mode_asks_nothing(void **state)
{
	(void)state;
	lsof = "nonsense";
	assert_int_equal(look(SMOLVM_SOCKET, NULL), 0);
	assert_row("listeners", BACKEND_CHECK_OK, "no network");
	assert_string_equal(report.question, "");
}

static void what_is_not_known_stops(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	lsof = "nonsense\n";
	lsof_code = 0;
	assert_error(look(SMOLVM_TSI, &err), BB_E_MISSING, err);
	assert_row("listeners", BACKEND_CHECK_FAIL, "is not known");
	assert_string_equal(report.question, "");
}

/* A list that cannot be shown whole cannot be agreed to. */
static void more_than_can_be_shown_stops(void **state)
{
	static char text[16384];
	struct bb_err err = { 0 };
	size_t used = 0;

	(void)state;
	for (int i = 0; i < 120; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "p%d\ncprogram\nf1\nn*:%d\n", i + 1, 2000 + i);
	lsof = text;
	lsof_code = 0;
	assert_error(look(SMOLVM_TSI, &err), BB_E_LIMIT, err);
	assert_string_equal(report.question, "");
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_to_reach_nothing_to_ask),
		TEST(no_hypervisor_stops),
		TEST(listeners_are_listed_and_asked_about),
		TEST(socket_mode_asks_nothing),
		TEST(what_is_not_known_stops),
		TEST(more_than_can_be_shown_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
