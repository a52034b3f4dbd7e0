/*
 * `bot-bottle init`: five questions, then a bottle and an agent that load. Nothing is overwritten;
 * both files are written or neither. What an option answers is not asked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/init_text.h"
#include "cli/out.h"
#include "cli/places.h"
#include "cli/questions.h"
#include "image/image.h"
#include "manifest/manifest.h"
#include "provider/provider.h"
#include "store/store.h"

#define DEFAULT_AGENT "implementer"
#define DEFAULT_PROMPT                                                                           \
	"You implement what the task describes, in small steps. Run the project's tests before " \
	"you say that you are done, and say what you could not do."

static const struct cli_option options[] = {
	{ "bottle", 0, CLI_VALUE, "NAME", CLI_WORD_BOTTLE,
	  "the bottle: a new one, or one that is there and stays as it is" },
	{ "provider", 0, CLI_VALUE, "NAME", CLI_WORD_PROVIDER,
	  "the program that the agent is: claude, or shell for none" },
	{ "host", 0, CLI_VALUE, "HOST", CLI_WORD_ANY,
	  "a host that the agent may reach; may be given again; '' for none" },
	{ "prompt", 'p', CLI_VALUE, "TEXT", CLI_WORD_ANY, "what the agent is told beforehand" },
	{ "image", 0, CLI_VALUE, "NAME", CLI_WORD_IMAGE, "the guest image; never asked" },
	{ "yes", 'y', CLI_FLAG, NULL, CLI_WORD_ANY,
	  "ask nothing; take what was not given as proposed" },
};

static const struct cli_example examples[] = {
	{ "bot-bottle init", "five questions" },
	{ "bot-bottle init reader --provider claude --host docs.python.org --yes",
	  "no questions: for a script" },
	{ "bot-bottle init reviewer --bottle dev --yes",
	  "another agent for a bottle that is there" },
};

struct init {
	const struct cli_args *args;
	struct cli_questions *questions; /* NULL: nothing is asked */
	struct cli_places places;
	char *agent, *bottle, *provider, *prompt;
	char **hosts;
	const char *image;
	bool is_bottle_there;
};

static void init_done(struct init *in)
{
	cli_questions_close(in->questions);
	cli_places_done(&in->places);
	free(in->agent);
	free(in->bottle);
	free(in->provider);
	free(in->prompt);
	bb_strv_free(in->hosts);
	free(in);
}
BB_DEFINE_AUTO(init, init_done)

static char *path_of(const struct init *in, const char *kind, const char *name)
{
	return bb_text_printf("%s/%s/%s.md", in->places.home, kind, name);
}

/* Is there anything of that name, a broken manifest included? */
static bool is_there(const struct init *in, const char *kind, const char *name)
{
	BB_AUTO_FREE char *path = path_of(in, kind, name);

	return path != NULL && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* An agent of the working directory would have the same name, and neither would start. */
static bool is_here(const struct init *in, const char *agent)
{
	BB_AUTO_FREE char *path =
		in->places.in.cwd == NULL
			? NULL
			: bb_text_printf("%s/agents/%s.md", in->places.in.cwd, agent);

	return path != NULL && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct cli_init_answers answers(const struct init *in)
{
	static const char *const no_hosts[] = { NULL };

	return (struct cli_init_answers){
		.agent = in->agent,
		.bottle = in->bottle != NULL ? in->bottle : in->agent,
		.provider = in->provider != NULL ? in->provider : CLI_INIT_SHELL,
		.hosts = in->hosts != NULL ? (const char *const *)in->hosts : no_hosts,
		.image = in->image,
		.prompt = in->prompt != NULL ? in->prompt : "",
	};
}

/* The checks of the answers: what is wrong comes back as the reason. */

static int check_name(const char *name, struct bb_err *err)
{
	if (store_is_slug(name))
		return 0;
	return bb_err_set(err, BB_E_USAGE,
			  "'%s' is not a name: small letters, digits and dashes, at most %d, "
			  "beginning with a letter",
			  BB_ESCAPED(bb_view_str(name)), STORE_SLUG_MAX);
}

static int check_agent(void *arg, const char *answer, struct bb_err *err)
{
	const struct init *in = arg;
	int r = check_name(answer, err);

	if (r == 0 && is_there(in, "agents", answer))
		return bb_err_set(err, BB_E_USAGE,
				  "agent '%s' is there already (%s/agents/%s.md); choose another "
				  "name, or change it: bot-bottle edit %s",
				  answer, in->places.home, answer, answer);
	if (r == 0 && is_here(in, answer))
		return bb_err_set(err, BB_E_USAGE,
				  "this directory brings an agent '%s' (.bot-bottle/agents/%s.md), "
				  "and a name that is there twice does not start; choose another",
				  answer, answer);
	return r;
}

/* One that is there is used as it is, so it has to be right. */
static int check_bottle(void *arg, const char *answer, struct bb_err *err)
{
	const struct init *in = arg;
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO_FREE char *copy = strdup(answer);
	char *names[2] = { copy, NULL };
	int r = check_name(answer, err);

	if (r < 0 || !is_there(in, "bottles", answer))
		return r;
	r = manifest_load_bottle(in->places.home, names, &b, err);
	return r < 0 ? bb_err_wrap(err, "bottle '%s' is there but cannot be used", answer) : 0;
}

static int check_provider(void *arg, const char *answer, struct bb_err *err)
{
	const char *const *names = provider_names();
	const char *all[16] = { CLI_INIT_SHELL };
	const char *near;
	size_t count = 1;

	(void)arg;
	if (strcmp(answer, CLI_INIT_SHELL) == 0 || provider_find(answer) != NULL)
		return 0;
	if (provider_is_planned(answer))
		return bb_err_set(err, BB_E_USAGE, "provider '%s' is not built yet", answer);
	for (size_t i = 0; names[i] != NULL && count < BB_ARRAY_LEN(all); i++)
		all[count++] = names[i];
	near = bb_table_suggest(all, count, bb_view_str(answer));
	return bb_err_set(err, BB_E_USAGE, "there is no provider '%s'%s%s%s",
			  BB_ESCAPED(bb_view_str(answer)),
			  near != NULL ? "; did you mean '" : "; say claude or shell",
			  near != NULL ? near : "", near != NULL ? "'?" : "");
}

static int check_hosts(void *arg, const char *answer, struct bb_err *err)
{
	struct init trial = *(const struct init *)arg;
	BB_AUTO_STRV char **words = cli_init_words(answer);
	BB_AUTO_FREE char *text = NULL;
	struct cli_init_answers a;

	if (words == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	trial.hosts = words;
	a = answers(&trial);
	text = cli_init_bottle_text(&a, err);
	return text == NULL ? err->code : 0;
}

static int check_prompt(void *arg, const char *answer, struct bb_err *err)
{
	struct init trial = *(const struct init *)arg;
	BB_AUTO_FREE char *copy = strdup(answer);
	BB_AUTO_FREE char *text = NULL;
	struct cli_init_answers a;

	if (copy == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	trial.prompt = copy;
	a = answers(&trial);
	text = cli_init_agent_text(&a, err);
	return text == NULL ? err->code : 0;
}

/* One answer: from the command line, the fallback (NULL: there is none) with --yes, else asked.
 * `name` is how the command line says it. */
static int answer(struct init *in, const char *given, const char *name, const char *question,
		  const char *fallback,
		  int (*check)(void *arg, const char *answer, struct bb_err *err), char **ret,
		  struct bb_err *err)
{
	const char *value = given;

	if (value == NULL && in->questions != NULL)
		return cli_questions_ask(in->questions, question,
					 fallback != NULL && fallback[0] != '\0' ? fallback : NULL,
					 check, in, ret, err);
	if (value == NULL && fallback == NULL)
		return bb_err_set(err, BB_E_USAGE, "%s is missing, and nothing can be proposed",
				  name);
	if (value == NULL && !cli_args_has(in->args, "yes"))
		return bb_err_set(err, BB_E_USAGE,
				  "%s is missing, and there is no terminal to ask on; give it, or "
				  "say --yes to take what is proposed",
				  name);
	if (value == NULL)
		value = fallback;
	if (check(in, value, err) < 0)
		return err->code;
	*ret = strdup(value);
	return *ret == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

/* "a new name, or one that is there: claude, dev" */
static char *bottle_question(const struct init *in)
{
	BB_AUTO_STRV char **names = manifest_list(in->places.home, "bottles", NULL);
	BB_AUTO_BUF struct bb_buf out = { 0 };
	bool has_any = names != NULL && names[0] != NULL;

	bb_buf_init(&out, 4096);
	(void)bb_buf_append_str(
		&out, "\n2. In which bottle does it run? A bottle says what may be reached.\n");
	(void)bb_buf_append_str(&out, has_any ? "   A new name, or one that is there: "
					      : "   A new name.");
	for (size_t i = 0; has_any && names[i] != NULL; i++)
		(void)bb_buf_printf(&out, "%s%s", i > 0 ? ", " : "", names[i]); /* cut at the cap */
	return bb_buf_dup_str(&out);
}

static int ask_provider(struct init *in, struct bb_err *err)
{
	return answer(in, cli_args_get(in->args, "provider"), "--provider NAME",
		      "\n3. Which program is the agent? claude, or shell for none.", "claude",
		      check_provider, &in->provider, err);
}

/* --host may be there many times; each is a word of the answer. */
static char *given_hosts(const struct init *in)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };

	bb_buf_init(&out, 65536);
	if (!cli_args_has(in->args, "host"))
		return NULL;
	for (size_t i = 0; i < in->args->set_count; i++)
		if (strcmp(in->args->set[i].option->name, "host") == 0)
			(void)bb_buf_printf(&out, "%s ", in->args->set[i].value);
	return bb_buf_dup_str(&out);
}

static int ask_hosts(struct init *in, struct bb_err *err)
{
	BB_AUTO_FREE char *given = given_hosts(in);
	BB_AUTO_FREE char *text = NULL;
	int r = answer(in, given, "--host HOST",
		       "\n4. Which hosts may it reach, beside what the program itself needs?\n"
		       "   Names with spaces between, like: docs.python.org *.crates.io\n"
		       "   Empty: none.",
		       "", check_hosts, &text, err);

	if (r < 0)
		return r;
	in->hosts = cli_init_words(text);
	return in->hosts == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

/* Options that describe a new bottle make no sense for one that is there. */
static int refuse_bottle_options(const struct init *in, struct bb_err *err)
{
	static const char *const names[] = { "provider", "host", "image" };

	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++)
		if (cli_args_has(in->args, names[i]))
			return bb_err_set(
				err, BB_E_USAGE,
				"bottle '%s' is there already and is not overwritten: "
				"leave --%s out to use it as it is, or choose another name",
				in->bottle, names[i]);
	return 0;
}

static int ask_all(struct init *in, struct bb_err *err)
{
	const char *agent = in->args->operand_count > 0 ? in->args->operands[0] : NULL;
	BB_AUTO_FREE char *about_bottles = NULL;
	int r = answer(in, agent, "AGENT", "\n1. What shall the agent be called?",
		       is_there(in, "agents", DEFAULT_AGENT) ? NULL : DEFAULT_AGENT, check_agent,
		       &in->agent, err);

	if (r < 0)
		return r;
	about_bottles = bottle_question(in);
	if (about_bottles == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = answer(in, cli_args_get(in->args, "bottle"), "--bottle NAME", about_bottles, in->agent,
		   check_bottle, &in->bottle, err);
	if (r < 0)
		return r;
	in->is_bottle_there = is_there(in, "bottles", in->bottle);
	if (in->is_bottle_there)
		r = refuse_bottle_options(in, err);
	if (r == 0 && !in->is_bottle_there)
		r = ask_provider(in, err);
	if (r == 0 && !in->is_bottle_there)
		r = ask_hosts(in, err);
	if (r == 0)
		r = answer(
			in, cli_args_get(in->args, "prompt"), "--prompt TEXT",
			"\n5. What is it told at each start? One line; its file has room for more.",
			DEFAULT_PROMPT, check_prompt, &in->prompt, err);
	return r;
}

/* Writes one file. *ret_path is set once it is there. */
static int write_new(const struct init *in, const char *kind, const char *name, const char *text,
		     char **ret_path, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/%s", in->places.home, kind);
	BB_AUTO_FREE char *path = path_of(in, kind, name);
	int r;

	if (dir == NULL || path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = bb_path_mkdirs(dir, 0700, err);
	if (r == 0)
		r = bb_path_write_new(path, text, strlen(text), 0600, err);
	if (r == 0)
		*ret_path = bb_take_ptr(&path);
	return r;
}

/* From the disk, as `start` will read them. */
static int check_written(const struct init *in, struct bb_err *err)
{
	BB_AUTO(manifest_agent) struct manifest_agent *agent = NULL;
	BB_AUTO(manifest_bottle) struct manifest_bottle *bottle = NULL;
	char *names[2] = { in->bottle, NULL };
	int r = manifest_load_agent(&in->places.in, in->agent, &agent, err);

	return r < 0 ? r : manifest_load_bottle(in->places.home, names, &bottle, err);
}

static int write_both(const struct init *in, char **ret_bottle, char **ret_agent,
		      struct bb_err *err)
{
	struct cli_init_answers a = answers(in);
	BB_AUTO_FREE char *bottle = in->is_bottle_there ? NULL : cli_init_bottle_text(&a, err);
	BB_AUTO_FREE char *agent = cli_init_agent_text(&a, err);
	int r = 0;

	if (agent == NULL || (bottle == NULL && !in->is_bottle_there))
		return err->code;
	if (bottle != NULL)
		r = write_new(in, "bottles", in->bottle, bottle, ret_bottle, err);
	if (r == 0)
		r = write_new(in, "agents", in->agent, agent, ret_agent, err);
	if (r == 0)
		r = check_written(in, err);
	if (r < 0) { /* neither stays; the first error is the news */
		if (*ret_bottle != NULL)
			(void)unlink(*ret_bottle);
		if (*ret_agent != NULL)
			(void)unlink(*ret_agent);
	}
	return r;
}

static bool has_variable(void *arg, const char *name)
{
	const char *value = getenv(name);

	(void)arg;
	return value != NULL && value[0] != '\0';
}

/* What is still missing before the agent can be started. */
static void tell_next(const struct init *in)
{
	const struct provider *p = in->provider == NULL || strcmp(in->provider, CLI_INIT_SHELL) == 0
					   ? provider_find(NULL)
					   : provider_find(in->provider);
	struct provider_input input = { .has_variable = has_variable,
					.agent = in->agent,
					.system_prompt = in->prompt,
					.cwd = PROVIDER_HOME };
	BB_AUTO(provider_plan) struct provider_plan *plan = NULL;
	BB_AUTO_FREE char *text = NULL;
	BB_AUTO_FREE char *lines = NULL;
	struct image *image = NULL;
	struct bb_err err = { 0 };

	(void)printf("\nNext:\n");
	if (in->is_bottle_there) {
		(void)printf("  bot-bottle info %s\n      what it may reach, and what is missing\n",
			     in->agent);
	} else {
		const char *name = in->image != NULL ? in->image : p->image;

		if (strcmp(name, "host") != 0 && image_find(name, &image, NULL) < 0)
			(void)printf(
				"  bot-bottle image build %s\n      once; the guest's system\n",
				name);
		image_free(image);
		if (provider_prepare(p, &input, &plan, &err) < 0)
			text = bb_text_printf("  %s; the agent never sees it", err.msg);
		lines = text == NULL ? NULL : cli_out_wrapped(text, 6);
		if (lines != NULL)
			(void)puts(lines);
	}
	(void)printf("  bot-bottle start %s --cwd\n      in a copy of the directory you are in\n",
		     in->agent);
}

static int init(struct init *in, struct bb_err *err)
{
	BB_AUTO_FREE char *bottle = NULL;
	BB_AUTO_FREE char *agent = NULL;
	int r;

	r = cli_places_find(&in->places, err);
	if (r < 0)
		return r;
	in->image = cli_args_get(in->args, "image");
	if (in->image != NULL && !store_is_slug(in->image))
		return bb_err_set(err, BB_E_USAGE, "'%s' is not an image's name",
				  BB_ESCAPED(bb_view_str(in->image)));
	if (!cli_args_has(in->args, "yes"))
		(void)cli_questions_open(&in->questions, NULL); /* none: what is missing is named */
	if (in->questions != NULL)
		cli_questions_say(in->questions,
				  "A bottle and an agent, in five answers. Enter takes what stands "
				  "in [ ]; Ctrl-C stops, and nothing is written.");
	r = ask_all(in, err);
	if (r == 0)
		r = write_both(in, &bottle, &agent, err);
	if (r < 0)
		return r;
	(void)printf("\n%s%s%swrote %s\n", bottle != NULL ? "wrote " : "",
		     bottle != NULL ? bottle : "", bottle != NULL ? "\n" : "", agent);
	tell_next(in);
	return 0;
}

static int run_init(const struct cli_args *args)
{
	BB_AUTO(init) struct init *in = calloc(1, sizeof(*in));
	struct bb_err err = { 0 };

	if (in == NULL)
		return CLI_EXIT_OWN;
	in->args = args;
	return init(in, &err) < 0 ? cli_out_fail(&err) : 0;
}

const struct cli_command cli_init = {
	.name = "init",
	.operands = "[AGENT]",
	.summary = "Write a bottle and an agent that work, from five answers",
	.about = "Asks on the terminal; an answer that cannot be is asked again with the reason. "
		 "What "
		 "an option\nsays is not asked. Both files are written or neither, and nothing is "
		 "overwritten: a bottle\nthat is there is used as it is.",
	CLI_OPTIONS(options),
	CLI_EXAMPLES(examples),
	.operands_max = 1,
	.run = run_init,
};
