/* `bot-bottle cleanup`: what ended bottles left, removed after one question. */
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "store/store.h"

#define STRAYS_MAX 64

static const struct cli_option options[] = {
	{ "yes", 'y', CLI_FLAG, NULL, CLI_WORD_ANY, "remove without asking" },
	{ "dry-run", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "show the plan only" },
};

/* Identities of bottles that are not alive. */
static char **find_ended(struct bb_err *err)
{
	BB_AUTO_STRV char **all = store_list(err);
	BB_AUTO_STRV char **ended = calloc(1, sizeof(*ended));

	for (size_t i = 0; all != NULL && ended != NULL && all[i] != NULL; i++)
		if (!store_is_alive(all[i]))
			(void)bb_strv_push(&ended, strdup(all[i]));
	return all == NULL ? NULL : bb_take_ptr(&ended);
}

static void print_plan(char *const *ended)
{
	for (size_t i = 0; ended[i] != NULL; i++) {
		struct store_meta *m = NULL;
		bool has_work = store_meta_read(ended[i], &m, NULL) == 0 && m->workspace_kept;

		(void)printf("%s%s\n", ended[i], has_work ? "  with its kept workspace" : "");
		store_meta_free(m);
	}
}

struct stray {
	const struct backend *backend;
	char *machine;
};

struct strays {
	struct stray all[STRAYS_MAX]; /* what is more goes with the next cleanup */
	size_t count;
};

static void on_stray(void *arg, const struct backend *b, const char *machine)
{
	struct strays *s = arg;

	if (s->count < STRAYS_MAX)
		s->all[s->count++] = (struct stray){ b, strdup(machine) };
}

static void strays_done(struct strays *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->all[i].machine);
}

static void print_strays(const struct strays *s)
{
	for (size_t i = 0; i < s->count; i++)
		(void)printf("machine %s of %s, whose bottle is gone\n", s->all[i].machine,
			     backend_name(s->all[i].backend));
}

/* 1: yes, 0: no (or only looking), negative. */
static int may_remove(const struct cli_args *args, struct bb_err *err)
{
	(void)fflush(stdout);
	if (cli_args_has(args, "dry-run"))
		return 0;
	return cli_args_has(args, "yes") ? 1 : cli_out_ask("remove all of the above?", err);
}

static int remove_all(char *const *ended, const struct strays *strays)
{
	struct bb_err err = { 0 };
	int code = 0;

	for (size_t i = 0; ended[i] != NULL; i++)
		if (store_remove(ended[i], &err) < 0)
			code = cli_out_fail(&err); /* the others still go */
	for (size_t i = 0; i < strays->count; i++)
		if (backend_stray_remove(strays->all[i].backend, strays->all[i].machine, &err) < 0)
			code = cli_out_fail(&err);
	return code;
}

static int clean(const struct cli_args *args, struct strays *strays)
{
	struct bb_err err = { 0 };
	BB_AUTO_STRV char **ended = find_ended(&err);
	int code = 0, r;

	if (ended == NULL)
		return cli_out_fail(&err);
	if (backend_strays(on_stray, strays, &err) < 0)
		code = cli_out_fail(&err); /* the rest is cleaned all the same */
	if (ended[0] == NULL && strays->count == 0) {
		if (code == 0)
			(void)puts("nothing to clean up");
		return code;
	}
	print_plan(ended);
	print_strays(strays);
	r = may_remove(args, &err);
	if (r < 0)
		return cli_out_fail(&err);
	if (r > 0) {
		int removed = remove_all(ended, strays);

		code = removed != 0 ? removed : code;
	}
	return code;
}

static int run_cleanup(const struct cli_args *args)
{
	static struct strays strays;
	int code = clean(args, &strays);

	strays_done(&strays);
	return code;
}

const struct cli_command cli_cleanup = {
	.name = "cleanup",
	.operands = "",
	.summary = "Remove what ended bottles left",
	.about = "Living bottles are not touched; 'bot-bottle stop' ends them.",
	CLI_OPTIONS(options),
	.run = run_cleanup,
};
