/*
 * `bot-bottle cleanup`: what ended bottles left, over all backends, removed after one question. The
 * plan is made and shown first; then each step is tried, whatever became of the others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/json.h"
#include "cli/out.h"
#include "image/build.h"
#include "store/store.h"

static const struct cli_option options[] = {
	{ "all", 'a', CLI_FLAG, NULL, CLI_WORD_ANY,
	  "also bottles with a kept workspace or a committed image" },
	{ "yes", 'y', CLI_FLAG, NULL, CLI_WORD_ANY, "remove without asking" },
	{ "dry-run", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "show the plan only" },
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "with --yes or --dry-run: for programs" },
};
static const struct cli_field fields[] = {
	{ "kind", "bottle, machine or image" },
	{ "name", "the bottle, the machine, or the unfinished image" },
	{ "backend", "whose it is; null for an image" },
	{ "holds", "what goes with it, in words, or null" },
	{ "planned", "false: it is kept, unless --all or its name asks for it" },
	{ "removed", "whether it is gone now" },
	{ "error", "why it is not, or null" },
};

enum step_kind {
	STEP_BOTTLE,
	STEP_MACHINE, /* of a backend whose bottle nobody remembers */
	STEP_IMAGE,   /* unfinished */
};
#define NUM_STEP_KINDS 3
static const char *const kind_words[] = { "bottle", "machine", "image" };
_Static_assert(BB_ARRAY_LEN(kind_words) == NUM_STEP_KINDS, "one word a kind");

struct step {
	enum step_kind kind;
	char *name, *backend; /* backend NULL: none */
	char *holds;          /* what goes with it; NULL: nothing worth a word */
	bool is_kept;         /* not touched: it holds work, and nobody asked for it */
	bool is_removed;
	char *error;
};

struct plan {
	struct step *steps;
	size_t count;
	bool is_broken; /* something could not be looked at, and was told */
};

static void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->steps[i].name);
		free(p->steps[i].backend);
		free(p->steps[i].holds);
		free(p->steps[i].error);
	}
	free(p->steps);
}

/* Out of memory: what is not in the plan goes with the next cleanup. */
static struct step *add(struct plan *p, enum step_kind kind, const char *name, const char *backend)
{
	struct step *grown = reallocarray(p->steps, p->count + 1, sizeof(*grown));
	struct step *s;

	if (grown == NULL)
		return NULL;
	p->steps = grown;
	s = &grown[p->count];
	*s = (struct step){ .kind = kind, .name = strdup(name) };
	s->backend = backend == NULL ? NULL : strdup(backend);
	if (s->name == NULL)
		return NULL;
	p->count++;
	return s;
}

static char *describe(const struct store_meta *m)
{
	const char *const words[] = {
		m->workspace_kept ? "its changed workspace" : NULL,
		m->agent_kept ? "its agent's conversation" : NULL,
		m->committed_image != NULL ? "its hold on a committed image" : NULL,
	};
	BB_AUTO_BUF struct bb_buf text = { 0 };

	bb_buf_init(&text, 256);
	for (size_t i = 0; i < BB_ARRAY_LEN(words); i++)
		if (words[i] != NULL)
			(void)bb_buf_printf(&text, "%s%s", bb_buf_size(&text) > 0 ? ", " : "",
					    words[i]); /* it fits */
	return bb_buf_size(&text) == 0 ? NULL : bb_buf_dup_str(&text);
}

static void add_bottle(struct plan *p, const char *identity, bool is_asked)
{
	BB_AUTO(store_meta) struct store_meta *m = NULL;
	struct step *s;

	if (store_meta_read(identity, &m, NULL) < 0) {
		(void)add(p, STEP_BOTTLE, identity, NULL); /* being born or buried, or too new */
		return;
	}
	s = add(p, STEP_BOTTLE, identity, m->backend);
	if (s == NULL)
		return;
	s->holds = describe(m);
	s->is_kept = !is_asked && (m->workspace_kept || m->committed_image != NULL);
}

static int add_bottles(struct plan *p, const struct cli_args *args, struct bb_err *err)
{
	BB_AUTO_STRV char **all = store_list(err);

	if (all == NULL)
		return err->code;
	for (size_t i = 0; all[i] != NULL; i++)
		if (!store_is_alive(all[i]))
			add_bottle(p, all[i], cli_args_has(args, "all"));
	return 0;
}

static int add_named(struct plan *p, const struct cli_args *args, struct bb_err *err)
{
	for (size_t i = 0; i < args->operand_count; i++) {
		BB_AUTO_FREE char *identity = cli_control_resolve(args->operands[i], err);

		if (identity == NULL)
			return err->code;
		if (store_is_alive(identity))
			return bb_err_set(err, BB_E_USAGE,
					  "'%s' is running; end it first: bot-bottle stop %s",
					  identity, identity);
		add_bottle(p, identity, true);
	}
	return 0;
}

static void on_stray(void *arg, const struct backend *b, const char *machine)
{
	(void)add(arg, STEP_MACHINE, machine, backend_name(b));
}

static int make_plan(struct plan *p, const struct cli_args *args, struct bb_err *err)
{
	BB_AUTO_STRV char **left = NULL;
	struct bb_err why = { 0 };
	int r;

	if (args->operand_count > 0)
		return add_named(p, args, err);
	r = add_bottles(p, args, err);
	if (r < 0)
		return r;
	if (backend_strays(on_stray, p, &why) < 0) {
		(void)cli_out_fail(&why); /* the rest is cleaned all the same */
		p->is_broken = true;
	}
	left = image_unfinished();
	for (size_t i = 0; left != NULL && left[i] != NULL; i++)
		(void)add(p, STEP_IMAGE, left[i], NULL);
	return 0;
}

static bool is_of(const struct step *s, const char *backend)
{
	if (backend == NULL || s->backend == NULL)
		return backend == NULL && s->backend == NULL;
	return strcmp(s->backend, backend) == 0;
}

static void print_step(const struct step *s)
{
	if (s->kind == STEP_MACHINE)
		(void)printf("machine %s, whose bottle is gone\n", s->name);
	else if (s->kind == STEP_IMAGE)
		(void)printf("unfinished image %s\n", s->name);
	else
		(void)printf("%s%s%s\n", s->name, s->holds != NULL ? "  with " : "",
			     s->holds != NULL ? s->holds : "");
}

/* What goes, backend by backend. Returns how many. */
static size_t print_section(const struct plan *p, const char *backend, const char *title)
{
	size_t shown = 0;

	for (size_t i = 0; i < p->count; i++) {
		if (p->steps[i].is_kept || !is_of(&p->steps[i], backend))
			continue;
		if (shown++ == 0)
			(void)printf("--- %s ---\n", title);
		print_step(&p->steps[i]);
	}
	return shown;
}

static size_t print_plan(const struct plan *p)
{
	const char *const *names = backend_names();
	size_t shown = 0, kept = 0;

	for (size_t i = 0; names[i] != NULL; i++) {
		BB_AUTO_FREE char *title = bb_text_printf("%s backend", names[i]);

		shown += print_section(p, names[i], title != NULL ? title : names[i]);
	}
	shown += print_section(p, "unknown", "backend not known any more");
	shown += print_section(p, NULL, "of no backend");
	for (size_t i = 0; i < p->count; i++) {
		if (!p->steps[i].is_kept)
			continue;
		if (kept++ == 0)
			(void)printf(
				"--- kept; 'cleanup ID' or 'cleanup --all' removes them ---\n");
		print_step(&p->steps[i]);
	}
	if (p->count == 0 && !p->is_broken)
		(void)puts("nothing to clean up");
	return shown;
}

static int remove_step(const struct step *s, struct bb_err *err)
{
	switch (s->kind) {
	case STEP_BOTTLE:
		return store_remove(s->name, err);
	case STEP_MACHINE:
		return backend_stray_remove(backend_find(s->backend), s->name, err);
	case STEP_IMAGE:
		image_sweep();
		return 0;
	}
	return 0;
}

/* Each step, whatever became of the others. */
static int remove_all(struct plan *p)
{
	int code = p->is_broken ? CLI_EXIT_OWN : 0;

	for (size_t i = 0; i < p->count; i++) {
		struct step *s = &p->steps[i];
		struct bb_err err = { 0 };

		if (s->is_kept)
			continue;
		s->is_removed = remove_step(s, &err) == 0;
		if (s->is_removed)
			continue;
		s->error = strdup(err.msg);
		code = cli_out_fail(&err);
	}
	return code;
}

static void print_json(const struct plan *p)
{
	struct cli_json j = { 0 };

	cli_json_begin(&j, '[');
	for (size_t i = 0; i < p->count; i++) {
		const struct step *s = &p->steps[i];

		cli_json_open(&j, NULL, '{');
		cli_json_str(&j, "kind", kind_words[s->kind]);
		cli_json_str(&j, "name", s->name);
		cli_json_str(&j, "backend", s->backend);
		cli_json_str(&j, "holds", s->holds);
		cli_json_bool(&j, "planned", !s->is_kept);
		cli_json_bool(&j, "removed", s->is_removed);
		cli_json_str(&j, "error", s->error);
		cli_json_end(&j, '}');
	}
	cli_json_end(&j, ']');
}

static int clean(const struct cli_args *args, struct plan *p)
{
	bool is_dry = cli_args_has(args, "dry-run"), is_sure = cli_args_has(args, "yes");
	bool is_json = cli_args_has(args, "json");
	struct bb_err err = { 0 };
	int r, code = 0;

	if (is_json && !is_dry && !is_sure)
		r = bb_err_set(&err, BB_E_USAGE, "--json needs --yes or --dry-run");
	else
		r = make_plan(p, args, &err);
	if (r < 0)
		return cli_out_fail(&err);
	if (!is_json && print_plan(p) == 0)
		return p->is_broken ? CLI_EXIT_OWN : 0;
	(void)fflush(stdout);
	r = is_dry    ? 0
	    : is_sure ? 1
		      : cli_out_ask("remove all of the above but what is kept?", &err);
	if (r < 0)
		return cli_out_fail(&err);
	code = r > 0 ? remove_all(p) : p->is_broken ? CLI_EXIT_OWN : 0;
	if (is_json)
		print_json(p);
	return code;
}

static int run_cleanup(const struct cli_args *args)
{
	__attribute__((cleanup(plan_done))) struct plan plan = { 0 };

	return clean(args, &plan);
}

const struct cli_command cli_cleanup = {
	.name = "cleanup",
	.operands = "[ID...]",
	.summary = "Remove what ended bottles left",
	.about = "Over all backends: one plan, one question, and every step is tried whatever "
		 "became of "
		 "the others.\nLiving bottles are not touched; 'bot-bottle stop' ends them. "
		 "Bottles that "
		 "hold a changed\nworkspace or a committed image are kept unless --all or their "
		 "name "
		 "asks for them; images stay\n('bot-bottle image rm').",
	CLI_OPTIONS(options),
	CLI_FIELDS(fields),
	.operands_max = 64,
	.word = CLI_WORD_ID,
	.run = run_cleanup,
};
