/* See choose.h. Each question is a step; Esc goes back one. */
#include "cli/choose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cli/color.h"
#include "cli/out.h"
#include "cli/places.h"
#include "store/store.h"
#include "tui/dialogue.h"

enum step {
	STEP_AGENT,
	STEP_BOTTLES,
	STEP_LABEL,
	STEP_COLOR,
	STEP_BACKEND,
};
#define NUM_STEPS 5

struct chooser {
	struct tui_screen *screen;
	const struct cli_args *given;
	bool is_asked[NUM_STEPS];
	struct cli_places places;
	const char *agent; /* given, or one of agents */
	char **agents, **bottles;
	struct tui_list agent_list, bottle_list, color_list, backend_list;
	const char *bottles_for; /* the agent that bottle_list's choice was begun for */
	struct tui_line label;
	const char *label_for;
	struct bb_err label_err;
};

static const char *const color_names[CLI_NUM_COLORS + 1] = { "none", "red",     "green", "yellow",
							     "blue", "magenta", "cyan" };

static struct tui_question question(const struct chooser *c, enum step step, const char *title,
				    const char *about)
{
	struct tui_question q = { .title = title, .about = about };

	for (int i = 0; i < NUM_STEPS; i++) {
		q.steps += c->is_asked[i] ? 1 : 0;
		q.step += i <= (int)step && c->is_asked[i] ? 1 : 0;
	}
	return q;
}

/* Agent */

static bool describe_agent(void *arg, size_t index, struct bb_buf *text)
{
	const struct chooser *c = arg;
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;
	struct bb_err err = { 0 };

	if (manifest_load_agent(&c->places.in, c->agents[index], &a, &err) < 0) {
		(void)bb_buf_append_str(text, err.msg); /* cut when it is too long */
		return false;
	}
	/* Whoever wrote into this directory may have written the agent. */
	(void)bb_buf_printf(text, "%s%s%s%s", a->is_from_cwd ? "from this directory, " : "",
			    a->bottle != NULL ? "in " : "names no bottle",
			    a->bottle != NULL ? a->bottle : "", a->prompt[0] != '\0' ? ": " : "");
	(void)bb_buf_append(text, a->prompt, strcspn(a->prompt, "\n"));
	return true;
}

static int ask_agent(struct chooser *c, struct bb_err *err)
{
	struct tui_pick pick = {
		.question = question(c, STEP_AGENT, "Which agent shall be started?",
				     "'bot-bottle init' writes a new one, 'bot-bottle edit' "
				     "changes one."),
		.describe = describe_agent,
		.arg = c,
	};
	size_t index;
	int r = tui_pick(c->screen, &pick, &c->agent_list, err);

	if (r == TUI_ANSWERED && tui_list_current(&c->agent_list, &index))
		c->agent = c->agents[index];
	return r;
}

/* Bottles */

static bool describe_bottle(void *arg, size_t index, struct bb_buf *text)
{
	const struct chooser *c = arg;
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	char *names[2] = { c->bottles[index], NULL };
	struct bb_err err = { 0 };
	size_t hosts;

	if (manifest_load_bottle(c->places.home, names, &b, &err) < 0) {
		(void)bb_buf_append_str(text, err.msg);
		return false;
	}
	hosts = b->policy->route_count;
	if (strcmp(b->chain, b->name) != 0)
		(void)bb_buf_printf(text, "%s ", b->chain);
	(void)bb_buf_printf(text, "(%s, %zu %s)", b->provider != NULL ? b->provider : "a shell",
			    hosts, hosts == 1 ? "host" : "hosts");
	return true;
}

/* The agent's own bottle is chosen beforehand. */
static void begin_bottles(struct chooser *c)
{
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;

	if (c->bottles_for == c->agent)
		return;
	c->bottles_for = c->agent;
	c->bottle_list.chosen_count = 0;
	(void)tui_list_clear(&c->bottle_list);
	tui_list_first(&c->bottle_list);
	if (manifest_load_agent(&c->places.in, c->agent, &a, NULL) < 0 || a->bottle == NULL)
		return;
	for (size_t i = 0; c->bottles[i] != NULL; i++)
		if (strcmp(c->bottles[i], a->bottle) == 0) {
			tui_list_toggle(&c->bottle_list, i);
			tui_list_go(&c->bottle_list, i);
		}
}

static bool names_bottle(const struct chooser *c)
{
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;

	return manifest_load_agent(&c->places.in, c->agent, &a, NULL) < 0 || a->bottle != NULL;
}

static int ask_bottles(struct chooser *c, struct bb_err *err)
{
	struct tui_pick pick = {
		.question = question(c, STEP_BOTTLES, "In which bottles?",
				     "They are put together in the order in which they are "
				     "chosen; a later one wins."),
		.is_multi = true,
		.describe = describe_bottle,
		.arg = c,
	};

	begin_bottles(c);
	if (!names_bottle(c))
		pick.empty_text = "This agent names no bottle of its own: choose one with Space.";
	return tui_pick(c->screen, &pick, &c->bottle_list, err);
}

/* Label and colour */

static const char *refuse_label(void *arg, const char *text)
{
	struct chooser *c = arg;

	if (text[0] == '\0')
		return NULL;
	if (!store_is_slug(text))
		return "Small letters, digits and dashes, a letter first, at most 40.";
	return store_check_label(text, &c->label_err) < 0 ? c->label_err.msg : NULL;
}

/* The agent's name, or with a number where a living bottle is called so. */
static void begin_label(struct chooser *c)
{
	char text[STORE_SLUG_MAX + 16];

	if (c->label_for == c->agent)
		return;
	c->label_for = c->agent;
	(void)snprintf(text, sizeof(text), "%.*s", STORE_SLUG_MAX, c->agent);
	for (int i = 2; i < 100 && store_check_label(text, NULL) == -EEXIST; i++)
		(void)snprintf(text, sizeof(text), "%.*s-%d", STORE_SLUG_MAX - 3, c->agent, i);
	tui_line_init(&c->label, text);
}

static int ask_label(struct chooser *c, struct bb_err *err)
{
	struct tui_entry entry = {
		.question = question(c, STEP_LABEL, "What shall this bottle be called?",
				     "Commands take the name: 'bot-bottle attach NAME'. Empty: a "
				     "name is made up."),
		.refuse = refuse_label,
		.arg = c,
	};

	(void)err;
	begin_label(c);
	return (int)tui_enter(c->screen, &entry, &c->label);
}

static int ask_color(struct chooser *c, struct bb_err *err)
{
	static const int colors[CLI_NUM_COLORS + 1] = { 0, 1, 2, 3, 4, 5, 6 };
	struct tui_pick pick = {
		.question = question(c, STEP_COLOR, "In which color is it listed?",
				     "'bot-bottle list' shows its name in it."),
		.colors = colors,
	};

	return tui_pick(c->screen, &pick, &c->color_list, err);
}

/* Backend */

static bool describe_backend(void *arg, size_t index, struct bb_buf *text)
{
	static struct backend_report report;
	const struct backend *b = backend_find(backend_names()[index]);
	struct bb_err err = { 0 };

	(void)arg;
	if (backend_preflight(b, false, &report, &err) < 0) {
		(void)bb_buf_printf(text, "not on this machine: %s", err.msg);
		return false;
	}
	(void)bb_buf_printf(text, "%s%s", index == 0 ? "the default; " : "", report.accelerator);
	return true;
}

static int ask_backend(struct chooser *c, struct bb_err *err)
{
	struct tui_pick pick = {
		.question = question(c, STEP_BACKEND, "On which backend?",
				     "BOT_BOTTLE_BACKEND, when it is set, answers this."),
		.describe = describe_backend,
	};

	return tui_pick(c->screen, &pick, &c->backend_list, err);
}

static int (*const ask[NUM_STEPS])(struct chooser *c, struct bb_err *err) = {
	[STEP_AGENT] = ask_agent, [STEP_BOTTLES] = ask_bottles, [STEP_LABEL] = ask_label,
	[STEP_COLOR] = ask_color, [STEP_BACKEND] = ask_backend,
};

/* Asks every step that is to be asked. 0: all are answered. */
static int ask_all(struct chooser *c, struct bb_err *err)
{
	int at = 0;

	while (at < NUM_STEPS) {
		int r = c->is_asked[at] ? ask[at](c, err) : TUI_ANSWERED;

		if (r < 0)
			return r;
		if (r == TUI_QUIT)
			return bb_err_set(err, -EINTR, "interrupted");
		if (r == TUI_ANSWERED) {
			at++;
			continue;
		}
		do {
			at--;
		} while (at >= 0 && !c->is_asked[at]);
		if (at < 0)
			return bb_err_set(err, -ECANCELED, "not started");
	}
	return 0;
}

static int list_names(struct chooser *c, struct bb_err *err)
{
	size_t backends = 0;
	int r;

	c->agents = manifest_list_agents(&c->places.in, err);
	c->bottles = c->agents == NULL ? NULL : manifest_list(c->places.home, "bottles", err);
	if (c->bottles == NULL)
		return err->code;
	if (c->is_asked[STEP_AGENT] && c->agents[0] == NULL)
		return bb_err_set(err, BB_E_USAGE,
				  "there are no agents in %s/agents yet; 'bot-bottle init' writes "
				  "one with its bottle",
				  c->places.home);
	while (backend_names()[backends] != NULL)
		backends++;
	r = tui_list_init(&c->agent_list, (const char *const *)c->agents, bb_strv_len(c->agents),
			  err);
	if (r == 0)
		r = tui_list_init(&c->bottle_list, (const char *const *)c->bottles,
				  bb_strv_len(c->bottles), err);
	if (r == 0)
		r = tui_list_init(&c->color_list, color_names, BB_ARRAY_LEN(color_names), err);
	if (r == 0)
		r = tui_list_init(&c->backend_list, backend_names(), backends, err);
	return r;
}

static bool is_env_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0';
}

/* What is to be asked; false: nothing. */
static bool plan_steps(struct chooser *c)
{
	const struct cli_args *g = c->given;
	bool is_whole = g->operand_count == 0;
	bool asks_more = is_whole && !cli_args_has(g, "yes");

	c->is_asked[STEP_AGENT] = is_whole;
	c->is_asked[STEP_BOTTLES] =
		!cli_args_has(g, "bottle") && (asks_more || is_whole || !names_bottle(c));
	c->is_asked[STEP_LABEL] = asks_more && !cli_args_has(g, "label");
	c->is_asked[STEP_COLOR] = asks_more && !cli_args_has(g, "color");
	c->is_asked[STEP_BACKEND] =
		asks_more && !cli_args_has(g, "backend") && !is_env_set("BOT_BOTTLE_BACKEND");
	for (int i = 0; i < NUM_STEPS; i++)
		if (c->is_asked[i])
			return true;
	return false;
}

/* Answers become what the command line could have said. */

static int add_option(struct cli_choice *ret, const char *name, const char *value,
		      struct bb_err *err)
{
	const struct cli_command *command = ret->args.command;
	char *copy = strdup(value);
	size_t i = 0;

	if (copy == NULL || bb_strv_push(&ret->owned, copy) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (ret->args.set_count == CLI_SET_MAX)
		return bb_err_set(err, BB_E_USAGE, "more than %d options", CLI_SET_MAX);
	while (strcmp(command->options[i].name, name) != 0)
		i++;
	ret->args.set[ret->args.set_count].option = &command->options[i];
	ret->args.set[ret->args.set_count++].value = copy;
	return 0;
}

static int add_answers(const struct chooser *c, struct cli_choice *ret, struct bb_err *err)
{
	size_t index;
	int r = 0;

	if (c->is_asked[STEP_AGENT]) {
		if (bb_strv_push(&ret->owned, strdup(c->agent)) < 0)
			return bb_err_set(err, -ENOMEM, "out of memory");
		ret->operands[0] = ret->owned[bb_strv_len(ret->owned) - 1];
		ret->args.operands = ret->operands;
		ret->args.operand_count = 1;
	}
	for (size_t i = 0; r == 0 && c->is_asked[STEP_BOTTLES] && i < c->bottle_list.chosen_count;
	     i++)
		r = add_option(ret, "bottle", c->bottles[c->bottle_list.chosen[i]], err);
	if (r == 0 && c->is_asked[STEP_LABEL] && c->label.length > 0)
		r = add_option(ret, "label", c->label.text, err);
	if (r == 0 && c->is_asked[STEP_COLOR] && tui_list_current(&c->color_list, &index) &&
	    index > 0)
		r = add_option(ret, "color", color_names[index], err);
	if (r == 0 && c->is_asked[STEP_BACKEND] && tui_list_current(&c->backend_list, &index))
		r = add_option(ret, "backend", backend_names()[index], err);
	return r;
}

/* A word as a shell takes it. */
static void put_word(struct bb_buf *line, const char *word)
{
	bool is_plain = word[0] != '\0' &&
			strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789-_./:=@+,") == strlen(word);

	(void)bb_buf_append_str(line, is_plain ? "" : "'"); /* cut at the cap: only shown */
	for (; *word != '\0'; word++)
		if (*word == '\'')
			(void)bb_buf_append_str(line, "'\\''");
		else
			(void)bb_buf_append_byte(line, (uint8_t)*word);
	(void)bb_buf_append_str(line, is_plain ? "" : "'");
}

/* How to get the same without being asked. */
static void tell_line(const struct cli_args *args)
{
	BB_AUTO_BUF struct bb_buf line = { 0 };
	BB_AUTO_FREE char *text = NULL;

	bb_buf_init(&line, 3000);
	(void)bb_buf_append_str(&line, args->operands[0]); /* cut at the cap: only shown */
	for (size_t i = 0; i < args->set_count; i++) {
		const struct cli_option *o = args->set[i].option;

		(void)bb_buf_printf(&line, " --%s%s", o->name,
				    args->set[i].value == NULL       ? ""
				    : o->value == CLI_OPTIONAL_VALUE ? "="
								     : " ");
		if (args->set[i].value != NULL)
			put_word(&line, args->set[i].value);
	}
	for (size_t i = 0; args->rest != NULL && args->rest[i] != NULL; i++) {
		(void)bb_buf_append_str(&line, i == 0 ? " -- " : " ");
		put_word(&line, args->rest[i]);
	}
	text = bb_buf_dup_str(&line);
	if (text != NULL)
		cli_out_note("the same without questions: bot-bottle start %s", text);
}

static void chooser_done(struct chooser *c)
{
	tui_screen_close(c->screen);
	tui_list_done(&c->agent_list);
	tui_list_done(&c->bottle_list);
	tui_list_done(&c->color_list);
	tui_list_done(&c->backend_list);
	bb_strv_free(c->agents);
	bb_strv_free(c->bottles);
	cli_places_done(&c->places);
	free(c);
}
BB_DEFINE_AUTO(chooser, chooser_done)

static int refuse_missing(const struct cli_args *given, const struct bb_err *why,
			  struct bb_err *err)
{
	return bb_err_set(err, BB_E_USAGE,
			  "no agent is named, and %s; say: bot-bottle start AGENT ('bot-bottle "
			  "list available' shows them)",
			  cli_args_has(given, "headless") ? "--headless asks no questions"
							  : why->msg);
}

int cli_choose(const struct cli_args *given, struct cli_choice *ret, struct bb_err *err)
{
	BB_AUTO(chooser) struct chooser *c = calloc(1, sizeof(*c));
	bool is_headless = cli_args_has(given, "headless");
	struct bb_err why = { 0 };
	int r;

	ret->args = *given;
	if (c == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	c->given = given;
	c->agent = given->operand_count > 0 ? given->operands[0] : NULL;
	r = cli_places_find(&c->places, err);
	if (r < 0)
		return r;
	if (!plan_steps(c))
		return 0;
	if (is_headless)
		return c->is_asked[STEP_AGENT] ? refuse_missing(given, &why, err) : 0;
	r = list_names(c, err);
	if (r < 0)
		return r;
	r = tui_screen_open(&c->screen, &why);
	if (r < 0) /* a missing bottle is told by what loads the manifests */
		return c->is_asked[STEP_AGENT] ? refuse_missing(given, &why, err) : 0;
	r = ask_all(c, err);
	tui_screen_close(c->screen);
	c->screen = NULL;
	if (r == 0)
		r = add_answers(c, ret, err);
	if (r < 0)
		return r;
	tell_line(&ret->args);
	return 0;
}

void cli_choice_done(struct cli_choice *c)
{
	bb_strv_free(c->owned);
	c->owned = NULL;
}
