/* An agent's front matter and body; see manifest.h. */
#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

void manifest_agent_free(struct manifest_agent *a)
{
	if (a == NULL)
		return;
	free(a->name);
	free(a->file);
	free(a->bottle);
	bb_strv_free(a->skills);
	manifest_git_user_done(&a->git_user);
	free(a->prompt);
	free(a);
}

static int take_bottle(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct manifest_agent *a = target;

	int result = manifest_take_text(r, value, &a->bottle);

	a->bottle_line = value->line;
	if (result == 0 && !manifest_is_name(a->bottle))
		return manifest_refuse(r, value->line,
				       "'bottle': '%s' is not the name of a bottle; names are like "
				       "'my-bottle2'",
				       BB_ESCAPED(bb_view_str(a->bottle)));
	return result;
}

/* Paths in the guest are built from the names. */
static int take_skills(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct manifest_agent *a = target;
	int result;

	a->skills_line = value->key_line;
	if (value->count == 0)
		return 0;
	result = manifest_take_texts(r, value, LIMIT_MANIFEST_LIST, &a->skills);
	for (size_t i = 0; result == 0 && i < value->count; i++)
		if (!manifest_is_name(a->skills[i]))
			result = manifest_refuse(r, value->items[i]->line,
						 "'skills': '%s' is not the name of a skill; names "
						 "are like 'commit-style'",
						 BB_ESCAPED(bb_view_str(a->skills[i])));
	return result;
}

static int take_git(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target)
{
	struct manifest_agent *a = target;

	return manifest_take_agent_git(r, value, &a->git_user);
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
	{ "skills", MANIFEST_LIST, take_skills, "names of skills that it gets",
	  MANIFEST_SHAPE(.items = MANIFEST_PATTERN(MANIFEST_NAME_PATTERN)) },
	{ "git-gate", MANIFEST_MAP, take_git, "'user' only: who commits in the guest",
	  MANIFEST_BLOCK(manifest_agent_git_block) },
	{ "name", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "description", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "model", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "color", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "memory", MANIFEST_SCALAR, take_nothing, PASSED },
	{ "env", MANIFEST_MAP, NULL, "belongs into the bottle, not into the agent" },
	{ "egress", MANIFEST_MAP, NULL, "belongs into the bottle, not into the agent" },
	{ "agent_provider", MANIFEST_MAP, NULL, "belongs into the bottle, not into the agent" },
	{ "repos", MANIFEST_MAP, NULL, "is refused on an agent: it carries credentials" },
	{ "image", MANIFEST_SCALAR, NULL, "belongs into the bottle, not into the agent" },
	{ "workspace", MANIFEST_MAP, NULL, "belongs into the bottle, not into the agent" },
	{ "resources", MANIFEST_MAP, NULL, "belongs into the bottle, not into the agent" },
	{ "extends", MANIFEST_SCALAR, NULL, "belongs into the bottle, not into the agent" },
	{ "git", MANIFEST_MAP, NULL, "is an old key; it became 'git-gate'" },
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
	struct manifest_reader reader = { .err = err };
	struct bb_view body = { 0 };
	int r;

	if (a == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	a->name = strdup(name);
	a->file = strdup(file);
	if (a->name == NULL || a->file == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	reader.file = a->file; /* where values were written outlives the tree */
	r = manifest_read_tree(text, a->file, &root, &body, err);
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
