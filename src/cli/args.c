/* The command line against the command's table; see command.h. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/command.h"

/* Every command has these beside its own. */
static const struct cli_option help_option = { "help", 'h',          CLI_FLAG,
					       NULL,   CLI_WORD_ANY, "show this help" };

static const struct cli_option *find_option(const struct cli_command *c, const char *name, size_t n)
{
	for (size_t i = 0; i < c->option_count; i++)
		if (strlen(c->options[i].name) == n && strncmp(c->options[i].name, name, n) == 0)
			return &c->options[i];
	if (n == 4 && strncmp(name, "help", 4) == 0)
		return &help_option;
	return NULL;
}

static const struct cli_option *find_letter(const struct cli_command *c, char letter)
{
	for (size_t i = 0; i < c->option_count; i++)
		if (c->options[i].letter == letter)
			return &c->options[i];
	return letter == 'h' ? &help_option : NULL;
}

static int refuse_option(const struct cli_command *c, const char *name, size_t n,
			 struct bb_err *err)
{
	const char *names[CLI_SET_MAX];
	const char *near;
	size_t count = 0;

	for (size_t i = 0; i < c->option_count && count < CLI_SET_MAX - 1; i++)
		names[count++] = c->options[i].name;
	names[count++] = "help";
	near = bb_table_suggest(names, count, bb_view_of(name, n));
	if (near != NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' has no option '--%s'; did you mean '--%s'?", c->name,
				  BB_ESCAPED(bb_view_of(name, n)), near);
	return bb_err_set(err, BB_E_USAGE,
			  "'%s' has no option '--%s'; 'bot-bottle %s --help' lists them", c->name,
			  BB_ESCAPED(bb_view_of(name, n)), c->name);
}

static int set_option(struct cli_args *a, const struct cli_option *o, const char *value,
		      struct bb_err *err)
{
	if (a->set_count == CLI_SET_MAX)
		return bb_err_set(err, BB_E_USAGE, "more than %d options", CLI_SET_MAX);
	a->set[a->set_count].option = o;
	a->set[a->set_count++].value = value;
	return 0;
}

/* argv[*i] is "--name..."; *i moves over a value of its own. */
static int take_long(struct cli_args *a, char **argv, int argc, int *i, struct bb_err *err)
{
	const char *name = argv[*i] + 2;
	const char *equals = strchr(name, '=');
	size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
	const struct cli_option *o = find_option(a->command, name, n);

	if (o == NULL)
		return refuse_option(a->command, name, n, err);
	if (o->value == CLI_FLAG && equals != NULL)
		return bb_err_set(err, BB_E_USAGE, "option '--%s' takes no value", o->name);
	if (o->value != CLI_VALUE)
		return set_option(a, o, equals != NULL ? equals + 1 : NULL, err);
	if (equals != NULL)
		return set_option(a, o, equals + 1, err);
	if (*i + 1 >= argc)
		return bb_err_set(err, BB_E_USAGE, "option '--%s' needs a value: --%s %s", o->name,
				  o->name, o->placeholder);
	return set_option(a, o, argv[++*i], err);
}

/* argv[*i] is "-abc": flags may be joined, the last may take a value. */
static int take_short(struct cli_args *a, char **argv, int argc, int *i, struct bb_err *err)
{
	for (const char *p = argv[*i] + 1; *p != '\0'; p++) {
		const struct cli_option *o = find_letter(a->command, *p);
		int r;

		if (o == NULL)
			return bb_err_set(
				err, BB_E_USAGE,
				"'%s' has no option '-%s'; 'bot-bottle %s --help' lists them",
				a->command->name, BB_ESCAPED(bb_view_of(p, 1)), a->command->name);
		if (o->value == CLI_VALUE) {
			if (p[1] != '\0')
				return set_option(a, o, p + 1, err);
			if (*i + 1 >= argc)
				return bb_err_set(err, BB_E_USAGE,
						  "option '-%c' needs a value: -%c %s", o->letter,
						  o->letter, o->placeholder);
			return set_option(a, o, argv[++*i], err);
		}
		r = set_option(a, o, NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The first operand of a command with verbs. */
static int check_verb(const struct cli_args *a, struct bb_err *err)
{
	const char *const *verbs = a->command->verbs;
	const char *near;
	size_t count = 0;

	if (verbs == NULL || a->operand_count == 0)
		return 0;
	while (verbs[count] != NULL)
		count++;
	if (bb_table_index(verbs, count, bb_view_str(a->operands[0])) >= 0)
		return 0;
	near = bb_table_suggest(verbs, count, bb_view_str(a->operands[0]));
	if (near != NULL)
		return bb_err_set(err, BB_E_USAGE, "'%s' has no '%s'; did you mean '%s'?",
				  a->command->name, BB_ESCAPED(bb_view_str(a->operands[0])), near);
	return bb_err_set(err, BB_E_USAGE, "'%s' has no '%s'; it is: bot-bottle %s %s",
			  a->command->name, BB_ESCAPED(bb_view_str(a->operands[0])),
			  a->command->name, a->command->operands);
}

static int check_counts(const struct cli_args *a, struct bb_err *err)
{
	const struct cli_command *c = a->command;

	if (cli_args_has(a, "help"))
		return 0;
	if (a->operand_count < c->operands_min)
		return bb_err_set(err, BB_E_USAGE, "too few words: bot-bottle %s %s", c->name,
				  c->operands);
	if (!c->stops_at_operand && a->operand_count > c->operands_max)
		return bb_err_set(err, BB_E_USAGE, "'%s' is one word too many: bot-bottle %s %s",
				  BB_ESCAPED(bb_view_str(a->operands[c->operands_max])), c->name,
				  c->operands);
	return check_verb(a, err);
}

int cli_args_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *ret,
		   struct bb_err *err)
{
	struct cli_args a = { .command = command, .operands = argv };
	bool has_dashes = false;
	size_t kept = 0;
	int i = 0;

	for (; i < argc; i++) {
		int r = 0;

		if (command->stops_at_operand && kept >= command->operands_min)
			break;
		if (strcmp(argv[i], "--") == 0) {
			has_dashes = true;
			i++;
			break;
		}
		if (argv[i][0] != '-' || argv[i][1] == '\0')
			argv[kept++] = argv[i];
		else if (argv[i][1] == '-')
			r = take_long(&a, argv, argc, &i, err);
		else
			r = take_short(&a, argv, argc, &i, err);
		if (r < 0)
			return r;
	}
	if (command->takes_rest && has_dashes && i == argc)
		return bb_err_set(err, BB_E_USAGE, "'--' must be followed by a command");
	if (command->takes_rest && has_dashes)
		a.rest = argv + i;
	while (!command->takes_rest && i < argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL; /* behind "--" this is the place of "--" itself at the latest */
	a.operand_count = kept;
	*ret = a;
	return check_counts(ret, err);
}

bool cli_args_has(const struct cli_args *args, const char *name)
{
	for (size_t i = 0; i < args->set_count; i++)
		if (strcmp(args->set[i].option->name, name) == 0)
			return true;
	return false;
}

const char *cli_args_get(const struct cli_args *args, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < args->set_count; i++)
		if (strcmp(args->set[i].option->name, name) == 0)
			value = args->set[i].value;
	return value;
}

char **cli_args_all(const struct cli_args *args, const char *name)
{
	BB_AUTO_STRV char **all = calloc(1, sizeof(*all));

	for (size_t i = 0; all != NULL && i < args->set_count; i++)
		if (strcmp(args->set[i].option->name, name) == 0 &&
		    bb_strv_push(&all, strdup(args->set[i].value)) < 0)
			return NULL;
	return bb_take_ptr(&all);
}
