/* An agent's front matter and body; see manifest.h. */
#include <stdlib.h>
#include <string.h>

#include "manifest/keys.h"
#include "manifest/manifest.h"

void manifest_agent_free(struct manifest_agent *a)
{
	if (a == NULL)
		return;
	free(a->name);
	free(a->file);
	free(a->bottle);
	free(a->prompt);
	free(a);
}

static int take_bottle(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct manifest_agent *a = target;

	a->bottle_line = value->line;
	return manifest_take_text(r, value, &a->bottle);
}

/* Keys of Claude Code's sub-agent files: one file serves both programs. They mean nothing here. */
static int take_nothing(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	(void)r;
	(void)value;
	(void)target;
	return 0;
}

#define PASSED "of Claude Code's sub-agents; not used here"
static const struct manifest_key agent_keys[] = {
	{ "bottle", MANIFEST_SCALAR, take_bottle, "the bottle it runs in",
	  MANIFEST_PATTERN(MANIFEST_NAME_PATTERN) },
	{ "name", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "description", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "model", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "color", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "memory", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "skills", MANIFEST_LIST, NULL,
	  "is not built yet; write what the agent needs into its prompt" },
	{ "git-gate", MANIFEST_MAP, NULL, "is not built yet; this agent has no git remote" },
	{ "env", MANIFEST_MAP, NULL, "belongs into the bottle, not into the agent" },
	{ "egress", MANIFEST_MAP, NULL, "belongs into the bottle, not into the agent" },
	{ "agent_provider", MANIFEST_MAP, NULL, "belongs into the bottle, not into the agent" },
	{ "repos", MANIFEST_MAP, NULL, "is refused on an agent: it carries credentials" },
};
const struct manifest_block manifest_agent_block = { "an agent", agent_keys,
						     BB_ARRAY_LEN(agent_keys) };

static char *trimmed(struct bb_view v)
{
	static const char space[] = " \t\r\n";

	while (v.n > 0 && strchr(space, v.p[0]) != NULL)
		v = bb_view_from(v, 1);
	while (v.n > 0 && strchr(space, v.p[v.n - 1]) != NULL)
		v.n--;
	return strndup(v.n == 0 ? "" : (const char *)v.p, v.n);
}

int manifest_parse_agent(struct bb_view text, const char *name, const char *file,
			 struct manifest_agent **ret, struct bb_err *err)
{
	BB_AUTO(manifest_agent) struct manifest_agent *a = calloc(1, sizeof(*a));
	BB_AUTO(manifest_node) struct manifest_node *root = NULL;
	const struct manifest_reader reader = { .file = file, .err = err };
	struct bb_view body = { 0 };
	int r;

	if (a == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	a->name = strdup(name);
	a->file = strdup(file);
	if (a->name == NULL || a->file == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = manifest_read_tree(text, file, &root, &body, err);
	if (r == 0)
		r = manifest_take_block(&reader, &manifest_agent_block, root, a);
	if (r < 0)
		return r;
	a->prompt = trimmed(body);
	if (a->prompt == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	*ret = bb_take_ptr(&a);
	return 0;
}
