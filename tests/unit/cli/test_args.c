/* cli/: command lines against a table, and the tables themselves. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/command.h"

static const struct cli_option options[] = {
	{ "all", 'a', CLI_FLAG, NULL, CLI_WORD_ANY, "" },
	{ "name", 'n', CLI_VALUE, "NAME", CLI_WORD_ANY, "" },
	{ "cwd", 0, CLI_OPTIONAL_VALUE, "DIR", CLI_WORD_DIR, "" },
};
static const char *const verbs[] = { "build", "list", NULL };

static const struct cli_command plain = { .name = "plain",
					  .operands = "ONE [TWO]",
					  CLI_OPTIONS(options),
					  .operands_min = 1,
					  .operands_max = 2 };
static const struct cli_command stops = { .name = "stops",
					  .operands = "ID COMMAND...",
					  CLI_OPTIONS(options),
					  .operands_min = 2,
					  .operands_max = 2,
					  .stops_at_operand = true };
static const struct cli_command rest = { .name = "rest",
					 .operands = "AGENT [-- COMMAND...]",
					 CLI_OPTIONS(options),
					 .operands_min = 1,
					 .operands_max = 1,
					 .takes_rest = true };
static const struct cli_command verb = {
	.name = "verb", .operands = "build|list", .operands_max = 1, .verbs = verbs
};

/* The parser moves pointers about, so the words are owned apart from the vector that it gets. */
struct line {
	char **words, **argv;
};

static void line_done(struct line *l)
{
	bb_strv_free(l->words);
	free(l->argv);
}
#define AUTO_LINE __attribute__((cleanup(line_done)))

/* Words separated by single spaces. */
static int parse(const struct cli_command *c, const char *text, struct line *l,
		 struct cli_args *ret, struct bb_err *err)
{
	size_t count;

	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, " ");

		assert_int_equal(bb_strv_push(&l->words, strndup(p, n)), 0);
		p += n;
		p += *p == ' ';
	}
	count = bb_strv_len(l->words);
	l->argv = calloc(count + 1, sizeof(char *));
	for (size_t i = 0; i < count; i++)
		l->argv[i] = l->words[i];
	return cli_args_parse(c, (int)count, l->argv, ret, err);
}

static char *joined(char *const *words)
{
	char *s = strdup("");

	for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
		char *longer = bb_text_printf("%s%s%s", s, i > 0 ? " " : "", words[i]);

		free(s);
		s = longer;
	}
	return s;
}

static void args_are_sorted_into_options_operands_and_rest(void **state)
{
	static const struct {
		const struct cli_command *command;
		const char *line, *operands, *rest, *name, *cwd;
		bool has_all, has_cwd;
	} cases[] = {
		{ &plain, "x", "x", "", NULL, NULL, false, false },
		{ &plain, "-a x --name v y", "x y", "", "v", NULL, true, false },
		{ &plain, "x --name=v=w --all", "x", "", "v=w", NULL, true, false },
		{ &plain, "-anv x", "x", "", "v", NULL, true, false },
		{ &plain, "-n v x -n w", "x", "", "w", NULL, false, false },
		{ &plain, "--cwd x", "x", "", NULL, NULL, false, true },
		{ &plain, "--cwd=/d x", "x", "", NULL, "/d", false, true },
		{ &plain, "x -- -a", "x -a", "", NULL, NULL, false, false },
		{ &plain, "-", "-", "", NULL, NULL, false, false },
		{ &stops, "-a id sh -c --all", "id sh -c --all", "", NULL, NULL, true, false },
		{ &rest, "x --all -- sh -a", "x", "sh -a", NULL, NULL, true, false },
		{ &rest, "--all x -- -- y", "x", "-- y", NULL, NULL, true, false },
		{ &rest, "x", "x", "", NULL, NULL, false, false },
		{ &verb, "list", "list", "", NULL, NULL, false, false },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		BB_AUTO_FREE char *operands = NULL, *after = NULL;
		struct cli_args args;
		struct bb_err err = { 0 };
		AUTO_LINE struct line l = { 0 };

		if (parse(cases[i].command, cases[i].line, &l, &args, &err) < 0)
			fail_msg("'%s': %s", cases[i].line, err.msg);
		operands = joined(args.operands);
		after = joined(args.rest);
		assert_string_equal(operands, cases[i].operands);
		assert_string_equal(after, cases[i].rest);
		assert_int_equal(cli_args_has(&args, "all"), cases[i].has_all);
		assert_int_equal(cli_args_has(&args, "cwd"), cases[i].has_cwd);
		if (cases[i].name != NULL)
			assert_string_equal(cli_args_get(&args, "name"), cases[i].name);
		else
			assert_null(cli_args_get(&args, "name"));
		if (cases[i].cwd != NULL)
			assert_string_equal(cli_args_get(&args, "cwd"), cases[i].cwd);
		else
			assert_null(cli_args_get(&args, "cwd"));
	}
}

static void args_refuse_with_one_sentence(void **state)
{
	static const struct {
		const struct cli_command *command;
		const char *line, *want;
	} cases[] = {
		{ &plain, "", "too few words: bot-bottle plain ONE [TWO]" },
		{ &plain, "a b c", "'c' is one word too many: bot-bottle plain ONE [TWO]" },
		{ &plain, "a --nam x", "'plain' has no option '--nam'; did you mean '--name'?" },
		{ &plain, "a --zzzzzz",
		  "'plain' has no option '--zzzzzz'; 'bot-bottle plain --help' lists them" },
		{ &plain, "a -z",
		  "'plain' has no option '-z'; 'bot-bottle plain --help' lists them" },
		{ &plain, "a --name", "option '--name' needs a value: --name NAME" },
		{ &plain, "a -n", "option '-n' needs a value: -n NAME" },
		{ &plain, "a --all=1", "option '--all' takes no value" },
		{ &rest, "a --", "'--' must be followed by a command" },
		{ &verb, "biuld", "'verb' has no 'biuld'; did you mean 'build'?" },
		{ &verb, "zzzzzz", "'verb' has no 'zzzzzz'; it is: bot-bottle verb build|list" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct cli_args args;
		struct bb_err err = { 0 };
		AUTO_LINE struct line l = { 0 };

		assert_error(parse(cases[i].command, cases[i].line, &l, &args, &err), BB_E_USAGE,
			     err);
		assert_string_equal(err.msg, cases[i].want);
	}
}

static void every_command_has_what_help_and_man_pages_need(void **state)
{
	(void)state;
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		const struct cli_command *c = cli_commands[i];

		assert_non_null(c->run);
		assert_non_null(c->operands);
		assert_true(c->summary[0] >= 'A' && c->summary[0] <= 'Z');
		assert_int_not_equal(c->summary[strlen(c->summary) - 1], '.');
		assert_ptr_equal(cli_command_find(c->name), c);
		for (size_t k = 0; k < c->option_count; k++) {
			assert_int_equal(c->options[k].value == CLI_FLAG,
					 c->options[k].placeholder == NULL);
			assert_true(c->options[k].help[0] != '\0');
			for (size_t j = 0; j < k; j++) {
				assert_string_not_equal(c->options[k].name, c->options[j].name);
				assert_true(c->options[k].letter == 0 ||
					    c->options[k].letter != c->options[j].letter);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(args_are_sorted_into_options_operands_and_rest),
		cmocka_unit_test(args_refuse_with_one_sentence),
		cmocka_unit_test(every_command_has_what_help_and_man_pages_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
