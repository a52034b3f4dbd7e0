/*
 * `bot-bottle edit`: the operator's editor on a manifest, and the parser afterwards. The file may
 * be broken before and after: that is what one edits for.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/places.h"
#include "manifest/manifest.h"
#include "store/store.h"
#include "sys/spawn.h"
#include "tui/dialogue.h"

static const struct cli_option options[] = {
	{ "bottle", 0, CLI_VALUE, "NAME", CLI_WORD_BOTTLE, "a bottle, not an agent" },
};

static const struct cli_example examples[] = {
	{ "bot-bottle edit implementer", "the agent's file: its bottle, and what it is told" },
	{ "bot-bottle edit --bottle dev", "the bottle's file: what may be reached" },
	{ "EDITOR='code --wait' bot-bottle edit implementer", "with another editor" },
};

struct edit {
	struct cli_places places;
	char *name;
	char **names;     /* of all agents, when one is chosen */
	const char *kind; /* "agents" or "bottles" */
	char *path;
};

static void edit_done(struct edit *e)
{
	cli_places_done(&e->places);
	free(e->name);
	free(e->path);
	bb_strv_free(e->names);
	free(e);
}
BB_DEFINE_AUTO(edit, edit_done)

/* Which agent, on the terminal. A broken one is what one may want to edit: any can be chosen. */
static bool describe(void *arg, size_t index, struct bb_buf *text)
{
	const struct edit *e = arg;
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;
	struct bb_err err = { 0 };

	if (manifest_load_agent(&e->places.in, e->names[index], &a, &err) < 0)
		(void)bb_buf_append_str(text, err.msg); /* cut when it is too long */
	else
		(void)bb_buf_printf(text, "%s%s", a->bottle != NULL ? "in " : "names no bottle",
				    a->bottle != NULL ? a->bottle : "");
	return true;
}

static int pick_agent(struct edit *e, struct bb_err *err)
{
	BB_AUTO(tui_screen) struct tui_screen *screen = NULL;
	struct tui_pick pick = { .question = { .title = "Which agent shall be edited?" },
				 .describe = describe,
				 .arg = e };
	struct tui_list list = { 0 };
	struct bb_err why = { 0 };
	size_t index;
	int r;

	e->names = manifest_list_agents(&e->places.in, err);
	if (e->names == NULL)
		return err->code;
	if (e->names[0] == NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "there are no agents in %s/agents yet; 'bot-bottle init' writes "
				  "one with its bottle",
				  e->places.home);
	if (tui_screen_open(&screen, &why) < 0)
		return bb_err_set(err, BB_E_USAGE,
				  "no agent is named, and %s; say: bot-bottle edit AGENT, or edit "
				  "--bottle NAME",
				  why.msg);
	r = tui_list_init(&list, (const char *const *)e->names, bb_strv_len(e->names), err);
	if (r == 0)
		r = tui_pick(screen, &pick, &list, err);
	if (r == TUI_QUIT)
		r = bb_err_set(err, -EINTR, "interrupted");
	else if (r == TUI_BACK)
		r = bb_err_set(err, -ECANCELED, "nothing is edited");
	if (r == TUI_ANSWERED && tui_list_current(&list, &index)) {
		e->name = strdup(e->names[index]);
		r = e->name == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
	}
	tui_list_done(&list);
	return r;
}

static int refuse_missing(const struct edit *e, struct bb_err *err)
{
	struct bb_err ignored = { 0 };
	BB_AUTO_STRV char **names = strcmp(e->kind, "agents") == 0
					    ? manifest_list_agents(&e->places.in, &ignored)
					    : manifest_list(e->places.home, e->kind, &ignored);
	int length = (int)strlen(e->kind) - 1; /* "agents" -> "agent" */
	const char *near = names == NULL
				   ? NULL
				   : bb_table_suggest((const char *const *)names,
						      bb_strv_len(names), bb_view_str(e->name));

	if (near != NULL)
		return bb_err_set(err, BB_E_USAGE, "there is no %.*s '%s'; did you mean '%s'?",
				  length, e->kind, e->name, near);
	return bb_err_set(err, BB_E_USAGE,
			  "there is no %.*s '%s'; 'bot-bottle init' writes a bottle and an agent",
			  length, e->kind, e->name);
}

/* The file, when the directory has it; a link is none: the parser does not follow it either. */
static char *file_in(const struct edit *e, const char *dir)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s/%s.md", dir, e->kind, e->name);
	struct stat st;

	return path != NULL && lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? bb_take_ptr(&path)
									    : NULL;
}

static int locate(struct edit *e, struct bb_err *err)
{
	bool is_agent = strcmp(e->kind, "agents") == 0;
	BB_AUTO_FREE char *here =
		is_agent && e->places.in.cwd != NULL ? file_in(e, e->places.in.cwd) : NULL;

	e->path = file_in(e, e->places.home);
	if (e->path != NULL && here != NULL)
		return bb_err_set(
			err, BB_E_USAGE,
			"agent '%s' is there twice, in '%s' and '%s', and is not started: "
			"rename one of them",
			e->name, e->path, here);
	if (e->path == NULL)
		e->path = bb_take_ptr(&here);
	return e->path == NULL ? refuse_missing(e, err) : 0;
}

static int find_file(struct edit *e, const struct cli_args *args, struct bb_err *err)
{
	const char *bottle = cli_args_get(args, "bottle");
	const char *name = bottle != NULL ? bottle : args->operands[0];

	e->kind = bottle != NULL ? "bottles" : "agents";
	if (bottle != NULL && args->operand_count > 0)
		return bb_err_set(err, BB_E_USAGE,
				  "an agent and --bottle exclude each other: one file at a time");
	if (name == NULL) {
		int r = pick_agent(e, err);

		if (r < 0)
			return r;
	} else {
		e->name = strdup(name);
	}
	if (e->name == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (!store_is_slug(e->name))
		return bb_err_set(err, BB_E_USAGE, "'%s' is not a name; names are like 'my-agent2'",
				  BB_ESCAPED(bb_view_str(e->name)));
	return locate(e, err);
}

/* The parser's word, as `start` would say it. */
static int check(const struct edit *e, struct bb_err *err)
{
	BB_AUTO(manifest_agent) struct manifest_agent *agent = NULL;
	BB_AUTO(manifest_bottle) struct manifest_bottle *bottle = NULL;
	char *names[2] = { e->name, NULL };
	int r;

	if (strcmp(e->kind, "bottles") == 0)
		return manifest_load_bottle(e->places.home, names, &bottle, err);
	r = manifest_load_agent(&e->places.in, e->name, &agent, err);
	if (r < 0 || agent->bottle == NULL)
		return r;
	names[0] = agent->bottle;
	r = manifest_load_bottle(e->places.home, names, &bottle, err);
	return r < 0 ? bb_err_wrap(err, "manifest '%s':%u: its bottle", agent->file,
				   agent->bottle_line)
		     : 0;
}

static const char *editor(void)
{
	static const char *const names[] = { "VISUAL", "EDITOR" };

	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && value[0] != '\0')
			return value;
	}
	return "vi";
}

/* As system() does: Ctrl-C is the editor's while it runs. */
static int wait_for(struct spawn_child *child, struct bb_err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old_int, old_quit;
	struct pollfd poll_fd = { .fd = child->pidfd, .events = POLLIN };
	int code;

	(void)sigaction(SIGINT, &ignore, &old_int);
	(void)sigaction(SIGQUIT, &ignore, &old_quit);
	while (poll(&poll_fd, 1, -1) < 0 && errno == EINTR)
		;
	code = spawn_reap(child);
	(void)sigaction(SIGINT, &old_int, NULL);
	(void)sigaction(SIGQUIT, &old_quit, NULL);
	return code < 0 ? bb_err_set(err, code, "cannot wait for the editor") : code;
}

/* The variable may hold options ("code --wait"), so a shell reads it, as git does. */
static int run_editor(const struct edit *e, struct bb_err *err)
{
	BB_AUTO_CLOSE int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	BB_AUTO_FREE char *cwd = getcwd(NULL, 0);
	BB_AUTO_FREE char *line = bb_text_printf("%s \"$@\"", editor());
	BB_AUTO_FREE char *path = strdup(e->path);
	char sh[] = "sh", option[] = "-c", name[] = "editor";
	char *argv[] = { sh, option, line, name, path, NULL };
	struct spawn_fd fds[] = { { STDIN_FILENO, 0 }, { STDOUT_FILENO, 1 }, { STDERR_FILENO, 2 } };
	struct spawn_plan plan = { .path = "/bin/sh",
				   .argv = argv,
				   .envp = environ,
				   .fds = fds,
				   .fd_count = 3,
				   .cwd = cwd };
	struct spawn_child child;
	int r;

	if (line == NULL || path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < 2 && tty >= 0; i++) /* redirected, but there is somebody */
		if (isatty(fds[i].from) == 0)
			fds[i].from = tty;
	r = spawn_start(&plan, &child, err);
	if (r == 0)
		r = wait_for(&child, err);
	if (r == 127)
		return bb_err_set(err, BB_E_MISSING,
				  "cannot run the editor '%s'; set VISUAL or EDITOR to one that is "
				  "there",
				  editor());
	if (r > 0)
		cli_out_note("the editor ended with %d", r);
	return r;
}

static int edit(struct edit *e, struct bb_err *err)
{
	for (;;) {
		struct bb_err wrong = { 0 };
		int r = run_editor(e, err);

		if (r < 0)
			return r;
		if (check(e, &wrong) == 0) {
			cli_out_note("%.*s '%s' is in order", (int)strlen(e->kind) - 1, e->kind,
				     e->name);
			return 0;
		}
		if (!tui_screen_is_there()) {
			*err = wrong;
			return err->code;
		}
		cli_out_note("%s", wrong.msg);
		r = cli_out_ask("edit it again?", err);
		if (r <= 0)
			return r < 0 ? r
				     : bb_err_set(err, BB_E_USAGE,
						  "'%s' stays as it is, and cannot be started",
						  e->path);
	}
}

static int run_edit(const struct cli_args *args)
{
	BB_AUTO(edit) struct edit *e = calloc(1, sizeof(*e));
	struct bb_err err = { 0 };

	if (e == NULL)
		return CLI_EXIT_OWN;
	if (cli_places_find(&e->places, &err) < 0 || find_file(e, args, &err) < 0 ||
	    edit(e, &err) < 0)
		return cli_out_fail(&err);
	return 0;
}

const struct cli_command cli_edit = {
	.name = "edit",
	.operands = "[AGENT]",
	.summary = "Open an agent or a bottle in your editor, and check it",
	.about = "The editor is that of VISUAL, else EDITOR, else vi. What was written is checked "
		 "when it "
		 "ends;\nwhat is wrong is said, and the editor can be opened again. Without AGENT "
		 "it is chosen on the\nterminal.",
	CLI_OPTIONS(options),
	CLI_EXAMPLES(examples),
	.operands_max = 1,
	.word = CLI_WORD_AGENT,
	.run = run_edit,
};
