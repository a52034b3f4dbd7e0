/* Man pages of the program and of its commands. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/docs.h"
#include "cli/docs_roff.h"
#include "cli/lint_rules.h"

static void put_option(const struct cli_option *o)
{
	(void)puts(".TP");
	if (o->letter != 0)
		(void)printf("\\fB\\-%c\\fR, ", o->letter);
	(void)fputs("\\fB\\-\\-", stdout);
	roff_term(o->name);
	(void)fputs("\\fR", stdout);
	if (o->value != CLI_FLAG)
		(void)printf("%s\\fI%s\\fR%s", o->value == CLI_VALUE ? " " : "[=", o->placeholder,
			     o->value == CLI_VALUE ? "" : "]");
	(void)putchar('\n');
	roff_text(o->help);
}

static void put_examples(const struct cli_example *examples, size_t count)
{
	if (count > 0)
		roff_section("EXAMPLES");
	for (size_t i = 0; i < count; i++)
		roff_entry(examples[i].line, examples[i].what);
}

static void put_fields(const struct cli_command *c)
{
	if (c->field_count == 0)
		return;
	roff_section("JSON");
	roff_text(
		"With --json, one line of JSON on standard output: an object, or an array of them "
		"where several things are reported. Its members stay as they are from version to "
		"version; others may be added.");
	for (size_t i = 0; i < c->field_count; i++)
		roff_entry(c->fields[i].name, c->fields[i].help);
}

static void put_rules(void)
{
	roff_section("RULES");
	for (size_t i = 0; i < lint_rule_count; i++)
		roff_entry(lint_rules[i].name, lint_rules[i].text);
}

bool docs_command(const char *command)
{
	static const char *const see_also[] = { "bot-bottle (1)", "bot-bottle-bottle (5)",
						"bot-bottle-agent (5)", NULL };
	const struct cli_command *c = cli_command_find(command);
	char name[64];

	if (c == NULL)
		return false;
	(void)snprintf(name, sizeof(name), "bot-bottle-%s", c->name);
	roff_header(name, "1");
	roff_name(name, c->summary);
	roff_section("SYNOPSIS");
	(void)printf("\\fBbot\\-bottle %s\\fR%s%s", c->name,
		     c->option_count > 0 ? " [\\fIOPTION\\fR...]" : "",
		     c->operands[0] != '\0' ? " " : "");
	roff_term(c->operands);
	(void)putchar('\n');
	roff_section("DESCRIPTION");
	roff_text(c->about != NULL ? c->about : c->summary);
	if (c->option_count > 0)
		roff_section("OPTIONS");
	for (size_t i = 0; i < c->option_count; i++)
		put_option(&c->options[i]);
	if (c == &cli_lint)
		put_rules();
	put_fields(c);
	put_examples(c->examples, c->example_count);
	roff_see_also(see_also);
	return true;
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
	{ "1", "'doctor' found something; 'lint' found only what is risky" },
	{ "2", "'lint' found something wrong" },
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

void docs_man(void)
{
	static const char *const see_also[] = { "bot-bottle-start (1)",  "bot-bottle-lint (1)",
						"bot-bottle-doctor (1)", "bot-bottle-bottle (5)",
						"bot-bottle-agent (5)",  NULL };
	char name[64];

	roff_header("bot-bottle", "1");
	roff_name("bot-bottle",
		  "run a coding agent in a bottle that reaches only what its manifest allows");
	roff_section("SYNOPSIS");
	(void)puts("\\fBbot\\-bottle\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...]");
	roff_section("DESCRIPTION");
	roff_text(about);
	roff_section("COMMANDS");
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		if (cli_commands[i]->is_hidden)
			continue;
		(void)snprintf(name, sizeof(name), "%s %s", cli_commands[i]->name,
			       cli_commands[i]->operands);
		roff_entry(name, cli_commands[i]->summary);
	}
	roff_section("OPTIONS");
	roff_entry("--help, -h", "list the commands; behind a command: explain it");
	roff_entry("--version, -V", "show the version");
	roff_section("ENVIRONMENT");
	for (size_t i = 0; i < BB_ARRAY_LEN(variables); i++)
		roff_entry(variables[i].name, variables[i].text);
	roff_section("FILES");
	for (size_t i = 0; i < BB_ARRAY_LEN(files); i++)
		roff_entry(files[i].name, files[i].text);
	roff_section("EXIT STATUS");
	for (size_t i = 0; i < BB_ARRAY_LEN(codes); i++)
		roff_entry(codes[i].name, codes[i].text);
	roff_section("EXAMPLES");
	for (size_t i = 0; i < BB_ARRAY_LEN(first_steps); i++)
		roff_entry(first_steps[i].name, first_steps[i].text);
	roff_see_also(see_also);
}
