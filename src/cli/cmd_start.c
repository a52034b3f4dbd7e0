/* `bot-bottle start`: from an agent's name to its session's end. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/agent_run.h"
#include "cli/choose.h"
#include "cli/cmd_image.h"
#include "cli/cmd_start.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/copyin.h"
#include "cli/launch.h"
#include "cli/out.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/skills.h"
#include "image/image.h"

static const struct cli_option options[] = {
	{ "backend", 0, CLI_VALUE, "NAME", CLI_WORD_BACKEND,
	  "microvm (default), namespace or smolmachines; also BOT_BOTTLE_BACKEND" },
	{ "bottle", 0, CLI_VALUE, "NAME", CLI_WORD_BOTTLE,
	  "this bottle, not the agent's own; several are merged in order" },
	{ "image", 0, CLI_VALUE, "NAME", CLI_WORD_IMAGE, "this guest image" },
	{ "cwd", 0, CLI_OPTIONAL_VALUE, "DIR", CLI_WORD_DIR,
	  "copy a directory (default: this one) to /home/node/workspace" },
	{ "include", 0, CLI_VALUE, "PATH", CLI_WORD_ANY,
	  "of it, a file that was left out (credential, ignored); repeatable" },
	{ "no-git", 0, CLI_FLAG, NULL, CLI_WORD_ANY,
	  "copy it without its repository: all files, no .git" },
	{ "headless", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "no terminal, no questions" },
	{ "detach", 'd', CLI_FLAG, NULL, CLI_WORD_ANY,
	  "leave as soon as the agent runs; 'attach' joins it" },
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY,
	  "with --detach: what was started, for programs" },
	{ "prompt", 'p', CLI_VALUE, "TEXT", CLI_WORD_ANY, "the agent's task" },
	{ "prompt-file", 0, CLI_VALUE, "FILE", CLI_WORD_FILE,
	  "the task from a file, or - for stdin" },
	{ "label", 0, CLI_VALUE, "NAME", CLI_WORD_ANY,
	  "the bottle's name; one living bottle has it" },
	{ "color", 0, CLI_VALUE, "COLOR", CLI_WORD_COLOR,
	  "of the name in lists: red, green, yellow, blue, magenta or cyan" },
	{ "yes", 'y', CLI_FLAG, NULL, CLI_WORD_ANY, "start without asking" },
	{ "dry-run", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "print the effective policy, touch nothing" },
};

static const struct cli_field fields[] = {
	{ "id", "the bottle" },
	{ "backend", "the backend" },
	{ "accelerator", "kvm, tcg with its reason, or shared kernel" },
};

static const struct cli_example examples[] = {
	{ "bot-bottle start", "choose the agent and the rest on the terminal" },
	{ "bot-bottle start implementer --cwd",
	  "work on a copy of this directory, in your terminal" },
	{ "bot-bottle start implementer --cwd --headless --prompt 'make the tests pass'",
	  "unattended; the changed copy is kept" },
	{ "bot-bottle start implementer --cwd --detach --yes", "and later: bot-bottle attach ID" },
	{ "bot-bottle start implementer --dry-run", "show what the agent could reach" },
	{ "bot-bottle start implementer --backend namespace -- bash -l", "a shell in its bottle" },
};

/* Asks unless told not to. 0: go on; else the exit code. */
static int confirm(const struct cli_config *c, const struct cli_args *args)
{
	struct bb_err err = { 0 };
	int r;

	if (c->is_headless || cli_args_has(args, "yes")) {
		for (size_t i = 0; c->notes != NULL && c->notes[i] != NULL; i++)
			cli_out_note("%s", c->notes[i]);
		(void)cli_copyin_print(c, NULL); /* notes cannot fail */
		cli_out_note("bytes to allowed hosts are not scanned");
		return 0;
	}
	cli_config_print(c, stderr);
	r = cli_out_ask("start this bottle?", &err);
	if (r < 0)
		return cli_out_fail(&err);
	if (r == 0) {
		cli_out_note("not started");
		return CLI_EXIT_OWN;
	}
	return 0;
}

static int check_image(const struct cli_config *c, struct bb_err *err)
{
	struct image *image = NULL;
	int r = image_find(c->image, &image, err);

	if (r == 0 && image->is_host && strcmp(c->backend, "namespace") != 0)
		r = bb_err_set(err, BB_E_USAGE,
			       "image '%s' stands on the host's own /usr, which only --backend "
			       "namespace can use",
			       c->image);
	image_free(image);
	if (r == 0 && strcmp(c->backend, "smolmachines") == 0)
		r = cli_image_pack(c->image, false, err);
	return r;
}

/* Not answered by --yes, which was said before this was known. */
static int ask_about(const struct cli_config *c, const char *what, struct bb_err *err)
{
	int r = -1;

	cli_out_note("a guest of backend '%s' could reach on this host:\n%s", c->backend, what);
	if (!c->is_headless)
		r = cli_out_ask("start all the same?", NULL);
	if (r > 0)
		return 0;
	return bb_err_set(
		err, BB_E_REFUSED,
		r == 0 ? "not started"
		       : "not started: what the guest could reach is for an operator at a "
			 "terminal to answer for");
}

/* A backend that needs more than this host has: the sentence of the first check that fails, which
 * doctor shows too, before anything is made. */
static int check_backend(const struct cli_config *c, struct bb_err *err)
{
	const struct backend *b = backend_find(c->backend);
	static struct backend_report report;

	if (!backend_is_optional(b))
		return 0; /* what it lacks is told where it is missed, and costs no time else */
	if (backend_preflight(b, false, &report, err) < 0)
		return bb_err_wrap(err, "backend '%s'", c->backend);
	return report.question[0] == '\0' ? 0 : ask_about(c, report.question, err);
}

static int check_terminal(const struct cli_config *c, const struct cli_args *args,
			  struct bb_err *err)
{
	if (c->is_headless || c->is_detached || args->rest != NULL || cli_session_wants_terminal())
		return 0;
	return bb_err_set(
		err, BB_E_USAGE,
		"there is no terminal to run the agent in; say --headless --prompt TEXT, or "
		"--detach");
}

int cli_start_run(struct cli_config *c, const struct cli_args *args)
{
	struct cli_bottle b = { 0 };
	struct bb_err err = { 0 };
	int code;

	if (cli_args_has(args, "dry-run"))
		cli_config_print(c, stdout);
	if (c->not_built[0] != NULL) {
		(void)bb_err_set(&err, BB_E_USAGE, "%s", c->not_built[0]);
		return cli_out_fail(&err);
	}
	if (cli_args_has(args, "dry-run"))
		return 0;
	if (check_terminal(c, args, &err) < 0 || cli_skills_check(c->agent, &err) < 0 ||
	    check_backend(c, &err) < 0 || check_image(c, &err) < 0 || cli_copyin_list(c, &err) < 0)
		return cli_out_fail(&err);
	code = confirm(c, args);
	if (code != 0)
		return code;
	if (cli_config_ask(c, &err) < 0)
		return cli_out_fail(&err);
	if (cli_signals_open(&err) < 0 || cli_launch(c, &b, &err) < 0)
		return cli_out_fail(&err);
	cli_out_note("%s runs on %s%s%s%s", b.identity, c->backend,
		     b.accelerator[0] != '\0' ? " (" : "", b.accelerator,
		     b.accelerator[0] != '\0' ? ")" : "");
	code = cli_agent_run(c, &b);
	cli_bottle_done(&b);
	return code;
}

static int start(const struct cli_args *args)
{
	BB_AUTO(cli_config) struct cli_config *c = NULL;
	struct bb_err err = { 0 };

	if (cli_config_load(args, false, &c, &err) < 0)
		return cli_out_fail(&err);
	return cli_start_run(c, args);
}

static int run_start(const struct cli_args *args)
{
	struct cli_choice choice = { 0 };
	struct bb_err err = { 0 };
	int code;

	code = cli_choose(args, &choice, &err) < 0 ? cli_out_fail(&err) : start(&choice.args);
	cli_choice_done(&choice);
	return code;
}

const struct cli_command cli_start = {
	.name = "start",
	.operands = "[AGENT] [-- COMMAND...]",
	.summary = "Start an agent in a bottle of its own",
	.about =
		"Shows the effective policy and asks, starts the bottle, runs the agent in it and "
		"ends the\nbottle with the agent. A workspace copied in with --cwd is kept when it "
		"was changed; the\ncommand that fetches it is printed. With '-- COMMAND' that "
		"command runs instead of the agent.\n\n"
		"Without AGENT, on a terminal, it asks which agent, in which bottles, under which "
		"name "
		"and color\nand on which backend, and says how to get the same without questions.",
	CLI_OPTIONS(options),
	CLI_FIELDS(fields),
	CLI_EXAMPLES(examples),
	.operands_max = 1,
	.word = CLI_WORD_AGENT,
	.takes_rest = true,
	.run = run_start,
};
