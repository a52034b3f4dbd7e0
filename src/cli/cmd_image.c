/* `bot-bottle image`: build, list and remove guest images. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/text.h"
#include "cli/cmd_image.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "image/build.h"

static const struct cli_option options[] = {
	{ "force", 'f', CLI_FLAG, NULL, CLI_WORD_ANY, "build again although it is there" },
	{ "for", 0, CLI_VALUE, "BACKEND", CLI_WORD_BACKEND,
	  "build: also the form that this backend starts from (smolmachines: an OCI archive)" },
	{ "json", 0, CLI_FLAG, NULL, CLI_WORD_ANY, "list: for programs" },
};
static const struct cli_field fields[] = {
	{ "name", "the name under which it was made" },
	{ "id", "made of its content" },
	{ "parent", "the image it stands on, or null" },
	{ "kernel", "version of its kernel, or null" },
	{ "built_at", "seconds since 1970, UTC" },
	{ "bytes", "on disk" },
	{ "packages", "how many" },
	{ "committed", "whether it is a bottle's changes and not a build" },
	{ "current", "whether its name stands for it" },
	{ "used", "whether a bottle uses it now" },
};
static const struct cli_example examples[] = {
	{ "bot-bottle image build claude", "the base image first, when it is missing" },
	{ "bot-bottle image build claude --for smolmachines", "and the archive for smolvm" },
	{ "bot-bottle image list", "what is there, and what uses it" },
};
static const char *const verbs[] = { "build", "list", "rm", NULL };

/* Which backends start from the archive form. */
static const struct {
	const char *backend;
	bool wants_archive;
} forms[] = {
	{ "microvm", false },
	{ "namespace", false },
	{ "smolmachines", true },
};

static int check_form(const char *backend, bool *ret_archive, struct bb_err *err)
{
	*ret_archive = false;
	if (backend == NULL)
		return 0;
	for (size_t i = 0; i < BB_ARRAY_LEN(forms); i++) {
		if (strcmp(forms[i].backend, backend) != 0)
			continue;
		*ret_archive = forms[i].wants_archive;
		return 0;
	}
	return bb_err_set(err, BB_E_USAGE,
			  "there is no backend '%s'; there are microvm, namespace and smolmachines",
			  BB_ESCAPED(bb_view_str(backend)));
}

int cli_image_pack(const char *name, bool force, struct bb_err *err)
{
	BB_AUTO_FREE char *init = bb_path_sibling("bottle-init", err);
	struct image_bar bar;
	int r;

	if (init == NULL)
		return err->code;
	image_bar_init(&bar, STDERR_FILENO);
	r = image_oci_build(name, init, force, image_bar_report, &bar, err);
	image_bar_end(&bar);
	return r;
}

static int build(const struct cli_args *args)
{
	bool is_forced = cli_args_has(args, "force"), wants_archive;
	struct image_bar bar;
	struct bb_err err = { 0 };
	int r = check_form(cli_args_get(args, "for"), &wants_archive, &err);

	if (r < 0)
		return cli_out_fail(&err);
	image_bar_init(&bar, STDERR_FILENO);
	r = image_build(args->operands[1], is_forced, image_bar_report, &bar, &err);
	image_bar_end(&bar);
	if (r == 0 && wants_archive)
		r = cli_image_pack(args->operands[1], is_forced, &err);
	return r < 0 ? cli_out_fail(&err) : 0;
}

static void print_image(const struct image_info *info)
{
	char built[BB_CLOCK_UTC_MAX];

	bb_clock_format_utc((int64_t)info->built_at, 0, built);
	(void)printf("%-10s %.12s  %6" PRIu64 " MiB  %.19sZ%s%s%s%s\n", info->name, info->id,
		     info->bytes >> 20, built, info->parent != NULL ? "  on " : "",
		     info->parent != NULL ? info->parent : "", info->is_current ? "" : "  old",
		     info->is_used ? "  in use" : "");
}

static void print_json(const struct image_info *info)
{
	(void)fputs("{\"name\":", stdout);
	cli_out_json_string(info->name);
	(void)fputs(",\"id\":", stdout);
	cli_out_json_string(info->id);
	(void)fputs(",\"parent\":", stdout);
	if (info->parent != NULL)
		cli_out_json_string(info->parent);
	else
		(void)fputs("null", stdout);
	(void)fputs(",\"kernel\":", stdout);
	if (info->kernel_version != NULL)
		cli_out_json_string(info->kernel_version);
	else
		(void)fputs("null", stdout);
	(void)printf(",\"built_at\":%" PRIu64 ",\"bytes\":%" PRIu64
		     ",\"packages\":%zu,\"committed\":%s,\"current\":%s,\"used\":%s}",
		     info->built_at, info->bytes, info->package_count,
		     info->is_committed ? "true" : "false", info->is_current ? "true" : "false",
		     info->is_used ? "true" : "false");
}

static int list(const struct cli_args *args)
{
	bool is_json = cli_args_has(args, "json");
	struct image_info *images = NULL;
	struct bb_err err = { 0 };
	size_t count = 0;

	if (image_list(&images, &count, &err) < 0)
		return cli_out_fail(&err);
	if (is_json)
		(void)putchar('[');
	for (size_t i = 0; i < count; i++) {
		if (is_json && i > 0)
			(void)putchar(',');
		if (is_json)
			print_json(&images[i]);
		else
			print_image(&images[i]);
	}
	if (is_json)
		(void)puts("]");
	else if (count == 0)
		(void)puts("no images; run: bot-bottle image build claude");
	image_info_free(images, count);
	return 0;
}

static int run_image(const struct cli_args *args)
{
	struct bb_err err = { 0 };
	const char *verb = args->operands[0];

	if (strcmp(verb, "list") == 0)
		return list(args);
	if (args->operand_count < 2) {
		(void)bb_err_set(&err, BB_E_USAGE, "which image? bot-bottle image %s NAME", verb);
		return cli_out_fail(&err);
	}
	if (strcmp(verb, "build") == 0)
		return build(args);
	return image_remove(args->operands[1], &err) < 0 ? cli_out_fail(&err) : 0;
}

const struct cli_command cli_image = {
	.name = "image",
	.operands = "build|list|rm [NAME]",
	.summary = "Build, list and remove guest images",
	.about = "Packages come from where this host's own apt and npm take them from. A build "
		 "that does "
		 "not finish\nnever becomes an image.",
	CLI_OPTIONS(options),
	CLI_FIELDS(fields),
	CLI_EXAMPLES(examples),
	.operands_min = 1,
	.operands_max = 2,
	.word = CLI_WORD_IMAGE,
	.verbs = verbs,
	.run = run_image,
};
