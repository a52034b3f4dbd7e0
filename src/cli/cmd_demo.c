/*
 * `bot-bottle demo`: a bottle that shows what a bottle is. It needs no manifest and no token, and
 * reaches nothing: a home of its own in a temporary directory, one agent without a provider, one
 * script. The demonstration with a real agent is the repository's tools/demo.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"

static const struct cli_option options[] = {
	{ "backend", 0, CLI_VALUE, "NAME", CLI_WORD_BACKEND,
	  "microvm (default, image base) or namespace (the host's own programs)" },
};

static const char agent_text[] = "---\nbottle: demo\n---\n";

/* Only what every image has: bash, coreutils. Each line is checked where it is printed. */
static const char script[] =
	"ok() { printf 'ok    %s\\n' \"$1\"; }; bad() { printf 'FAIL  %s\\n' \"$1\"; code=1; }; "
	"code=0\n"
	"ok \"a guest runs: $(uname -sr), as user $(id -un 2>/dev/null || id -u)\"\n"
	"cards=$(grep -c : /proc/net/dev); [ \"$cards\" = 1 ] && ok 'no network card, only lo' || "
	"bad 'there is a network card'\n"
	"for host in example.com 192.0.2.1; do\n"
	"  answer=$( (exec 3<>/dev/tcp/$host/80 && printf 'GET / HTTP/1.1\\r\\nHost: "
	"%s\\r\\n\\r\\n' "
	"$host >&3 && timeout 5 head -c 400 <&3) 2>/dev/null | tr -d '\\r' )\n"
	"  case $answer in *' 403 '*) ok \"http://$host/ is refused: $(printf '%s' \"$answer\" | "
	"grep -m1 refused)\";;\n"
	"  *) bad \"http://$host/ answered: $answer\";; esac\ndone\n"
	"(exec 3<>/dev/udp/192.0.2.1/53 && printf x >&3) 2>/dev/null; ok 'UDP leads nowhere: there "
	"is no wire'\n"
	"[ -e /home/node/.bot-bottle/bottles ] && bad 'manifests are visible' || ok 'the host home "
	"is not here'\n"
	"exit $code\n";

static int write_home(const char *root, bool is_host, struct bb_err *err)
{
	BB_AUTO_FREE char *bottles = bb_text_printf("%s/bottles", root);
	BB_AUTO_FREE char *agents = bb_text_printf("%s/agents", root);
	BB_AUTO_FREE char *bottle = bb_text_printf("%s/bottles/demo.md", root);
	BB_AUTO_FREE char *agent = bb_text_printf("%s/agents/demo.md", root);
	BB_AUTO_FREE char *text =
		bb_text_printf("---\nimage: %s\n---\n", is_host ? "host" : "base");
	int r;

	if (bottles == NULL || agents == NULL || bottle == NULL || agent == NULL || text == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = bb_path_mkdirs(bottles, 0700, err);
	if (r == 0)
		r = bb_path_mkdirs(agents, 0700, err);
	if (r == 0)
		r = bb_path_write_atomic(bottle, text, strlen(text), 0600, err);
	if (r == 0)
		r = bb_path_write_atomic(agent, agent_text, strlen(agent_text), 0600, err);
	return r;
}

static int start_demo(const char *backend)
{
	BB_AUTO_FREE char *name = strdup(backend);
	BB_AUTO_FREE char *text = strdup(script);
	char agent[] = "demo", headless[] = "--headless", option[] = "--backend", dashes[] = "--",
	     bash[] = "bash", command[] = "-c";
	char *argv[] = { agent, headless, option, name, dashes, bash, command, text, NULL };
	struct bb_err err = { 0 };
	struct cli_args args;

	if (name == NULL || text == NULL)
		return CLI_EXIT_OWN;
	if (cli_args_parse(&cli_start, 8, argv, &args, &err) < 0)
		return cli_out_fail(&err);
	return cli_start.run(&args);
}

static int run_demo(const struct cli_args *args)
{
	const char *backend = cli_args_get(args, "backend");
	const char *tmp = getenv("TMPDIR");
	BB_AUTO_FREE char *root = NULL;
	struct bb_err err = { 0 };
	int code;

	if (backend == NULL)
		backend = getenv("BOT_BOTTLE_BACKEND");
	if (backend == NULL || backend[0] == '\0')
		backend = "microvm";
	root = bb_text_printf("%s/bot-bottle-demo-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (root == NULL || mkdtemp(root) == NULL) {
		(void)bb_err_errno(&err, "cannot make a temporary directory");
		return cli_out_fail(&err);
	}
	if (write_home(root, strcmp(backend, "namespace") == 0, &err) < 0 ||
	    setenv("BOT_BOTTLE_HOME", root, 1) < 0)
		code = cli_out_fail(&err);
	else
		code = start_demo(backend);
	if (bb_path_remove_tree(root, &err) < 0)
		(void)cli_out_fail(&err);
	return code;
}

const struct cli_command cli_demo = {
	.name = "demo",
	.operands = "",
	.summary = "Show a bottle that reaches nothing, and what it says about that",
	CLI_OPTIONS(options),
	.run = run_demo,
};
