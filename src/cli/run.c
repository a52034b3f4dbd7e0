/* From argv to a command; see command.h for the tables. */
#include "cli/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/cleanup.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/out.h"
#include "store/store.h"
#include "sys/jail.h"

#define COMMANDS_MAX 32

/* Commands of the original, or words people try, that mean something here. */
static const struct {
	const char *name, *text;
} elsewhere[] = {
	{ "supervise", "is not built yet" },
	{ "dashboard", "is not built yet" },
	{ "build", "is 'bot-bottle image build NAME' here" },
	{ "run", "is 'bot-bottle start AGENT' here" },
	{ "ps", "is 'bot-bottle list' here" },
	{ "rm", "is 'bot-bottle cleanup' here" },
};

const struct cli_command *cli_command_find(const char *name)
{
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (strcmp(cli_commands[i]->name, name) == 0)
			return cli_commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[COMMANDS_MAX];
	const char *near;
	struct bb_err err = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < BB_ARRAY_LEN(elsewhere); i++)
		if (strcmp(elsewhere[i].name, name) == 0) {
			(void)bb_err_set(&err, BB_E_USAGE, "'%s' %s", name, elsewhere[i].text);
			return cli_out_fail(&err);
		}
	for (size_t i = 0; count < COMMANDS_MAX && cli_commands[i] != NULL; i++)
		if (!cli_commands[i]->is_hidden)
			names[count++] = cli_commands[i]->name;
	near = bb_table_suggest(names, count, bb_view_str(name));
	if (near != NULL)
		(void)bb_err_set(&err, BB_E_USAGE, "no command '%s'; did you mean '%s'?",
				 BB_ESCAPED(bb_view_str(name)), near);
	else
		(void)bb_err_set(&err, BB_E_USAGE,
				 "no command '%s'; 'bot-bottle --help' lists the commands",
				 BB_ESCAPED(bb_view_str(name)));
	return cli_out_fail(&err);
}

static int run_help(int argc, char **argv)
{
	const struct cli_command *c;

	if (argc < 1) {
		cli_help_all();
		return 0;
	}
	c = cli_command_find(argv[0]);
	if (c == NULL)
		return unknown_command(argv[0]);
	cli_help_command(c);
	return 0;
}

static void tell_reaped(void *arg, const char *identity)
{
	(void)arg;
	jail_reap(identity);
	cli_out_note("'%s' had lost its monitor; what was left of it is cleaned up", identity);
}

static void tell_removed(void *arg, const char *machine, enum backend_reaped what, const char *why)
{
	(void)arg;
	if (what == BACKEND_REAP_BEGINS && isatty(STDERR_FILENO))
		cli_out_step("removing a machine that was left over");
	else if (what != BACKEND_REAP_BEGINS)
		cli_out_step(NULL);
	if (what == BACKEND_REAP_GONE)
		cli_out_note("machine '%s' had lost its keeper; it is removed", machine);
	else if (what == BACKEND_REAP_LEFT)
		cli_out_note("machine '%s' is left over and not removed yet: %s", machine, why);
}

/* What killed processes left. A failure to look is the command's to report, when it matters to it.
 */
static void reap(void)
{
	(void)store_reap(tell_reaped, NULL, NULL);
	(void)backend_reap(tell_removed, NULL, NULL);
}

static int run(int argc, char **argv)
{
	const struct cli_command *c;
	struct cli_args args;
	struct bb_err err = { 0 };

	if (argc < 2) {
		cli_help_all();
		return CLI_EXIT_OWN;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		(void)printf("bot-bottle %s\n", BB_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return run_help(argc - 2, argv + 2);
	if (argv[1][0] == '-') {
		(void)bb_err_set(&err, BB_E_USAGE,
				 "'%s' is not an option here; options follow the command",
				 BB_ESCAPED(bb_view_str(argv[1])));
		return cli_out_fail(&err);
	}
	c = cli_command_find(argv[1]);
	if (c == NULL)
		return unknown_command(argv[1]);
	if (cli_args_parse(c, argc - 2, argv + 2, &args, &err) < 0)
		return cli_out_fail(&err);
	if (cli_args_has(&args, "help")) {
		cli_help_command(c);
		return 0;
	}
	/* --dry-run touches nothing. */
	if (!c->only_looks && !cli_args_has(&args, "dry-run"))
		reap();
	return c->run(&args);
}

/* What a command printed is only now known to have been written. */
static int end_output(int code)
{
	struct bb_err err = { 0 };
	int why = fflush(stdout) == 0 ? 0 : errno;

	if (why == 0 && ferror(stdout) == 0)
		return code;
	if (why == EPIPE)
		return code == 0 ? 128 + SIGPIPE : code; /* as if the signal were not ignored */
	(void)bb_err_set(&err, -EIO, "cannot write to standard output%s%s", why == 0 ? "" : ": ",
			 why == 0 ? "" : bb_err_name(-why));
	return cli_out_fail(&err);
}

int cli_run(int argc, char **argv)
{
	return end_output(run(argc, argv));
}
