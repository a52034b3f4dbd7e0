/* cli/init_text.c: what init writes is what the parser reads, whatever was answered. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/init_text.h"
#include "manifest/manifest.h"

static struct cli_init_answers answers_of(const char *const *hosts)
{
	return (struct cli_init_answers){ .agent = "worker",
					  .bottle = "dev",
					  .provider = "claude",
					  .hosts = hosts,
					  .prompt = "You work." };
}

static void what_is_answered_is_what_loads(void **state)
{
	static const char *const hosts[] = { "Docs.Python.org", "*.crates.io", NULL };
	struct cli_init_answers a = answers_of(hosts);
	struct bb_err err = { 0 };
	BB_AUTO_FREE char *bottle = cli_init_bottle_text(&a, &err);
	BB_AUTO_FREE char *agent = cli_init_agent_text(&a, &err);
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO(manifest_agent) struct manifest_agent *m = NULL;

	(void)state;
	assert_non_null(bottle);
	assert_non_null(agent);
	assert_int_equal(manifest_parse_bottle(bb_view_str(bottle), "dev", "f", &b, &err), 0);
	assert_int_equal(manifest_parse_agent(bb_view_str(agent), "worker", "f", &m, &err), 0);
	assert_string_equal(b->provider, "claude");
	assert_null(b->image);
	assert_int_equal(b->policy->route_count, 2);
	assert_string_equal(b->policy->routes[0].host, "docs.python.org");
	assert_false(b->policy->routes[0].is_wildcard);
	assert_string_equal(b->policy->routes[1].host, "crates.io");
	assert_true(b->policy->routes[1].is_wildcard);
	assert_string_equal(m->bottle, "dev");
	assert_string_equal(m->prompt, "You work.");
}

static void a_shell_without_hosts_reaches_nothing(void **state)
{
	static const char *const none[] = { NULL };
	struct cli_init_answers a = answers_of(none);
	struct bb_err err = { 0 };
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO_FREE char *text = NULL;

	(void)state;
	a.provider = CLI_INIT_SHELL;
	a.image = "host";
	text = cli_init_bottle_text(&a, &err);
	assert_non_null(text);
	assert_int_equal(manifest_parse_bottle(bb_view_str(text), "dev", "f", &b, &err), 0);
	assert_null(b->provider);
	assert_string_equal(b->image, "host");
	assert_int_equal(b->policy->route_count, 0);
}

/* What could become another line, key or document of the file. */
static void no_answer_gets_out_of_its_place(void **state)
{
	static const char *const bad[] = {
		"https://x.test",  "x.test:443",      "1.2.3.4",
		"x.test\"",        "x.test\n    - y", "*",
		"*.com",           "-x.test",         "preset:",
		"preset:a\"\n- b", "preset:a b",      "preset:a\\",
		"x.test\\",        "a..test",         "preset:a\n---\nb: c",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(bad); i++) {
		const char *hosts[] = { bad[i], NULL };
		struct cli_init_answers a = answers_of(hosts);
		struct bb_err err = { 0 };
		char *text = cli_init_bottle_text(&a, &err);

		if (text != NULL)
			fail_msg("'%s' was taken:\n%s", bad[i], text);
		assert_true(err.code < 0 && err.msg[0] != '\0');
	}
}

static void a_host_that_is_said_twice_is_one_route(void **state)
{
	static const char *const twice[] = { "a.test", "b.test", "A.test", NULL };
	struct cli_init_answers a = answers_of(twice);
	struct bb_err err = { 0 };
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO_FREE char *text = cli_init_bottle_text(&a, &err);

	(void)state;
	assert_non_null(text);
	assert_int_equal(manifest_parse_bottle(bb_view_str(text), "dev", "f", &b, &err), 0);
	assert_int_equal(b->policy->route_count, 2);
}

/* Nobody has seen the file that the parser would name. */
static void reasons_do_not_name_a_file_yet(void **state)
{
	static const char *const bad[] = { "preset:no-such-preset", NULL };
	struct cli_init_answers a = answers_of(bad);
	struct bb_err err = { 0 };

	(void)state;
	assert_null(cli_init_bottle_text(&a, &err));
	assert_null(strstr(err.msg, "the new bottle"));
	assert_non_null(strstr(err.msg, "preset"));
}

static void a_prompt_with_control_bytes_is_refused(void **state)
{
	static const char *const none[] = { NULL };
	struct cli_init_answers a = answers_of(none);
	struct bb_err err = { 0 };

	(void)state;
	a.prompt = "be\033[31m good";
	assert_null(cli_init_agent_text(&a, &err));
	assert_non_null(strstr(err.msg, "control character"));
	a.prompt = "not \xff UTF-8";
	assert_null(cli_init_agent_text(&a, &err));
}

static void words_are_split_at_spaces_and_commas(void **state)
{
	BB_AUTO_STRV char **words = cli_init_words(" a.test, b.test  c.test,,\td.test ");
	BB_AUTO_STRV char **none = cli_init_words("  ,  ");

	(void)state;
	assert_int_equal(bb_strv_len(words), 4);
	assert_string_equal(words[0], "a.test");
	assert_string_equal(words[3], "d.test");
	assert_int_equal(bb_strv_len(none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_answered_is_what_loads),
		cmocka_unit_test(a_shell_without_hosts_reaches_nothing),
		cmocka_unit_test(no_answer_gets_out_of_its_place),
		cmocka_unit_test(a_host_that_is_said_twice_is_one_route),
		cmocka_unit_test(reasons_do_not_name_a_file_yet),
		cmocka_unit_test(a_prompt_with_control_bytes_is_refused),
		cmocka_unit_test(words_are_split_at_spaces_and_commas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
