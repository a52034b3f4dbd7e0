/*
 * `bot-bottle complete KIND...`: the words that the shells' completions offer, one a line. Not in
 * the help: it is what the generated completions call, so that the three of them know the same
 * names. Errors print nothing: a half-typed line is no place for a message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cli/color.h"
#include "cli/commands.h"
#include "cli/places.h"
#include "cli/init_text.h"
#include "image/build.h"
#include "provider/provider.h"
#include "store/store.h"

const char *const cli_word_kinds[CLI_NUM_WORDS] = {
	[CLI_WORD_AGENT] = "agents",     [CLI_WORD_BOTTLE] = "bottles",
	[CLI_WORD_ID] = "ids",           [CLI_WORD_AGENT_OR_ID] = "agents ids",
	[CLI_WORD_BACKEND] = "backends", [CLI_WORD_IMAGE] = "images",
	[CLI_WORD_COLOR] = "colors",     [CLI_WORD_PROVIDER] = "providers",
};

/* Names are checked when they are made; what else lies in a folder is not offered: a shell would
 * have to quote it. */
static bool is_plain(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.";

	return s[0] != '-' && strspn(s, plain) == strlen(s);
}

static void put_all(const char *const *words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		if (is_plain(words[i]))
			(void)puts(words[i]);
}

static void put_agents(void)
{
	__attribute__((cleanup(cli_places_done))) struct cli_places places = { 0 };
	BB_AUTO_STRV char **names = NULL;
	struct bb_err ignored = { 0 };

	if (cli_places_find(&places, &ignored) == 0)
		names = manifest_list_agents(&places.in, &ignored);
	put_all((const char *const *)names);
}

static void put_bottles(void)
{
	BB_AUTO_FREE char *root = store_root(NULL);
	BB_AUTO_STRV char **names = root == NULL ? NULL : manifest_list(root, "bottles", NULL);

	put_all((const char *const *)names);
}

static void put_ids(void)
{
	BB_AUTO_STRV char **names = store_list(NULL);

	put_all((const char *const *)names);
}

static void put_backends(void)
{
	put_all(backend_names());
}

static void put_images(void)
{
	put_all(image_buildable());
	(void)puts("host");
}

static void put_colors(void)
{
	for (size_t i = 0; i < CLI_NUM_COLORS; i++)
		(void)puts(cli_color_names[i]);
}

static void put_providers(void)
{
	put_all(provider_names());
	(void)puts(CLI_INIT_SHELL);
}

static const struct {
	const char *kind;
	void (*put)(void);
} kinds[] = {
	{ "agents", put_agents },       { "bottles", put_bottles }, { "ids", put_ids },
	{ "backends", put_backends },   { "images", put_images },   { "colors", put_colors },
	{ "providers", put_providers },
};

static int run_complete(const struct cli_args *args)
{
	for (size_t i = 0; i < args->operand_count; i++)
		for (size_t k = 0; k < BB_ARRAY_LEN(kinds); k++)
			if (strcmp(args->operands[i], kinds[k].kind) == 0)
				kinds[k].put();
	return 0;
}

const struct cli_command cli_complete = {
	.name = "complete",
	.operands = "KIND...",
	.summary = "Print the names that a shell completes: agents, bottles, ids and others",
	.operands_min = 1,
	.operands_max = 8,
	.is_hidden = true,
	.only_looks = true,
	.run = run_complete,
};
