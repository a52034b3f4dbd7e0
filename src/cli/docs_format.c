/*
 * The two formats: their man pages and their JSON Schemas, from the parser's key tables. A key that
 * the parser knows is on the page, with what its value may be; one that it refuses is there with
 * the sentence.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/docs.h"
#include "cli/docs_roff.h"
#include "manifest/schema.h"

#define SCHEMA_MAX (256 * 1024)

struct format {
	const char *name, *summary, *file;
	const struct manifest_block *block;
	const char *about;
	const char *example;
	const char *see_also;
};

#define ABOUT_FILES                                                                               \
	"Markdown with YAML front matter between two lines '---'. The name of the file, without " \
	"'.md', begins with a small letter and has small letters, digits and '-'. A file that "   \
	"is a symbolic link, belongs to another user or can be written by everybody is refused, " \
	"as is an unknown key, a key given twice, and whatever cannot be honoured: nothing is "   \
	"silently ignored.\n\n"                                                                   \
	"The YAML is a strict subset: no anchors, aliases, tags, merge keys, directives or "      \
	"second documents, no control characters, no characters that make text look other than "  \
	"it is. Values stay the text that was written.\n\n"                                       \
	"'bot-bottle lint' says what is wrong or risky in a file; 'bot-bottle info AGENT' shows " \
	"what all files together come to, each line with where it was written."

static const struct format formats[] = {
	{ "bottle", "what an agent may reach and use", "~/.bot-bottle/bottles/NAME.md",
	  &manifest_bottle_block,
	  ABOUT_FILES
	  "\n\nBottles come from the home directory only, never from a working directory: "
	  "what a repository brings along cannot widen what its agent may reach. The text "
	  "below the front matter is for people.",
	  "---\n"
	  "env:\n"
	  "  NODE_ENV: development\n"
	  "agent_provider:\n"
	  "  template: claude\n"
	  "egress:\n"
	  "  routes:\n"
	  "    - host: docs.python.org\n"
	  "    - host: api.github.com\n"
	  "      auth: {scheme: Bearer, token_ref: GH_PAT}\n"
	  "resources:\n"
	  "  memory: 4G\n"
	  "  time: 8h\n"
	  "---\n"
	  "For the documentation team.\n",
	  "bot-bottle-agent (5)" },
	{ "agent", "what an agent is told, and the bottle that it runs in",
	  "~/.bot-bottle/agents/NAME.md", &manifest_agent_block,
	  ABOUT_FILES "\n\nThe text below the front matter is the agent's system prompt.",
	  "---\n"
	  "bottle: dev\n"
	  "---\n"
	  "You help maintain this project. Run the tests before you say that you are done.\n",
	  "bot-bottle-bottle (5)" },
};

static const struct format *find_format(const char *name)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

/* What a plain value may be, behind the row's own text. */
static void put_values(const struct manifest_shape *shape, struct bb_buf *out)
{
	if (shape == NULL)
		return;
	if (shape->max > 0)
		(void)bb_buf_printf(out, " (%llu to %llu)", (unsigned long long)shape->min,
				    (unsigned long long)shape->max);
	for (size_t i = 0; shape->words != NULL && shape->words[i] != NULL; i++)
		(void)bb_buf_printf(out, "%s%s%s", i > 0 ? " | " : " (", shape->words[i],
				    shape->words[i + 1] == NULL ? ")" : "");
}

static void put_block(const struct manifest_block *block, const char *before, bool is_refused);

static void put_key(const struct manifest_key *key, const char *before, bool is_refused)
{
	const struct manifest_shape *inner = key->shape;
	bool is_list = key->kind == MANIFEST_LIST;
	BB_AUTO_FREE char *path = bb_text_printf("%s%s", before, key->name);
	BB_AUTO_FREE char *below = NULL;
	BB_AUTO_BUF struct bb_buf text = { .cap = 4096 };

	if (is_list && inner != NULL)
		inner = inner->items;
	if (path != NULL && is_refused == (key->take == NULL)) {
		(void)bb_buf_append_str(&text, key->text);
		put_values(inner, &text);
		(void)bb_buf_append_byte(&text, '\0');
		roff_entry(path, (const char *)bb_buf_peek(&text).p);
	}
	if (path == NULL || inner == NULL || inner->block == NULL)
		return;
	below = bb_text_printf("%s%s.", path, is_list ? "[]" : "");
	if (below != NULL)
		put_block(inner->block, below, is_refused);
}

static void put_block(const struct manifest_block *block, const char *before, bool is_refused)
{
	for (size_t i = 0; i < block->count; i++)
		put_key(&block->keys[i], before, is_refused);
}

bool docs_format(const char *name)
{
	const struct format *f = find_format(name);
	const char *see_also[] = { "bot-bottle (1)", f != NULL ? f->see_also : NULL, NULL };
	BB_AUTO_FREE char *title = bb_text_printf("bot-bottle-%s", name);

	if (f == NULL || title == NULL)
		return false;
	roff_header(title, "5");
	roff_name(title, f->summary);
	roff_section("SYNOPSIS");
	roff_text(f->file);
	roff_section("DESCRIPTION");
	roff_text(f->about);
	roff_section("KEYS");
	put_block(f->block, "", false);
	roff_section("REFUSED KEYS");
	roff_text("Each of these ends with an error that names its line:");
	put_block(f->block, "", true);
	roff_section("EXAMPLES");
	roff_text(f->file);
	roff_example(f->example);
	roff_see_also(see_also);
	return true;
}

bool docs_schema(const char *name)
{
	const struct format *f = find_format(name);
	BB_AUTO_BUF struct bb_buf out = { .cap = SCHEMA_MAX };

	if (f == NULL || manifest_put_schema(f->block, &out) < 0)
		return false;
	(void)fwrite(bb_buf_peek(&out).p, 1, bb_buf_size(&out), stdout);
	return true;
}
