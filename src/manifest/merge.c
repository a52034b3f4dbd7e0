/*
 * The merge rules; see merge.h. A key without a row is replaced as a whole. The trees come from
 * files that were checked, so the two values of one key have the same kind; recursion follows the
 * rows and is as deep as the longest of them.
 */
#include "manifest/merge.h"

#include <errno.h>
#include <string.h>

#include "base/view.h"

#define PATH_MAX_KEYS 3

enum rule {
	REPLACE, /* the later one wins as a whole */
	OVERLAY, /* a block: key by key, each by its own rule */
	APPEND,  /* a list: the later entries behind the earlier ones */
};

/* "*" stands for any key. The two columns are the two tables of the format. */
static const struct {
	const char *path[PATH_MAX_KEYS + 1];
	enum rule how[MANIFEST_NUM_MERGES]; /* child over parent, side by side */
} rules[] = {
	{ { "env" }, { OVERLAY, OVERLAY } },
	{ { "git-gate" }, { OVERLAY, OVERLAY } },
	{ { "git-gate", "user" }, { OVERLAY, OVERLAY } },
	{ { "git-gate", "repos" }, { REPLACE, OVERLAY } },
	{ { "git-gate", "repos", "*" }, { REPLACE, OVERLAY } },
	{ { "egress" }, { REPLACE, OVERLAY } },
	{ { "egress", "routes" }, { REPLACE, APPEND } },
	{ { "resources" }, { OVERLAY, OVERLAY } },
	{ { "workspace" }, { OVERLAY, OVERLAY } },
	{ { "workspace", "include" }, { APPEND, APPEND } },
};

struct place {
	const char *keys[PATH_MAX_KEYS + 1];
	size_t depth;
};

static bool is_at(const char *const *path, const struct place *at)
{
	for (size_t i = 0; i < at->depth; i++)
		if (path[i] == NULL ||
		    (strcmp(path[i], "*") != 0 && strcmp(path[i], at->keys[i]) != 0))
			return false;
	return path[at->depth] == NULL;
}

static enum rule rule_at(const struct place *at, enum manifest_merge how)
{
	if (at->depth == 0)
		return OVERLAY;
	for (size_t i = 0; at->depth <= PATH_MAX_KEYS && i < BB_ARRAY_LEN(rules); i++)
		if (is_at(rules[i].path, at))
			return rules[i].how[how];
	return REPLACE;
}

/* A bottle that is reached twice brings its routes once; a name is in a list once. */
static bool is_same(const struct manifest_node *a, const struct manifest_node *b)
{
	if (a->kind == MANIFEST_SCALAR && b->kind == MANIFEST_SCALAR)
		return strcmp(a->text, b->text) == 0;
	return a->line == b->line && strcmp(a->file, b->file) == 0;
}

static int append(struct manifest_node *base, struct manifest_node *over)
{
	size_t before = base->count;

	for (size_t i = 0; i < over->count; i++) {
		bool is_known = false;

		for (size_t k = 0; k < before && !is_known; k++)
			is_known = is_same(base->items[k], over->items[i]);
		if (is_known)
			continue;
		if (manifest_node_add(base, over->items[i]) < 0)
			return -ENOMEM;
		memmove(&over->items[i], &over->items[i + 1],
			(--over->count - i) * sizeof(struct manifest_node *));
		i--;
	}
	return 0;
}

static int merge_at(struct place *at, struct manifest_node *base, struct manifest_node *over,
		    enum manifest_merge how);

static void replace(struct manifest_node *map, struct manifest_node *old, struct manifest_node *new)
{
	for (size_t i = 0; i < map->count; i++)
		if (map->items[i] == old)
			map->items[i] = new;
	manifest_node_free(old);
}

/* One value of over into base. */
static int merge_key(struct place *at, struct manifest_node *base, struct manifest_node *value,
		     enum manifest_merge how)
{
	struct manifest_node *old = manifest_node_find(base, value->key);
	enum rule rule;
	int r = 0;

	if (old == NULL) {
		r = manifest_node_add(base, value);
		if (r < 0)
			manifest_node_free(value);
		return r;
	}
	at->keys[at->depth++] = value->key;
	rule = rule_at(at, how);
	if (rule == REPLACE || old->kind != value->kind) {
		replace(base, old, value);
	} else {
		r = rule == APPEND ? append(old, value) : merge_at(at, old, value, how);
		manifest_node_free(value);
	}
	at->depth--;
	return r;
}

static int merge_at(struct place *at, struct manifest_node *base, struct manifest_node *over,
		    enum manifest_merge how)
{
	int r = 0;

	while (r == 0 && over->count > 0)
		r = merge_key(at, base, manifest_node_take(over, over->items[0]->key), how);
	return r;
}

int manifest_merge(struct manifest_node *base, struct manifest_node *over, enum manifest_merge how)
{
	struct place at = { .depth = 0 };

	return merge_at(&at, base, over, how);
}
