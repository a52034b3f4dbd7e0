/* Man pages in man(7), which every mandoc and groff shows; `mandoc -T lint` finds nothing in them.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/docs.h"

#define DOCS_DATE "2026-11-25" /* of the last change to what the pages say */

#define COLUMNS_MAX 78 /* longer lines of source are a finding of mandoc */

static void put_character(char c)
{
	if (c == '-')
		(void)fputs("\\-", stdout);
	else if (c == '\\')
		(void)fputs("\\e", stdout);
	else
		(void)putchar(c);
}

/* A term, on the line that it is on. */
static void put_roff(const char *s)
{
	for (; *s != '\0'; s++)
		put_character(*s);
}

/* Bytes that the word at s will take; '-' and '\\' take two. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && *s != ' ' && *s != '\n'; s++)
		n += *s == '-' || *s == '\\' ? 2 : 1;
	return n;
}

/* Text from the beginning of a line to its end, broken between words; an empty line begins a
 * paragraph, and nothing in it is a request. */
static void put_text(const char *s)
{
	size_t column = 0;

	while (*s != '\0') {
		if (s[0] == '\n' && s[1] == '\n') {
			(void)puts("\n.PP");
			column = 0;
		}
		while (*s == ' ' || *s == '\n')
			s++;
		if (column > 0)
			(void)putchar(column + 1 + width_of(s) > COLUMNS_MAX ? '\n' : ' ');
		column = column > 0 && column + 1 + width_of(s) <= COLUMNS_MAX ? column + 1 : 0;
		column += width_of(s);
		if (column == width_of(s) && (*s == '.' || *s == '\''))
			(void)fputs("\\&", stdout);
		for (; *s != '\0' && *s != ' ' && *s != '\n'; s++)
			put_character(*s);
	}
	(void)putchar('\n');
}

static void put_header(const char *name, const char *section)
{
	(void)fputs(".TH ", stdout);
	for (; *name != '\0'; name++)
		(void)putchar(*name >= 'a' && *name <= 'z' ? *name - 32 : *name);
	(void)printf(" %s " DOCS_DATE " \"bot\\-bottle " BB_VERSION "\"\n", section);
}

static void put_section(const char *title)
{
	(void)printf(".SH %s\n", title);
}

/* A term with its explanation. */
static void put_term(const char *term, const char *text)
{
	(void)puts(".TP");
	(void)fputs("\\fB", stdout);
	put_roff(term);
	(void)puts("\\fR");
	put_text(text);
}

static void put_name(const char *name, const char *summary)
{
	BB_AUTO_FREE char *line = bb_text_printf("%s - %s", name, summary);

	put_section("NAME");
	put_text(line != NULL ? line : name);
}

static void put_option(const struct cli_option *o)
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
	put_text(o->help);
}

static void put_examples(const struct cli_example *examples, size_t count)
{
	if (count > 0)
		put_section("EXAMPLES");
	for (size_t i = 0; i < count; i++)
		put_term(examples[i].line, examples[i].what);
}

/* Pages, comma-separated as SEE ALSO wants them. */
static void put_see_also(const char *const *pages)
{
	put_section("SEE ALSO");
	for (size_t i = 0; pages[i] != NULL; i++) {
		(void)fputs(".BR ", stdout);
		put_roff(pages[i]);
		(void)puts(pages[i + 1] != NULL ? " ," : "");
	}
}

void docs_man_command(const struct cli_command *c)
{
	static const char *const see_also[] = { "bot-bottle (1)", NULL };
	char name[64];

	(void)snprintf(name, sizeof(name), "bot-bottle-%s", c->name);
	put_header(name, "1");
	put_name(name, c->summary);
	put_section("SYNOPSIS");
	(void)printf("\\fBbot\\-bottle %s\\fR%s%s", c->name,
		     c->option_count > 0 ? " [\\fIOPTION\\fR...]" : "",
		     c->operands[0] != '\0' ? " " : "");
	put_roff(c->operands);
	(void)putchar('\n');
	put_section("DESCRIPTION");
	put_text(c->about != NULL ? c->about : c->summary);
	if (c->option_count > 0)
		put_section("OPTIONS");
	for (size_t i = 0; i < c->option_count; i++)
		put_option(&c->options[i]);
	put_examples(c->examples, c->example_count);
	put_see_also(see_also);
}

/* bot-bottle(1) */

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
	{ "BOT_BOTTLE_SMOLVM_AS_ROOT",
	  "1: a machine's process of smolvm 1.2.5 or later stays root when root runs bot-bottle; "
	  "without it the backend smolmachines refuses root there" },
	{ "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN", "the token of the provider claude, sent as Bearer" },
	{ "ANTHROPIC_API_KEY", "the key of the provider claude, sent as x-api-key" },
	{ "BOT_BOTTLE_LOG", "error, warn, info or debug" },
	{ "SSL_CERT_FILE", "the certificates that upstream servers are verified against" },
	{ "XDG_RUNTIME_DIR", "where the sockets of living bottles are; /tmp/bot-bottle-UID else" },
}, codes[] = {
	{ "0", "success" },
	{ "1", "'doctor' found something" },
	{ "125", "bot-bottle itself failed; one line on standard error says why and what to do" },
	{ "126", "the command cannot be run in the bottle" },
	{ "127", "the command is not there in the bottle" },
	{ "130", "a launch was interrupted" },
	{ "other codes", "those of the command that ran in the bottle" },
}, files[] = {
	{ "~/.bot-bottle/bottles/NAME.md", "what a bottle may reach and use" },
	{ "~/.bot-bottle/agents/NAME.md", "what an agent is told, and its bottle" },
	{ "~/.bot-bottle/state/ID", "metadata, logs, audit and the kept workspace of a bottle" },
	{ "~/.cache/bot-bottle/images", "guest images" },
}, first_steps[] = {
	{ "bot-bottle doctor", "what this host lacks" },
	{ "bot-bottle demo", "see a bottle refuse what its manifest does not allow" },
	{ "bot-bottle start implementer --dry-run", "what this agent could reach" },
	{ "bot-bottle start implementer --cwd", "work on a copy of this directory" },
};

static const char about[] =
	"A coding agent runs in a bottle: a guest without a network card. Its only way out is one "
	"byte stream to processes on this host that decide what passes, by the bottle's manifest. "
	"What the manifest does not allow is refused; credentials stay on the host and are put "
	"in on the way out.\n\n"
	"Before a start the effective policy is shown, each line with where it came from. "
	"'bot-bottle COMMAND --help' explains one command.";

void docs_man_main(void)
{
	static const char *const see_also[] = { "bot-bottle-start (1)", "bot-bottle-doctor (1)",
						NULL };
	char name[64];

	put_header("bot-bottle", "1");
	put_name("bot-bottle",
		 "run a coding agent in a bottle that reaches only what its manifest allows");
	put_section("SYNOPSIS");
	(void)puts("\\fBbot\\-bottle\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...]");
	put_section("DESCRIPTION");
	put_text(about);
	put_section("COMMANDS");
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		if (cli_commands[i]->is_hidden)
			continue;
		(void)snprintf(name, sizeof(name), "%s %s", cli_commands[i]->name,
			       cli_commands[i]->operands);
		put_term(name, cli_commands[i]->summary);
	}
	put_section("OPTIONS");
	put_term("--help, -h", "list the commands; behind a command: explain it");
	put_term("--version, -V", "show the version");
	put_section("ENVIRONMENT");
	for (size_t i = 0; i < BB_ARRAY_LEN(variables); i++)
		put_term(variables[i].name, variables[i].text);
	put_section("FILES");
	for (size_t i = 0; i < BB_ARRAY_LEN(files); i++)
		put_term(files[i].name, files[i].text);
	put_section("EXIT STATUS");
	for (size_t i = 0; i < BB_ARRAY_LEN(codes); i++)
		put_term(codes[i].name, codes[i].text);
	put_section("EXAMPLES");
	for (size_t i = 0; i < BB_ARRAY_LEN(first_steps); i++)
		put_term(first_steps[i].name, first_steps[i].text);
	put_see_also(see_also);
}
