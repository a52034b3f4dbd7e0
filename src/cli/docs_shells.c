/*
 * Completions for bash, zsh and fish. Each generated file holds the tables in its shell's form;
 * names that change (agents, bottles, ids, ...) come from `bot-bottle complete` when they are
 * wanted. Nothing that it prints is expanded by the shell. Behind "--" and behind the command of
 * `exec` nothing is offered: those words mean something in the guest only.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/docs.h"

/* What one operand may be. */
struct operand {
	const char *const *verbs; /* NULL: a word */
	enum cli_word word;
	bool is_nothing;
};

static struct operand first_of(const struct cli_command *c)
{
	return (struct operand){ .verbs = c->verbs,
				 .word = c->word,
				 .is_nothing = c->verbs == NULL && c->word == CLI_WORD_ANY };
}

/* Every operand behind the first one. */
static struct operand more_of(const struct cli_command *c)
{
	bool has_more = c->operands_max > 1 && !c->stops_at_operand;

	return (struct operand){ .word = c->word,
				 .is_nothing = !has_more || c->word == CLI_WORD_ANY };
}

static void put_verbs(const char *const *verbs)
{
	for (size_t i = 0; verbs[i] != NULL; i++)
		(void)printf("%s%s", i > 0 ? " " : "", verbs[i]);
}

/* bash */

static const char bash_top[] =
	"# bash completion for bot-bottle; generated\n"
	"_bot_bottle_take()\n"
	"{\n"
	"\tlocal word\n"
	"\twhile IFS= read -r word; do\n"
	"\t\t[[ $word == \"$cur\"* ]] && COMPREPLY+=(\"$word\")\n"
	"\tdone\n"
	"}\n"
	"_bot_bottle_list() { _bot_bottle_take < <(printf '%s\\n' \"$@\"); }\n"
	"_bot_bottle_names() { _bot_bottle_take < <(command bot-bottle complete \"$@\" "
	"2>/dev/null); }\n"
	"_bot_bottle_files()\n"
	"{\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\t_bot_bottle_take < <(compgen -f -- \"$cur\")\n"
	"}\n"
	"_bot_bottle_dirs()\n"
	"{\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\t_bot_bottle_take < <(compgen -d -- \"$cur\")\n"
	"}\n"
	"_bot_bottle_places()\n"
	"{\n"
	"\t_bot_bottle_take < <(command bot-bottle complete ids 2>/dev/null | sed 's/$/:/')\n"
	"\tif ((${#COMPREPLY[@]} == 0)); then\n"
	"\t\t_bot_bottle_files\n"
	"\telse\n"
	"\t\tcompopt -o nospace 2>/dev/null\n"
	"\tfi\n"
	"}\n"
	"_bot_bottle()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\tlocal options= valued= first= more= operands=0 i\n"
	"\tif [[ $cur == = ]]; then\n"
	"\t\tcur=\n"
	"\telif [[ $prev == = ]]; then\n"
	"\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\tfi\n"
	"\tCOMPREPLY=()\n";

static const char bash_end[] =
	"\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	"\t\tcase ${COMP_WORDS[i]} in\n"
	"\t\t--) return ;;\n"
	"\t\t=) ((i++)) ;;\n"
	"\t\t-*) [[ $valued == *\" ${COMP_WORDS[i]} \"* && ${COMP_WORDS[i + 1]} != = ]] && "
	"((i++)) ;;\n"
	"\t\t*) ((operands++)) ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tif [[ $cur == -* ]]; then\n"
	"\t\t_bot_bottle_list $options\n"
	"\telif ((operands == 0)); then\n"
	"\t\t[[ -n $first ]] && _bot_bottle_$first\n"
	"\telse\n"
	"\t\t[[ -n $more ]] && _bot_bottle_$more\n"
	"\tfi\n"
	"\treturn 0\n"
	"}\n"
	"complete -F _bot_bottle bot-bottle";

/* The function that offers such words, without "_bot_bottle_", with its arguments. */
static void bash_word(enum cli_word word)
{
	if (word == CLI_WORD_FILE)
		(void)fputs("files", stdout);
	else if (word == CLI_WORD_DIR)
		(void)fputs("dirs", stdout);
	else if (word == CLI_WORD_PLACE)
		(void)fputs("places", stdout);
	else if (cli_word_kinds[word] != NULL)
		(void)printf("names %s", cli_word_kinds[word]);
}

static void bash_operand(const char *name, struct operand o)
{
	if (o.is_nothing)
		return;
	(void)printf(" %s='", name);
	if (o.verbs != NULL) {
		(void)fputs("list ", stdout);
		put_verbs(o.verbs);
	} else {
		bash_word(o.word);
	}
	(void)putchar('\'');
}

static void bash_command(const struct cli_command *c)
{
	(void)printf("\t%s)\n\t\toptions='--help", c->name);
	for (size_t i = 0; i < c->option_count; i++)
		(void)printf(" --%s", c->options[i].name);
	(void)fputs("' valued=' ", stdout);
	for (size_t i = 0; i < c->option_count; i++) {
		const struct cli_option *o = &c->options[i];

		if (o->value == CLI_VALUE && o->letter != 0)
			(void)printf("-%c ", o->letter);
		if (o->value == CLI_VALUE)
			(void)printf("--%s ", o->name);
	}
	(void)fputs("'", stdout);
	bash_operand("first", first_of(c));
	bash_operand("more", more_of(c));
	(void)puts("\n\t\t;;");
}

static void bash_values(const struct cli_command *c)
{
	for (size_t i = 0; i < c->option_count; i++) {
		const struct cli_option *o = &c->options[i];

		if (o->value == CLI_FLAG)
			continue;
		/* An optional value stands behind "=" only. */
		(void)printf("\t\"%s --%s%s\"", c->name, o->name,
			     o->value == CLI_OPTIONAL_VALUE ? " =" : "");
		if (o->value == CLI_VALUE)
			(void)printf(" | \"%s --%s =\"", c->name, o->name);
		if (o->value == CLI_VALUE && o->letter != 0)
			(void)printf(" | \"%s -%c\"", c->name, o->letter);
		(void)fputs(") ", stdout);
		if (o->word != CLI_WORD_ANY && o->word != CLI_WORD_COMMAND) {
			(void)fputs("_bot_bottle_", stdout);
			bash_word(o->word);
			(void)fputs("; ", stdout);
		}
		(void)puts("return 0 ;;");
	}
}

void docs_bash(void)
{
	(void)fputs(bash_top, stdout);
	(void)fputs("\tif ((COMP_CWORD == 1)); then\n\t\t_bot_bottle_list --help --version",
		    stdout);
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (!cli_commands[i]->is_hidden)
			(void)printf(" %s", cli_commands[i]->name);
	(void)puts("\n\t\treturn 0\n\tfi\n\tlocal is_joined=\n"
		   "\t[[ ${COMP_WORDS[COMP_CWORD]} == = || ${COMP_WORDS[COMP_CWORD - 1]} == = ]] "
		   "&& is_joined=' ='\n\tcase \"${COMP_WORDS[1]} $prev$is_joined\" in");
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (!cli_commands[i]->is_hidden)
			bash_values(cli_commands[i]);
	(void)puts("\tesac\n\tcase ${COMP_WORDS[1]} in");
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (!cli_commands[i]->is_hidden)
			bash_command(cli_commands[i]);
	(void)puts("\t*) return 0 ;;\n\tesac");
	(void)puts(bash_end);
}

/* zsh */

static const char zsh_top[] = "#compdef bot-bottle\n"
			      "# generated\n"
			      "_bot_bottle_places()\n"
			      "{\n"
			      "\tlocal -a names\n"
			      "\tnames=(${(f)\"$(command bot-bottle complete ids 2>/dev/null)\"})\n"
			      "\tcompadd -S : -a names\n"
			      "\t_files\n"
			      "}\n";

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

/* _arguments gives its own options to compadd, so each kind is a function of its own. */
static void zsh_function(enum cli_word word)
{
	(void)fputs("_bot_bottle_", stdout);
	for (const char *p = cli_word_kinds[word]; *p != '\0'; p++)
		(void)putchar(*p == ' ' ? '_' : *p);
}

static void zsh_functions(void)
{
	for (size_t i = 0; i < CLI_NUM_WORDS; i++) {
		if (cli_word_kinds[i] == NULL)
			continue;
		zsh_function((enum cli_word)i);
		(void)printf("()\n{\n\tlocal -a names\n\tnames=(${(f)\"$(command bot-bottle "
			     "complete %s 2>/dev/null)\"})\n\tcompadd \"$@\" -a names\n}\n",
			     cli_word_kinds[i]);
	}
}

/* The action of a specification of _arguments; " " is one that offers nothing. */
static void zsh_word(enum cli_word word)
{
	if (word == CLI_WORD_FILE)
		(void)fputs("_files", stdout);
	else if (word == CLI_WORD_DIR)
		(void)fputs("_files -/", stdout);
	else if (word == CLI_WORD_PLACE)
		(void)fputs("_bot_bottle_places", stdout);
	else if (cli_word_kinds[word] != NULL)
		zsh_function(word);
	else
		(void)putchar(' ');
}

static void zsh_option(const struct cli_option *o, bool is_letter)
{
	(void)printf(" \\\n\t\t\t'*-");
	if (is_letter)
		(void)printf("%c%s", o->letter, o->value == CLI_VALUE ? "+" : "");
	else
		(void)printf("-%s%s", o->name,
			     o->value == CLI_VALUE  ? "="
			     : o->value == CLI_FLAG ? ""
						    : "=-");
	(void)putchar('[');
	put_zsh(o->help);
	(void)putchar(']');
	if (o->value != CLI_FLAG) {
		(void)printf("%s%s:", o->value == CLI_VALUE ? ":" : "::", o->placeholder);
		zsh_word(o->word);
	}
	(void)putchar('\'');
}

static void zsh_operand(const char *where, struct operand o)
{
	if (o.is_nothing)
		return;
	(void)printf(" \\\n\t\t\t'%sword:", where);
	if (o.verbs != NULL) {
		(void)putchar('(');
		put_verbs(o.verbs);
		(void)putchar(')');
	} else {
		zsh_word(o.word);
	}
	(void)putchar('\'');
}

static void zsh_command(const struct cli_command *c)
{
	(void)printf("\t%s)\n\t\t_arguments -s -S \\\n\t\t\t'--help[show this help]'", c->name);
	for (size_t i = 0; i < c->option_count; i++) {
		zsh_option(&c->options[i], false);
		if (c->options[i].letter != 0)
			zsh_option(&c->options[i], true);
	}
	zsh_operand("1:", first_of(c));
	zsh_operand("*:", more_of(c));
	(void)puts(" ;;");
}

void docs_zsh(void)
{
	(void)fputs(zsh_top, stdout);
	zsh_functions();
	(void)puts("_bot_bottle()\n{\n\tlocal -a commands\n\tcommands=(");
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		if (cli_commands[i]->is_hidden)
			continue;
		(void)printf("\t\t'%s:", cli_commands[i]->name);
		put_zsh(cli_commands[i]->summary);
		(void)puts("'");
	}
	(void)puts("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n"
		   "\t\treturn\n\tfi\n\tshift words\n\t((CURRENT--))\n\tcase $words[1] in");
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (!cli_commands[i]->is_hidden)
			zsh_command(cli_commands[i]);
	(void)puts("\tesac\n}\n_bot_bottle \"$@\"");
}

/* fish */

static const char fish_top[] = "# fish completion for bot-bottle; generated\n"
			       "function __bot_bottle_runs\n"
			       "\tset -l words (commandline -opc)\n"
			       "\tcontains -- -- $words; and return 1\n"
			       "\ttest (count $words) -ge 2; and test $words[2] = $argv[1]\n"
			       "end\n"
			       "function __bot_bottle_bare\n"
			       "\ttest (count (commandline -opc)) -eq 1\n"
			       "end\n"
			       "complete -c bot-bottle -f\n";

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

static void fish_word(enum cli_word word)
{
	if (word == CLI_WORD_FILE)
		(void)fputs(" -F", stdout);
	else if (word == CLI_WORD_DIR)
		(void)fputs(" -a '(__fish_complete_directories)'", stdout);
	else if (word == CLI_WORD_PLACE)
		(void)fputs(" -F -a '(bot-bottle complete ids 2>/dev/null | string replace -r "
			    "\"\\$\" :)'",
			    stdout);
	else if (cli_word_kinds[word] != NULL)
		(void)printf(" -a '(bot-bottle complete %s 2>/dev/null)'", cli_word_kinds[word]);
}

/* What stands where a word of the command is wanted that is no option's value. */
static void fish_operands(const struct cli_command *c)
{
	if (c->verbs != NULL) {
		(void)printf("complete -c bot-bottle -n '__bot_bottle_runs %s; and not "
			     "__fish_seen_subcommand_from ",
			     c->name);
		put_verbs(c->verbs);
		(void)fputs("' -a '", stdout);
		put_verbs(c->verbs);
		(void)puts("'");
	}
	if (c->word == CLI_WORD_ANY)
		return;
	(void)printf("complete -c bot-bottle -n '__bot_bottle_runs %s", c->name);
	if (c->verbs != NULL) {
		(void)fputs("; and __fish_seen_subcommand_from ", stdout);
		put_verbs(c->verbs);
	}
	(void)putchar('\'');
	fish_word(c->word);
	(void)putchar('\n');
}

static void fish_option(const struct cli_command *c, const struct cli_option *o)
{
	(void)printf("complete -c bot-bottle -n '__bot_bottle_runs %s' -l %s", c->name, o->name);
	if (o->letter != 0)
		(void)printf(" -s %c", o->letter);
	if (o->value == CLI_VALUE) {
		(void)fputs(o->word == CLI_WORD_FILE ? " -r" : " -x", stdout);
		fish_word(o->word);
	}
	(void)fputs(" -d ", stdout);
	put_fish(o->help);
	(void)putchar('\n');
}

void docs_fish(void)
{
	(void)fputs(fish_top, stdout);
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		const struct cli_command *c = cli_commands[i];

		if (c->is_hidden)
			continue;
		(void)printf("complete -c bot-bottle -n __bot_bottle_bare -a %s -d ", c->name);
		put_fish(c->summary);
		(void)putchar('\n');
		fish_operands(c);
		for (size_t k = 0; k < c->option_count; k++)
			fish_option(c, &c->options[k]);
	}
}
