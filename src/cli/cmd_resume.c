/*
 * `bot-bottle resume`: an ended bottle lives again, under its old name. It is a start whose words
 * come from the metadata; the manifests are read as they are now, and shown.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/choose_id.h"
#include "cli/cmd_start.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/out.h"
#include "image/image.h"
#include "store/store.h"

static const struct cli_option options[] = {
	{ "headless", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "no terminal, no questions" },
	{ "detach", 'd', CLI_FLAG, NULL, CLI_WORD_ANY,
	  "leave as soon as the agent runs; 'attach' joins it" },
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY,
	  "with --detach: what was started, for programs" },
	{ "prompt", 'p', CLI_VALUE, "TEXT", CLI_WORD_ANY, "the agent's next task" },
	{ "prompt-file", 0, CLI_VALUE, "FILE", CLI_WORD_FILE,
	  "the task from a file, or - for stdin" },
	{ "yes", 'y', CLI_FLAG, NULL, CLI_WORD_ANY, "start without asking" },
	{ "dry-run", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "print the effective policy, touch nothing" },
};
static const struct cli_field fields[] = {
	{ "id", "the bottle" },
	{ "backend", "the backend" },
	{ "accelerator", "kvm, tcg with its reason, or shared kernel" },
};
static const struct cli_example examples[] = {
	{ "bot-bottle resume implementer-3k9x2", "the agent goes on with its conversation" },
	{ "bot-bottle resume implementer-3k9x2 --headless --prompt 'now the docs'", "unattended" },
};

/* The identity itself, or the label of the bottle that had it last. */
static char *find(const char *name, struct bb_err *err)
{
	BB_AUTO_STRV char **all = store_list(err);
	BB_AUTO_FREE char *found = NULL;
	uint64_t newest = 0;

	if (all == NULL)
		return NULL;
	for (size_t i = 0; all[i] != NULL; i++) {
		BB_AUTO(store_meta) struct store_meta *m = NULL;

		if (strcmp(all[i], name) == 0)
			return strdup(name);
		if (store_meta_read(all[i], &m, NULL) < 0 || m->label == NULL ||
		    strcmp(m->label, name) != 0 || m->started_at < newest)
			continue;
		newest = m->started_at;
		free(found);
		found = strdup(all[i]);
	}
	return found != NULL ? bb_take_ptr(&found) : cli_control_resolve(name, err);
}

static int set_word(struct cli_args *args, const char *name, const char *value, struct bb_err *err)
{
	const struct cli_command *start = args->command;
	size_t i = 0;

	if (value == NULL || value[0] == '\0')
		return 0;
	while (i < start->option_count && strcmp(start->options[i].name, name) != 0)
		i++;
	if (i == start->option_count)
		return 0; /* of no use here any more */
	if (args->set_count == CLI_SET_MAX)
		return bb_err_set(err, BB_E_LIMIT, "too many options");
	args->set[args->set_count].option = &start->options[i];
	args->set[args->set_count++].value = value;
	return 0;
}

/* Several bottles are kept as "first,second"; the names lie in *ret_names. */
static int set_bottles(struct cli_args *args, const char *bottles, char **ret_names,
		       struct bb_err *err)
{
	char *rest = NULL;
	int r = 0;

	if (bottles == NULL)
		return 0;
	*ret_names = strdup(bottles);
	if (*ret_names == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (char *name = strtok_r(*ret_names, ",", &rest); r == 0 && name != NULL;
	     name = strtok_r(NULL, ",", &rest))
		r = set_word(args, "bottle", name, err);
	return r;
}

/* The image that was made of it last, when it is still there. */
static const char *choose_image(const struct store_meta *m)
{
	struct image *image = NULL;
	struct bb_err why = { 0 };

	if (m->committed_image == NULL)
		return m->image;
	if (image_find(m->committed_image, &image, &why) < 0) {
		cli_out_note("the image that was committed of '%s' is gone; '%s' is used instead",
			     m->identity, m->image);
		return m->image;
	}
	image_free(image);
	return m->committed_image;
}

static void tell(const struct store_meta *m, const char *image)
{
	cli_out_note("resuming '%s': %s%s, image '%s'", m->identity,
		     m->workspace_kept ? "its changed workspace"
		     : m->cwd != NULL  ? "its directory, copied in anew"
				       : "no workspace",
		     m->agent_kept ? ", the agent's conversation" : "", image);
}

static int resume(const struct cli_args *args, const struct store_meta *m)
{
	BB_AUTO(cli_config) struct cli_config *c = NULL;
	BB_AUTO_FREE char *bottles = NULL;
	char *operands[] = { m->agent, NULL };
	struct cli_args words = *args;
	struct bb_err err = { 0 };
	const char *image = choose_image(m);
	int r;

	words.command = &cli_start;
	words.operands = operands;
	words.operand_count = 1;
	r = set_word(&words, "backend", m->backend, &err);
	if (r == 0)
		r = set_word(&words, "image", image, &err);
	if (r == 0)
		r = set_word(&words, "label", m->label, &err);
	if (r == 0)
		r = set_word(&words, "color", m->color, &err);
	if (r == 0)
		r = set_bottles(&words, m->bottle, &bottles, &err);
	if (r == 0 && !m->workspace_kept)
		r = set_word(&words, "cwd", m->cwd, &err);
	if (r == 0)
		r = cli_config_resume(&words, m, &c, &err);
	if (r < 0)
		return cli_out_fail(&err);
	tell(m, image);
	return cli_start_run(c, &words);
}

static int run_resume(const struct cli_args *args)
{
	BB_AUTO(store_meta) struct store_meta *m = NULL;
	struct bb_err err = { 0 };
	BB_AUTO_FREE char *identity =
		args->operand_count > 0 ? find(args->operands[0], &err)
					: cli_choose_bottle(args, CLI_BOTTLES_ENDED,
							    "Which bottle shall go on?", &err);

	if (identity == NULL || store_meta_read(identity, &m, &err) < 0)
		return cli_out_fail(&err);
	if (store_is_alive(identity)) {
		(void)bb_err_set(&err, BB_E_USAGE,
				 "'%s' is running; join it with: bot-bottle attach %s", identity,
				 identity);
		return cli_out_fail(&err);
	}
	return resume(args, m);
}

const struct cli_command cli_resume = {
	.name = "resume",
	.operands = "[ID] [-- COMMAND...]",
	.summary = "Let an ended bottle live again, where its agent left off",
	.about = "Backend, bottles, label and image are those of before: the image that was "
		 "committed "
		 "of it last,\nwhen there is one. Its changed workspace comes back as it was kept, "
		 "or "
		 "its directory is copied in\nanew, and the agent goes on with its own "
		 "conversation. "
		 "The manifests are read as they are now;\nthe effective policy is shown and asked "
		 "about as at a start. Without ID it is chosen on the terminal.",
	CLI_OPTIONS(options),
	CLI_FIELDS(fields),
	CLI_EXAMPLES(examples),
	.operands_max = 1,
	.word = CLI_WORD_ID,
	.takes_rest = true,
	.run = run_resume,
};
