/* `bot-bottle lint`: what is wrong and what is risky in manifests. Reads files only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/lint_rules.h"
#include "cli/out.h"
#include "cli/places.h"
#include "cli/sites.h"
#include "manifest/schema.h"

#define SCHEMA_MAX (256 * 1024)

/* Exit codes: what a caller in a script asks. */
#define EXIT_RISKY 1
#define EXIT_WRONG 2

static const struct cli_option options[] = {
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "for programs" },
	{ "rules", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "list the rules" },
	{ "schema", 0, CLI_VALUE, "FORMAT", CLI_WORD_ANY,
	  "print the JSON Schema of 'bottle' or 'agent'" },
	{ "agent", 0, CLI_FLAG, NULL, CLI_WORD_ANY,
	  "FILE is an agent (taken from its folder's name otherwise)" },
};
static const struct cli_example examples[] = {
	{ "bot-bottle lint", "every bottle and agent of yours" },
	{ "bot-bottle lint ./dev.md", "one file, as a bottle, wherever it is" },
	{ "bot-bottle lint --schema bottle", "for an editor" },
};

static const struct cli_field fields[] = {
	{ "file", "as the messages call it" },  { "line", "0: the file as a whole" },
	{ "rule", "a name of 'lint --rules'" }, { "grade", "error or warning" },
	{ "text", "what is the matter" },       { "way_out", "what to do; null: the text says it" },
};

struct linter {
	bool is_json;
	struct cli_json json;
	size_t errors, warnings;
	char **seen; /* what was told: bottles share their parents */
	const struct lint_data *data;
};

/* "bottles/dev.md:7" -> its line; *ret_length is the file's. */
static unsigned line_of(const char *origin, int *ret_length)
{
	const char *colon = strrchr(origin, ':');

	*ret_length = (int)(colon == NULL ? strlen(origin) : (size_t)(colon - origin));
	return colon == NULL ? 0 : (unsigned)strtoul(colon + 1, NULL, 10);
}

static void put_json(struct linter *l, const struct lint_finding *f)
{
	int length = 0;
	unsigned line = line_of(f->origin, &length);
	BB_AUTO_FREE char *file = strndup(f->origin, (size_t)length);

	cli_json_begin(&l->json, '{');
	cli_json_str(&l->json, "file", file);
	cli_json_num(&l->json, "line", line);
	cli_json_str(&l->json, "rule", f->rule);
	cli_json_str(&l->json, "grade", lint_grade_words[f->grade]);
	cli_json_str(&l->json, "text", f->text);
	cli_json_str(&l->json, "way_out", f->way_out);
	cli_json_end(&l->json, '}');
}

static void found(void *arg, const struct lint_finding *f)
{
	struct linter *l = arg;
	BB_AUTO_FREE char *key = bb_text_printf("%s %s %s", f->origin, f->rule, f->text);

	for (size_t i = 0; key != NULL && l->seen != NULL && l->seen[i] != NULL; i++)
		if (strcmp(l->seen[i], key) == 0)
			return;
	(void)bb_strv_push(&l->seen, bb_take_ptr(&key)); /* without memory it is told twice */
	l->errors += f->grade == LINT_ERROR;
	l->warnings += f->grade == LINT_WARNING;
	if (l->is_json) {
		put_json(l, f);
		return;
	}
	(void)printf("%s: %s: %s [%s]\n", f->origin, lint_grade_words[f->grade], f->text, f->rule);
	if (f->way_out != NULL)
		(void)printf("    %s\n", f->way_out);
}

/* "manifest 'bottles/dev.md':7: sentence" is a finding at bottles/dev.md:7; other errors are one at
 * the file as a whole. */
static void found_error(struct linter *l, const char *file, const struct bb_err *err)
{
	static const char before[] = "manifest '";
	const char *start = strstr(err->msg, before);
	const char *end = start == NULL ? NULL : strstr(start, "':");
	struct lint_finding f = { .rule = lint_rules[0].name, .grade = LINT_ERROR };
	BB_AUTO_FREE char *origin = NULL;

	f.text = err->msg;
	if (end != NULL) {
		const char *name = start + sizeof(before) - 1;
		size_t digits = strspn(end + 2, "0123456789");

		origin = bb_text_printf("%.*s:%.*s", (int)(end - name), name, (int)digits, end + 2);
		if (end[2 + digits] == ':' && end[3 + digits] == ' ')
			f.text = end + 4 + digits;
	} else {
		origin = bb_text_printf("%s:1", file);
	}
	f.origin = origin != NULL ? origin : file;
	found(l, &f);
}

/* The rules look at what was written; what the presets stand for must only exist. */
static void look_at(struct linter *l, struct manifest_bottle *b, const char *file)
{
	struct bb_err err = { 0 };

	lint_bottle(l->data, b, found, l);
	if (cli_expand_presets(b, &err) < 0)
		found_error(l, file, &err);
}

static void lint_name(struct linter *l, const char *root, const char *name)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO_FREE char *file = bb_text_printf("bottles/%s.md", name);
	char *const names[] = { strdup(name), NULL };
	struct bb_err err = { 0 };
	int r = names[0] == NULL ? -ENOMEM : manifest_load_bottle(root, names, &b, &err);

	if (r < 0)
		found_error(l, file != NULL ? file : name, &err);
	else
		look_at(l, b, file != NULL ? file : name);
	free(names[0]);
}

/* An agent that names a bottle which is not there cannot start either. */
static void lint_agent(struct linter *l, const struct manifest_places *places, const char *name,
		       char *const *bottles)
{
	BB_AUTO_FREE char *file = bb_text_printf("agents/%s.md", name);
	struct manifest_agent *a = NULL;
	struct bb_err err = { 0 };
	bool is_there = false;

	if (manifest_load_agent(places, name, &a, &err) < 0) {
		found_error(l, file != NULL ? file : name, &err);
		return;
	}
	for (size_t i = 0; a->bottle != NULL && bottles[i] != NULL; i++)
		is_there |= strcmp(bottles[i], a->bottle) == 0;
	if (a->bottle != NULL && !is_there) {
		(void)bb_err_set(&err, BB_E_USAGE, "manifest '%s':%u: there is no bottle '%s'",
				 a->file, a->bottle_line, BB_ESCAPED(bb_view_str(a->bottle)));
		found_error(l, a->file, &err);
	}
	manifest_agent_free(a);
}

static int lint_all(struct linter *l, struct bb_err *err)
{
	__attribute__((cleanup(cli_places_done))) struct cli_places places = { 0 };
	BB_AUTO_STRV char **bottles = NULL;
	BB_AUTO_STRV char **agents = NULL;
	int r = cli_places_find(&places, err);

	if (r < 0)
		return r;
	bottles = manifest_list(places.home, "bottles", err);
	agents = bottles == NULL ? NULL : manifest_list_agents(&places.in, err);
	if (agents == NULL)
		return err->code;
	for (size_t i = 0; bottles[i] != NULL; i++)
		lint_name(l, places.home, bottles[i]);
	for (size_t i = 0; agents[i] != NULL; i++)
		lint_agent(l, &places.in, agents[i], bottles);
	if (bottles[0] == NULL && agents[0] == NULL && !l->is_json)
		(void)printf("no manifests in %s\n", places.home);
	return 0;
}

/* Is the folder that the file is in called "agents"? */
static bool is_in_agents(const char *path)
{
	BB_AUTO_FREE char *real = realpath(path, NULL);
	char *slash = real == NULL ? NULL : strrchr(real, '/');

	if (slash == NULL)
		return false;
	*slash = '\0';
	slash = strrchr(real, '/');
	return slash != NULL && strcmp(slash, "/agents") == 0;
}

/* One file by itself: what it extends is not looked for. */
static int lint_file(struct linter *l, const char *path, bool is_agent, struct bb_err *err)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;
	BB_AUTO_BUF struct bb_buf text = { .cap = LIMIT_MANIFEST_FILE };
	struct bb_err broken = { 0 };
	int r = bb_path_read(path, 0, &text, err);

	if (r < 0)
		return r;
	if (is_agent || is_in_agents(path))
		r = manifest_parse_agent(bb_buf_peek(&text), "lint", path, &a, &broken);
	else
		r = manifest_parse_bottle(bb_buf_peek(&text), "lint", path, &b, &broken);
	if (r < 0)
		found_error(l, path, &broken);
	else if (b != NULL)
		look_at(l, b, path);
	return 0;
}

static int print_schema(const char *format)
{
	BB_AUTO_BUF struct bb_buf out = { .cap = SCHEMA_MAX };
	struct bb_err err = { 0 };
	bool is_bottle = strcmp(format, "bottle") == 0;

	if (!is_bottle && strcmp(format, "agent") != 0) {
		(void)bb_err_set(&err, BB_E_USAGE,
				 "there is no format '%s'; there are bottle and agent",
				 BB_ESCAPED(bb_view_str(format)));
		return cli_out_fail(&err);
	}
	if (manifest_put_schema(is_bottle ? &manifest_bottle_block : &manifest_agent_block, &out) <
	    0) {
		(void)bb_err_set(&err, -ENOMEM, "out of memory");
		return cli_out_fail(&err);
	}
	(void)fwrite(bb_buf_peek(&out).p, 1, bb_buf_size(&out), stdout);
	return 0;
}

static int print_rules(void)
{
	for (size_t i = 0; i < lint_rule_count; i++)
		(void)printf("%-15s %-8s %s\n", lint_rules[i].name,
			     lint_grade_words[lint_rules[i].grade], lint_rules[i].text);
	return 0;
}

static int run_lint(const struct cli_args *args)
{
	BB_AUTO(lint_data) struct lint_data *data = NULL;
	struct linter l = { .is_json = cli_args_has(args, "json") };
	struct bb_err err = { 0 };
	int r;

	if (cli_args_has(args, "rules"))
		return print_rules();
	if (cli_args_has(args, "schema"))
		return print_schema(cli_args_get(args, "schema"));
	if (lint_data_load(&data, &err) < 0)
		return cli_out_fail(&err);
	l.data = data;
	if (l.is_json)
		cli_json_begin(&l.json, '[');
	r = args->operand_count == 0
		    ? lint_all(&l, &err)
		    : lint_file(&l, args->operands[0], cli_args_has(args, "agent"), &err);
	if (l.is_json)
		cli_json_end(&l.json, ']');
	bb_strv_free(l.seen);
	if (r < 0)
		return cli_out_fail(&err);
	return l.errors > 0 ? EXIT_WRONG : l.warnings > 0 ? EXIT_RISKY : 0;
}

const struct cli_command cli_lint = {
	.name = "lint",
	.operands = "[FILE]",
	.summary = "Say what is wrong or risky in manifests",
	.about = "Without FILE it looks at every bottle and agent below ~/.bot-bottle, with what "
		 "they extend.\nEach finding has its file and line, the rule's name and a way out. "
		 "Nothing is changed and no\nprogram is started.\n\nExit codes: 0 nothing found, 1 "
		 "only risky, 2 something wrong.",
	CLI_OPTIONS(options),
	CLI_EXAMPLES(examples),
	CLI_FIELDS(fields),
	.operands_max = 1,
	.word = CLI_WORD_FILE,
	.only_looks = true,
	.run = run_lint,
};
