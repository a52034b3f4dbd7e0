/*
 * Commands and their options are tables: dispatch, help, completions, man pages and "did you mean"
 * read the same rows. One file a command (cmd_*.c) exports one `struct cli_command`.
 */
#ifndef BB_CLI_COMMAND_H
#define BB_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Exit codes, as docker's; every other code is the guest command's own. */
#define CLI_EXIT_OWN       125 /* bot-bottle itself failed */
#define CLI_EXIT_INTERRUPT 130 /* Ctrl-C before the agent ran */

enum cli_value {
	CLI_FLAG,           /* --name */
	CLI_VALUE,          /* --name VALUE, --name=VALUE, -n VALUE */
	CLI_OPTIONAL_VALUE, /* --name or --name=VALUE */
};

/* What a word on the command line names: for completion and messages. */
enum cli_word {
	CLI_WORD_ANY,
	CLI_WORD_AGENT,
	CLI_WORD_BOTTLE, /* a bottle's manifest */
	CLI_WORD_ID,     /* a bottle that runs or was kept */
	CLI_WORD_AGENT_OR_ID,
	CLI_WORD_BACKEND,
	CLI_WORD_IMAGE,
	CLI_WORD_FILE,
	CLI_WORD_DIR,
	CLI_WORD_PLACE, /* ID:PATH, or a path of this host */
	CLI_WORD_COLOR,
	CLI_WORD_PROVIDER,
	CLI_WORD_COMMAND,
};
#define CLI_NUM_WORDS 13

/* What `bot-bottle complete` is asked for such a word; NULL: not a name of ours. */
extern const char *const cli_word_kinds[CLI_NUM_WORDS];

struct cli_option {
	const char *name; /* without the dashes */
	char letter;      /* 0: none */
	enum cli_value value;
	const char *placeholder; /* "NAME"; NULL for flags */
	enum cli_word word;      /* what the value names */
	const char *help;        /* one line */
};

/* A member of the JSON that --json prints. Its name is part of the interface: it stays. */
struct cli_field {
	const char *name, *help;
};

struct cli_example {
	const char *line, *what;
};

struct cli_args;

struct cli_command {
	const char *name;
	const char *operands; /* as help shows them: "AGENT [-- COMMAND...]" */
	const char *summary;  /* one line, imperative */
	const char *about;    /* paragraphs for help and the man page */
	const struct cli_option *options;
	size_t option_count;
	const struct cli_field *fields; /* with an option "json" only */
	size_t field_count;
	const struct cli_example *examples;
	size_t example_count;
	size_t operands_min, operands_max;
	enum cli_word word;       /* what the operands name; with verbs, those behind the verb */
	const char *const *verbs; /* first operand is one of these; NULL-terminated, or NULL */
	bool stops_at_operand;    /* all behind operand number operands_min is taken as it is */
	bool takes_rest;          /* what follows "--" is a command for the guest */
	bool is_hidden;           /* not for people: in no help, page or completion */
	bool only_looks;          /* nothing that killed processes left is cleaned up before it */
	int (*run)(const struct cli_args *args); /* returns the exit code */
};

#define CLI_SET_MAX 64

/* A parsed command line. All strings are argv's. */
struct cli_args {
	const struct cli_command *command;
	struct {
		const struct cli_option *option;
		const char *value; /* NULL: none was given */
	} set[CLI_SET_MAX];
	size_t set_count;
	char **operands; /* NULL-terminated, in place */
	size_t operand_count;
	char **rest; /* NULL-terminated; NULL: no command was given */
};

extern const struct cli_command *const cli_commands[]; /* NULL-terminated, in help's order */
const struct cli_command *cli_command_find(const char *name);

/* argv starts behind the command's name. Reorders argv. 0, or BB_E_USAGE. */
int cli_args_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *ret,
		   struct bb_err *err);
bool cli_args_has(const struct cli_args *args, const char *name);
/* Every value given, in order, as a heap vector. NULL: out of memory. */
char **cli_args_all(const struct cli_args *args, const char *name);
/* The last value given, or NULL. */
const char *cli_args_get(const struct cli_args *args, const char *name);

void cli_help_all(void);
void cli_help_command(const struct cli_command *command);

#define CLI_OPTIONS(table)  .options = (table), .option_count = sizeof(table) / sizeof((table)[0])
#define CLI_FIELDS(table)   .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])
#define CLI_EXAMPLES(table) .examples = (table), .example_count = sizeof(table) / sizeof((table)[0])

#endif
