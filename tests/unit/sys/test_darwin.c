/* sys/darwin/: what is asked, and how answers are read. The programs are played. */
#include "../unit.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "sys/darwin/host.h"

struct played {
	const char *answer;
	int code;
	char asked[256];
};

static int play(void *arg, char *const *argv, struct bb_buf *out, struct bb_err *err)
{
	struct played *p = arg;
	size_t used = 0;

	for (size_t i = 0; argv[i] != NULL; i++)
		used += (size_t)snprintf(p->asked + used, sizeof(p->asked) - used, "%s%s",
					 i == 0 ? "" : " ", argv[i]);
	if (p->code < 0)
		return bb_err_set(err, p->code, "cannot be run");
	assert_int_equal(bb_buf_append_str(out, p->answer), 0);
	return p->code;
}

static void hypervisor_is_there_only_when_sysctl_says_one(void **state)
{
	static const struct {
		const char *answer;
		int code, want;
	} cases[] = {
		{ "1\n", 0, 0 },          { "1", 0, 0 },         { "0\n", 0, BB_E_MISSING },
		{ "", 1, BB_E_MISSING }, /* an unknown name */
		{ "", 0, -EPROTO },       { "2\n", 0, -EPROTO }, { "1\n1\n", 0, -EPROTO },
		{ "", -ENOENT, -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct played p = { .answer = cases[i].answer, .code = cases[i].code };
		struct darwin_runner runner = { .run = play, .arg = &p };
		struct bb_err err = { 0 };

		assert_int_equal(darwin_check_hypervisor(&runner, &err), cases[i].want);
		assert_int_equal(err.code, cases[i].want);
		assert_string_equal(p.asked, "/usr/sbin/sysctl -n kern.hv_support");
	}
}

static int listeners(const char *answer, int code, struct darwin_listener *found,
		     struct bb_err *err)
{
	struct played p = { .answer = answer, .code = code };
	struct darwin_runner runner = { .run = play, .arg = &p };
	int r = darwin_listeners(&runner, "127.0.0.16", found, err);

	assert_string_equal(p.asked, "/usr/sbin/lsof -nP -iTCP -sTCP:LISTEN -Fpcn");
	return r;
}

static void listeners_are_those_that_answer_on_the_guests_address(void **state)
{
	static struct darwin_listener found[DARWIN_LISTENERS_MAX];
	struct bb_err err = { 0 };
	int n = listeners("p410\ncControlCe\nf9\nn*:7000\nf10\nn*:7000\nf11\nn*:5000\n"
			  "p511\ncpostgres\nf7\nn127.0.0.1:5432\nf8\nn[::1]:5432\n"
			  "p600\ncodd \x1b[2J\nf3\nn127.0.0.16:9000\nf4\nn127.0.0.17:9001\n"
			  "p700\ncserver\nf3\nn[::]:80\nf4\nn0.0.0.0:81\nf5\nn192.168.1.5:82\n",
			  0, found, &err);

	(void)state;
	assert_int_equal(n, 5);
	assert_string_equal(found[0].program, "ControlCe");
	assert_int_equal(found[0].pid, 410);
	assert_int_equal(found[0].port, 7000);
	assert_true(found[0].is_wildcard);
	assert_int_equal(found[1].port, 5000);
	assert_int_equal(found[2].port, 9000);
	assert_false(found[2].is_wildcard);
	assert_string_equal(found[2].program, "odd \\x1b[2J");
	assert_int_equal(found[3].port, 80);
	assert_int_equal(found[4].port, 81);
}

static void nobody_listening_is_not_an_error(void **state)
{
	static struct darwin_listener found[DARWIN_LISTENERS_MAX];
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(listeners("", 1, found, &err), 0);
	assert_int_equal(listeners("", 0, found, &err), 0);
}

static void what_is_not_understood_is_no_list(void **state)
{
	static struct darwin_listener found[DARWIN_LISTENERS_MAX];
	static const struct {
		const char *answer;
		int code, want;
	} cases[] = {
		{ "p1\ncx\nf1\nn*:http\n", 0, -EPROTO },
		{ "p1\ncx\nf1\nn*\n", 0, -EPROTO },
		{ "p1\ncx\nf1\nn:80\n", 0, -EPROTO },
		{ "p1\ncx\nf1\nn*:0\n", 0, -EPROTO },
		{ "p1\ncx\nf1\nn*:65536\n", 0, -EPROTO },
		{ "px\n", 0, -EPROTO },
		{ "n*:80\n", 0, -EPROTO },
		{ "COMMAND PID USER\n", 0, -EPROTO },
		{ "p1\ncx\nf1\nn*:80\n", 1, -EIO },
		{ "", 2, -EIO },
		{ "", -ENOENT, -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct bb_err err = { 0 };

		assert_error(listeners(cases[i].answer, cases[i].code, found, &err), cases[i].want,
			     err);
	}
}

static void more_than_can_be_shown_is_refused(void **state)
{
	static struct darwin_listener found[DARWIN_LISTENERS_MAX];
	BB_AUTO_BUF struct bb_buf b = { .cap = 65536 };
	BB_AUTO_FREE char *text = NULL;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(bb_buf_append_str(&b, "p1\ncx\n"), 0);
	for (int i = 0; i <= DARWIN_LISTENERS_MAX; i++)
		assert_int_equal(bb_buf_printf(&b, "f1\nn*:%d\n", 1000 + i), 0);
	text = bb_buf_dup_str(&b);
	assert_error(listeners(text, 0, found, &err), BB_E_LIMIT, err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hypervisor_is_there_only_when_sysctl_says_one),
		cmocka_unit_test(listeners_are_those_that_answer_on_the_guests_address),
		cmocka_unit_test(nobody_listening_is_not_an_error),
		cmocka_unit_test(what_is_not_understood_is_no_list),
		cmocka_unit_test(more_than_can_be_shown_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
