/* Help from the tables. To standard output: asked-for help is not an error. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

void cli_help_all(void)
{
	(void)printf("usage: bot-bottle COMMAND [OPTION...]\n\n"
		     "Runs a coding agent in a bottle: a guest that reaches only what its manifest "
		     "allows.\n\n");
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (!cli_commands[i]->is_hidden)
			(void)printf("  %-10s %s\n", cli_commands[i]->name,
				     cli_commands[i]->summary);
	(void)printf("\n  --version  show the version\n\n"
		     "'bot-bottle COMMAND --help' explains one. Exit codes: the command's own, or "
		     "125 when bot-bottle\nitself failed, 126 when the command cannot be run, 127 "
		     "when it is not there.\n");
}

static void print_option(const struct cli_option *o)
{
	char left[64];

	(void)snprintf(left, sizeof(left), "%c%c%s --%s%s%s%s", o->letter ? '-' : ' ',
		       o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
		       o->value == CLI_VALUE ? " " : "", o->value == CLI_OPTIONAL_VALUE ? "[=" : "",
		       o->value == CLI_FLAG ? "" : o->placeholder);
	(void)printf("  %s%-*s %s\n", left, 29 - (int)strlen(left) > 0 ? 29 - (int)strlen(left) : 1,
		     o->value == CLI_OPTIONAL_VALUE ? "]" : "", o->help);
}

void cli_help_command(const struct cli_command *c)
{
	(void)printf("usage: bot-bottle %s%s%s%s\n\n%s.\n", c->name,
		     c->option_count > 0 ? " [OPTION...]" : "", c->operands[0] != '\0' ? " " : "",
		     c->operands, c->summary);
	if (c->about != NULL)
		(void)printf("\n%s\n", c->about);
	if (c->option_count > 0)
		(void)printf("\nOptions:\n");
	for (size_t i = 0; i < c->option_count; i++)
		print_option(&c->options[i]);
	if (c->example_count > 0)
		(void)printf("\nExamples:\n");
	for (size_t i = 0; i < c->example_count; i++)
		(void)printf("  %s\n      %s\n", c->examples[i].line, c->examples[i].what);
}
