/*
 * Man pages and shell completions, generated at build time from the tables that the program itself
 * uses: cli-docs man | man COMMAND | bash | zsh | fish. Not installed.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"

/* Words that complete from a command's output; the others from the shell or from a list. */
static const struct {
	const char *list, *command;
} words[] = {
	[CLI_WORD_ANY] = { "", NULL },
	[CLI_WORD_AGENT] = { NULL, "bot-bottle list available -q" },
	[CLI_WORD_BOTTLE] = { "", NULL },
	[CLI_WORD_ID] = { NULL, "bot-bottle list -q" },
	[CLI_WORD_BACKEND] = { "microvm namespace smolmachines", NULL },
	[CLI_WORD_IMAGE] = { "base claude host", NULL },
	[CLI_WORD_FILE] = { NULL, NULL },
	[CLI_WORD_DIR] = { NULL, NULL },
	[CLI_WORD_COMMAND] = { "", NULL },
};

/* man */

static void put_roff(const char *s)
{
	bool is_line_start = true;

	for (; *s != '\0'; s++) {
		if (is_line_start && (*s == '.' || *s == '\''))
			(void)fputs("\\&", stdout);
		if (*s == '-')
			(void)fputs("\\-", stdout);
		else if (*s == '\\')
			(void)fputs("\\e", stdout);
		else
			(void)putchar(*s);
		is_line_start = *s == '\n';
	}
}

static void put_section(const char *title)
{
	(void)printf(".SH %s\n", title);
}

static void man_option(const struct cli_option *o)
{
	(void)puts(".TP");
	if (o->letter != 0)
		(void)printf("\\fB\\-%c\\fR, ", o->letter);
	(void)fputs("\\fB\\-\\-", stdout);
	put_roff(o->name);
	(void)fputs("\\fR", stdout);
	if (o->value != CLI_FLAG)
		(void)printf("%s\\fI%s\\fR%s", o->value == CLI_VALUE ? " " : "[=", o->placeholder,
			     o->value == CLI_VALUE ? "" : "]");
	(void)putchar('\n');
	put_roff(o->help);
	(void)putchar('\n');
}

static void man_command(const struct cli_command *c)
{
	(void)printf(".TH BOT-BOTTLE-");
	for (const char *p = c->name; *p != '\0'; p++)
		(void)putchar(*p - 32);
	(void)printf(" 1 \"\" \"bot-bottle " BB_VERSION "\"\n.SH NAME\nbot\\-bottle\\-%s \\- ",
		     c->name);
	put_roff(c->summary);
	(void)putchar('\n');
	put_section("SYNOPSIS");
	(void)printf("\\fBbot\\-bottle %s\\fR %s", c->name,
		     c->option_count > 0 ? "[\\fIOPTION\\fR...] " : "");
	put_roff(c->operands);
	(void)putchar('\n');
	if (c->about != NULL) {
		put_section("DESCRIPTION");
		put_roff(c->about);
		(void)putchar('\n');
	}
	if (c->option_count > 0)
		put_section("OPTIONS");
	for (size_t i = 0; i < c->option_count; i++)
		man_option(&c->options[i]);
	if (c->example_count > 0)
		put_section("EXAMPLES");
	for (size_t i = 0; i < c->example_count; i++) {
		(void)puts(".TP");
		put_roff(c->examples[i].line);
		(void)putchar('\n');
		put_roff(c->examples[i].what);
		(void)putchar('\n');
	}
	put_section("SEE ALSO");
	(void)puts("\\fBbot\\-bottle\\fR(1)");
}

static const struct {
	const char *name, *text;
} variables[] = {
	{ "BOT_BOTTLE_HOME", "where manifests and state are; ~/.bot-bottle when it is not set" },
	{ "BOT_BOTTLE_BACKEND", "the backend when --backend is not given" },
	{ "BOT_BOTTLE_ACCEL", "kvm or tcg: force how a microvm runs" },
	{ "BOT_BOTTLE_KVM_SECONDS",
	  "how long doctor gives a guest under KVM to say hello (default 5); for very busy hosts" },
	{ "BOT_BOTTLE_SMOLVM_UNPROVEN",
	  "1: the backend smolmachines does not look for KVM; for a smolvm that needs none" },
	{ "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN", "the token of the provider claude, sent as Bearer" },
	{ "ANTHROPIC_API_KEY", "the key of the provider claude, sent as x-api-key" },
	{ "BOT_BOTTLE_LOG", "error, warn, info or debug" },
	{ "SSL_CERT_FILE", "the certificates that upstream servers are verified against" },
};

static void man_main(void)
{
	(void)puts(".TH BOT-BOTTLE 1 \"\" \"bot-bottle " BB_VERSION
		   "\"\n.SH NAME\nbot\\-bottle \\- run a "
		   "coding agent in a bottle that reaches only what its manifest allows\n"
		   ".SH SYNOPSIS\n\\fBbot\\-bottle\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...]\n"
		   ".SH COMMANDS");
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		(void)printf(".TP\n\\fBbot\\-bottle\\-%s\\fR(1)\n", cli_commands[i]->name);
		put_roff(cli_commands[i]->summary);
		(void)putchar('\n');
	}
	put_section("ENVIRONMENT");
	for (size_t i = 0; i < BB_ARRAY_LEN(variables); i++) {
		(void)printf(".TP\n\\fB%s\\fR\n", variables[i].name);
		put_roff(variables[i].text);
		(void)putchar('\n');
	}
	put_section("EXIT STATUS");
	(void)puts(
		"The exit code of the command that ran in the bottle; 125 when bot\\-bottle itself "
		"failed, 126 when the command cannot be run, 127 when it is not there, 130 when a "
		"launch was interrupted.");
	put_section("FILES");
	(void)puts(
		".TP\n~/.bot\\-bottle/bottles/NAME.md, ~/.bot\\-bottle/agents/NAME.md\nmanifests\n"
		".TP\n~/.bot\\-bottle/state/ID\nmetadata, logs, audit and the kept workspace of a "
		"bottle\n.TP\n~/.cache/bot\\-bottle/images\nguest images");
}

/* bash */

static void bash_words(enum cli_word word)
{
	if (word == CLI_WORD_FILE || word == CLI_WORD_DIR)
		(void)printf("COMPREPLY=($(compgen -%c -- \"$cur\"))",
			     word == CLI_WORD_FILE ? 'f' : 'd');
	else if (words[word].command != NULL)
		(void)printf("COMPREPLY=($(compgen -W \"$(%s 2>/dev/null)\" -- \"$cur\"))",
			     words[word].command);
	else
		(void)printf("COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))", words[word].list);
}

static void bash_command(const struct cli_command *c)
{
	(void)printf("\t%s)\n\t\tcase $prev in\n", c->name);
	for (size_t i = 0; i < c->option_count; i++) {
		if (c->options[i].value != CLI_VALUE)
			continue;
		(void)printf("\t\t--%s) ", c->options[i].name);
		bash_words(c->options[i].word);
		(void)puts("; return ;;");
	}
	(void)puts("\t\tesac");
	(void)fputs("\t\tif [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"--help", stdout);
	for (size_t i = 0; i < c->option_count; i++)
		(void)printf(" --%s", c->options[i].name);
	(void)fputs("\" -- \"$cur\")); return; fi\n\t\t", stdout);
	if (c->verbs != NULL) {
		(void)fputs("COMPREPLY=($(compgen -W \"", stdout);
		for (size_t i = 0; c->verbs[i] != NULL; i++)
			(void)printf("%s ", c->verbs[i]);
		(void)fputs("\" -- \"$cur\"))", stdout);
	} else {
		bash_words(c->word);
	}
	(void)puts(" ;;");
}

static void bash(void)
{
	(void)puts("# bash completion for bot-bottle; generated\n_bot_bottle()\n{\n"
		   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		   "\tCOMPREPLY=()\n\tif ((COMP_CWORD == 1)); then");
	(void)fputs("\t\tCOMPREPLY=($(compgen -W \"--help --version", stdout);
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		(void)printf(" %s", cli_commands[i]->name);
	(void)puts("\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in");
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		bash_command(cli_commands[i]);
	(void)puts("\tesac\n}\ncomplete -o default -F _bot_bottle bot-bottle");
}

/* zsh */

/* Inside single quotes, and inside the brackets of _arguments. */
static void put_zsh(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			(void)fputs("'\\''", stdout);
		else if (*s == '[' || *s == ']' || *s == ':' || *s == '\\')
			(void)printf("\\%c", *s);
		else
			(void)putchar(*s);
	}
}

static void zsh_word(enum cli_word word)
{
	if (word == CLI_WORD_FILE || word == CLI_WORD_ANY)
		(void)fputs("_files", stdout);
	else if (word == CLI_WORD_DIR)
		(void)fputs("_files -/", stdout);
	else if (words[word].command != NULL)
		(void)printf("($(%s 2>/dev/null))", words[word].command);
	else
		(void)printf("(%s)", words[word].list);
}

static void zsh_command(const struct cli_command *c)
{
	(void)printf("\t%s)\n\t\t_arguments \\\n\t\t\t'--help[show the help]'", c->name);
	for (size_t i = 0; i < c->option_count; i++) {
		const struct cli_option *o = &c->options[i];

		(void)printf(" \\\n\t\t\t\"--%s%s\"'[", o->name,
			     o->value == CLI_VALUE  ? "="
			     : o->value == CLI_FLAG ? ""
						    : "=-");
		put_zsh(o->help);
		(void)fputs("]'", stdout);
		if (o->value == CLI_FLAG)
			continue;
		(void)printf("\"%s%s:", o->value == CLI_VALUE ? ":" : "::", o->placeholder);
		zsh_word(o->word);
		(void)putchar('"');
	}
	if (c->verbs != NULL) {
		(void)fputs(" \\\n\t\t\t'1:verb:(", stdout);
		for (size_t i = 0; c->verbs[i] != NULL; i++)
			(void)printf("%s ", c->verbs[i]);
		(void)puts(")' ;;");
		return;
	}
	(void)fputs(" \\\n\t\t\t\"*:word:", stdout);
	zsh_word(c->word);
	(void)puts("\" ;;");
}

static void zsh(void)
{
	(void)puts("#compdef bot-bottle\n# generated\nlocal -a commands\ncommands=(");
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		(void)printf("\t'%s:", cli_commands[i]->name);
		put_zsh(cli_commands[i]->summary);
		(void)puts("'");
	}
	(void)puts(")\nif ((CURRENT == 2)); then\n\t_describe command commands\n\treturn\nfi\n"
		   "shift words\n((CURRENT--))\ncase $words[1] in");
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		zsh_command(cli_commands[i]);
	(void)puts("esac");
}

/* fish */

static void put_fish(const char *s)
{
	(void)putchar('\'');
	for (; *s != '\0'; s++) {
		if (*s == '\'' || *s == '\\')
			(void)putchar('\\');
		(void)putchar(*s);
	}
	(void)putchar('\'');
}

static void fish_values(enum cli_word word)
{
	if (word == CLI_WORD_FILE || word == CLI_WORD_ANY)
		(void)fputs(" -F", stdout);
	else if (word == CLI_WORD_DIR)
		(void)fputs(" -a '(__fish_complete_directories)'", stdout);
	else if (words[word].command != NULL)
		(void)printf(" -a '(%s 2>/dev/null)'", words[word].command);
	else
		(void)printf(" -a '%s'", words[word].list);
}

static void fish(void)
{
	(void)puts("# fish completion for bot-bottle; generated\ncomplete -c bot-bottle -f");
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		const struct cli_command *c = cli_commands[i];

		(void)printf("complete -c bot-bottle -n __fish_use_subcommand -a %s -d ", c->name);
		put_fish(c->summary);
		(void)printf("\ncomplete -c bot-bottle -n '__fish_seen_subcommand_from %s'",
			     c->name);
		if (c->verbs != NULL) {
			(void)fputs(" -a '", stdout);
			for (size_t k = 0; c->verbs[k] != NULL; k++)
				(void)printf("%s ", c->verbs[k]);
			(void)fputs("'", stdout);
		} else {
			fish_values(c->word);
		}
		(void)putchar('\n');
		for (size_t k = 0; k < c->option_count; k++) {
			const struct cli_option *o = &c->options[k];

			(void)printf(
				"complete -c bot-bottle -n '__fish_seen_subcommand_from %s' -l %s",
				c->name, o->name);
			if (o->letter != 0)
				(void)printf(" -s %c", o->letter);
			if (o->value == CLI_VALUE) {
				(void)fputs(" -r", stdout);
				fish_values(o->word);
			}
			(void)fputs(" -d ", stdout);
			put_fish(o->help);
			(void)putchar('\n');
		}
	}
}

int main(int argc, char **argv)
{
	const struct cli_command *c = argc > 2 ? cli_command_find(argv[2]) : NULL;

	if (argc == 2 && strcmp(argv[1], "man") == 0)
		man_main();
	else if (argc == 3 && strcmp(argv[1], "man") == 0 && c != NULL)
		man_command(c);
	else if (argc == 2 && strcmp(argv[1], "bash") == 0)
		bash();
	else if (argc == 2 && strcmp(argv[1], "zsh") == 0)
		zsh();
	else if (argc == 2 && strcmp(argv[1], "fish") == 0)
		fish();
	else
		return 1;
	return 0;
}
