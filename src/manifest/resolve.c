/*
 * From names to one effective bottle: reads every file that is needed, checks each by itself and
 * merges the trees. Bounded by LIMIT_MANIFEST_CHAIN and LIMIT_MANIFEST_FILES, so that a handful of
 * files that extend each other twice cannot take for ever.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "manifest/bottle_impl.h"
#include "manifest/merge.h"

struct resolving {
	const char *root;
	char **files;                            /* of all that was read */
	const char *names[LIMIT_MANIFEST_CHAIN]; /* the bottle at hand and what led to it */
	size_t depth;
	struct bb_err *err;
};

/* A bottle with its parents merged into it. */
struct resolved {
	struct manifest_node *tree;
	char *chain; /* "dev <- base" */
};

static void resolved_done(struct resolved *d)
{
	manifest_node_free(d->tree);
	free(d->chain);
}
#define AUTO_RESOLVED __attribute__((cleanup(resolved_done)))

static int no_memory(const struct resolving *s)
{
	return bb_err_set(s->err, -ENOMEM, "out of memory");
}

static int resolve(struct resolving *s, const char *name, const struct manifest_origin *from,
		   struct resolved *ret);

/* from: the `extends` that named it; NULL: the command line or an agent did. */
static int refuse_named(const struct resolving *s, const struct manifest_origin *from, int r)
{
	if (from != NULL)
		(void)bb_err_wrap(s->err, "manifest '%s':%u", from->file, from->line);
	return r;
}

static int check_place(const struct resolving *s, const char *name,
		       const struct manifest_origin *from)
{
	BB_AUTO_BUF struct bb_buf way = { 0 };
	bool is_circle = false;

	bb_buf_init(&way, 1024);
	for (size_t i = 0; i < s->depth; i++) {
		is_circle |= strcmp(s->names[i], name) == 0;
		if (is_circle && bb_buf_printf(&way, "%s <- ", s->names[i]) < 0)
			return no_memory(s);
	}
	if (is_circle) {
		(void)bb_err_set(s->err, BB_E_USAGE, "'extends' goes in a circle: %.*s%s",
				 (int)bb_buf_size(&way), (const char *)bb_buf_peek(&way).p, name);
		return refuse_named(s, from, BB_E_USAGE);
	}
	if (s->depth == LIMIT_MANIFEST_CHAIN) {
		(void)bb_err_set(
			s->err, BB_E_USAGE,
			"more than %d bottles that extend each other, one behind the other",
			LIMIT_MANIFEST_CHAIN);
		return refuse_named(s, from, BB_E_USAGE);
	}
	if (bb_strv_len(s->files) < LIMIT_MANIFEST_FILES)
		return 0;
	(void)bb_err_set(s->err, BB_E_USAGE, "more than %d files for one bottle",
			 LIMIT_MANIFEST_FILES);
	return refuse_named(s, from, BB_E_USAGE);
}

/* One file as a tree and, by itself, as a bottle: ret_alone says what it extends. */
static int read_alone(struct resolving *s, const char *name, const struct manifest_origin *from,
		      struct manifest_node **ret, struct manifest_bottle **ret_alone)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *alone = NULL;
	BB_AUTO_BUF struct bb_buf text = { 0 };
	int r = manifest_read_bottle(s->root, name, &text, s->err);

	if (r < 0)
		return refuse_named(s, from, r);
	if (bb_strv_push(&s->files, bb_text_printf("bottles/%s.md", name)) < 0)
		return no_memory(s);
	r = manifest_read_tree(bb_buf_peek(&text), s->files[bb_strv_len(s->files) - 1], ret, NULL,
			       s->err);
	if (r == 0)
		r = manifest_bottle_new(name, &alone, s->err);
	if (r == 0)
		r = manifest_take_bottle(*ret, alone, s->err);
	if (r < 0)
		return r;
	*ret_alone = bb_take_ptr(&alone);
	return 0;
}

/* Keeps the lists that are searched by comparing within what one file may have. */
static int check_size(const struct resolving *s, const struct manifest_node *tree)
{
	const struct manifest_node *egress = manifest_node_find(tree, "egress");
	const struct manifest_node *routes =
		egress == NULL ? NULL : manifest_node_find(egress, "routes");

	if (routes == NULL || routes->count <= LIMIT_ROUTES)
		return 0;
	return bb_err_set(s->err, BB_E_USAGE, "the bottles together have %zu routes, limit %d",
			  routes->count, LIMIT_ROUTES);
}

/* Adds names one behind the other, side by side. */
static int resolve_all(struct resolving *s, char *const *names, const struct manifest_origin *from,
		       struct resolved *ret)
{
	for (size_t i = 0; names[i] != NULL; i++) {
		AUTO_RESOLVED struct resolved next = { 0 };
		char *chain;
		int r = resolve(s, names[i], from, &next);

		if (r < 0)
			return r;
		if (ret->tree == NULL) {
			*ret = next;
			next = (struct resolved){ 0 };
			continue;
		}
		if (manifest_merge(ret->tree, next.tree, MANIFEST_MERGE_SIDE) < 0)
			return no_memory(s);
		r = check_size(s, ret->tree);
		if (r < 0)
			return r;
		chain = bb_text_printf("%s, %s", ret->chain, next.chain);
		if (chain == NULL)
			return no_memory(s);
		free(ret->chain);
		ret->chain = chain;
	}
	return 0;
}

/* Parents that are no bottle together, because two of them have a route for one host, may still be
 * one under this child: then all that it allows counts as wider. */
static int mark_wider(const struct resolving *s, const struct manifest_node *parents,
		      const struct manifest_bottle *alone, const struct manifest_node *tree)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	struct bb_err ignored = { 0 };

	if (manifest_bottle_new("parents", &b, &ignored) < 0)
		return no_memory(s);
	if (manifest_take_bottle(parents, b, &ignored) < 0) {
		manifest_bottle_free(bb_take_ptr(&b));
		if (manifest_bottle_new("parents", &b, &ignored) < 0)
			return no_memory(s);
	}
	manifest_mark_wider(b, alone, tree);
	return 0;
}

/* What name says by itself over what its parents say together. */
static int add_parents(struct resolving *s, const struct manifest_bottle *alone,
		       struct resolved *child)
{
	AUTO_RESOLVED struct resolved base = { 0 };
	bool has_several = alone->extends[1] != NULL;
	char *chain;
	int r = resolve_all(s, alone->extends, &alone->extends_at, &base);

	if (r < 0)
		return r;
	assert(base.tree != NULL && child->tree != NULL);
	r = mark_wider(s, base.tree, alone, child->tree);
	if (r < 0)
		return r;
	manifest_node_free(manifest_node_take(child->tree, "extends"));
	if (manifest_merge(base.tree, child->tree, MANIFEST_MERGE_CHILD) < 0)
		return no_memory(s);
	chain = bb_text_printf(has_several ? "%s <- (%s)" : "%s <- %s", alone->name, base.chain);
	if (chain == NULL)
		return no_memory(s);
	resolved_done(child);
	child->tree = bb_take_ptr(&base.tree);
	child->chain = chain;
	return 0;
}

static int resolve(struct resolving *s, const char *name, const struct manifest_origin *from,
		   struct resolved *ret)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *alone = NULL;
	AUTO_RESOLVED struct resolved own = { 0 };
	int r = check_place(s, name, from);

	if (r == 0)
		r = read_alone(s, name, from, &own.tree, &alone);
	if (r < 0)
		return r;
	assert(alone != NULL);
	own.chain = strdup(name);
	if (own.chain == NULL)
		return no_memory(s);
	if (alone->extends != NULL) {
		s->names[s->depth++] = name;
		r = add_parents(s, alone, &own);
		s->depth--;
	}
	if (r < 0)
		return r;
	*ret = own;
	own = (struct resolved){ 0 };
	return 0;
}

static char *joined(char *const *names)
{
	char *all = strdup(names[0]);

	for (size_t i = 1; all != NULL && names[i] != NULL; i++) {
		BB_AUTO_FREE char *before = all;

		all = bb_text_printf("%s,%s", before, names[i]);
	}
	return all;
}

static int load(const char *root, char *const *names, const struct manifest_origin *from,
		struct manifest_bottle **ret, struct bb_err *err)
{
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	AUTO_RESOLVED struct resolved all = { 0 };
	struct resolving s = { .root = root, .err = err };
	BB_AUTO_FREE char *name = joined(names);
	int r = name == NULL ? no_memory(&s) : manifest_bottle_new(name, &b, err);

	if (r < 0)
		return r;
	for (size_t i = 0; names[i] != NULL; i++)
		if (bb_strv_push(&b->names, strdup(names[i])) < 0)
			return no_memory(&s);
	r = resolve_all(&s, names, from, &all);
	b->files = s.files;
	if (r == 0)
		r = manifest_take_bottle(all.tree, b, err);
	if (r < 0)
		return r;
	b->chain = bb_take_ptr(&all.chain);
	*ret = bb_take_ptr(&b);
	return 0;
}

int manifest_load_bottle(const char *root, char *const *names, struct manifest_bottle **ret,
			 struct bb_err *err)
{
	for (size_t i = 0; names[i] != NULL; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(names[i], names[k]) == 0)
				return bb_err_set(err, BB_E_USAGE, "bottle '%s' is named twice",
						  BB_ESCAPED(bb_view_str(names[i])));
	return load(root, names, NULL, ret, err);
}

int manifest_load_bottle_of(const char *root, const struct manifest_agent *a,
			    struct manifest_bottle **ret, struct bb_err *err)
{
	char *const names[] = { a->bottle, NULL };
	const struct manifest_origin from = { .file = a->file, .line = a->bottle_line };

	assert(a->bottle != NULL);
	return load(root, names, &from, ret, err);
}
