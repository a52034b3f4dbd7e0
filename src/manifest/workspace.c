/* The block `workspace` of a bottle. What is copied, and how, is the command's to do. */
#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

static int take_path(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_workspace *w = target;
	int result = manifest_take_text(r, value, &w->path);

	w->path_at = manifest_origin_of(value);
	if (result < 0)
		return result;
	if (strchr(w->path, '\n') != NULL || (w->path[0] != '/' && strncmp(w->path, "~/", 2) != 0))
		return manifest_refuse(r, value->line,
				       "'path' is '%s'; write it from the root (/...) or from your "
				       "home (~/...); 'start --cwd' takes the working directory",
				       BB_ESCAPED(bb_view_str(w->path)));
	return 0;
}

/* Relative, and without a way out. */
static bool is_inside(const char *name)
{
	if (name[0] == '/' || name[0] == '\0' || strchr(name, '\n') != NULL)
		return false;
	for (const char *p = name; *p != '\0';) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n + (p[n] == '/' && p[n + 1] != '\0');
		if (p[0] == '/' && p[1] == '\0')
			break; /* "dir/" */
	}
	return true;
}

static int take_include(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	struct manifest_workspace *w = target;
	int result = manifest_take_texts(r, value, LIMIT_MANIFEST_LIST, &w->include);

	w->include_at = manifest_origin_of(value);
	for (size_t i = 0; result == 0 && i < value->count; i++)
		if (!is_inside(w->include[i]))
			result = manifest_refuse(r, value->items[i]->line,
						 "'include': '%s' is not a name inside the "
						 "workspace, such as config/.env.test",
						 BB_ESCAPED(bb_view_str(w->include[i])));
	return result;
}

static int take_with_git(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_workspace *w = target;

	w->git_at = manifest_origin_of(value);
	return manifest_take_bool(r, value, &w->has_git);
}

static const struct manifest_key workspace_keys[] = {
	{ "path", MANIFEST_SCALAR, take_path, "directory that is copied in: /... or ~/...",
	  MANIFEST_PATTERN("^(/|~/)") },
	{ "include", MANIFEST_LIST, take_include,
	  "names taken although they look like credentials or git ignores them", MANIFEST_TEXTS },
	{ "git", MANIFEST_SCALAR, take_with_git, "false: without a clone of its .git",
	  MANIFEST_BOOL },
};
const struct manifest_block manifest_workspace_block = { "workspace", workspace_keys,
							 BB_ARRAY_LEN(workspace_keys) };

int manifest_take_workspace(const struct manifest_reader *r, const struct manifest_node *value,
			    void *bottle)
{
	struct manifest_bottle *b = bottle;

	return manifest_take_block(r, &manifest_workspace_block, value, &b->workspace);
}
