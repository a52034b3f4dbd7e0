/*
 * What a bottle allows beyond its parents. Marks go onto the nodes of the child's own file, which
 * become part of the merged tree, so that the printed policy shows them at the line that did it. A
 * child that replaces a value by a narrower one is not marked, nor one that states what its parents
 * left to the defaults of `resources`.
 */
#include <string.h>

#include "base/buf.h"
#include "base/limit.h"
#include "manifest/bottle_impl.h"

static struct manifest_node *find(const struct manifest_node *map, const char *key)
{
	return map == NULL ? NULL : manifest_node_find(map, key);
}

static void mark(struct manifest_node *n, bool is_wider)
{
	if (n != NULL && is_wider)
		n->is_wider = true;
}

static bool is_same_text(const char *a, const char *b)
{
	return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

static bool has_text(char *const *list, const char *s)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

/* A variable of the operator's that the parents do not show to the agent. */
static bool is_new_secret(const struct manifest_bottle *parent, const struct manifest_env *e)
{
	if (e->host_var == NULL)
		return false;
	for (size_t i = 0; i < parent->env_count; i++)
		if (is_same_text(parent->env[i].host_var, e->host_var))
			return false;
	return true;
}

/* routes */

static bool has_port(const uint16_t *ports, size_t count, uint16_t port)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i] == port)
			return true;
	return false;
}

static bool has_ports(const uint16_t *of, size_t of_count, const uint16_t *ports, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!has_port(of, of_count, ports[i]))
			return false;
	return true;
}

static bool covers_host(const struct policy_route *wide, const struct policy_route *r)
{
	size_t n = strlen(r->host), m = strlen(wide->host);

	if (wide->is_wildcard == r->is_wildcard && strcmp(wide->host, r->host) == 0)
		return true;
	return wide->is_wildcard && n > m && r->host[n - m - 1] == '.' &&
	       strcmp(r->host + n - m, wide->host) == 0;
}

static bool has_same_auth(const struct policy_route *a, const struct policy_route *b)
{
	return a->auth == b->auth && is_same_text(a->token_ref, b->token_ref) &&
	       is_same_text(a->auth_header, b->auth_header) &&
	       is_same_text(a->auth_query, b->auth_query) &&
	       is_same_text(a->auth_user, b->auth_user);
}

/* As many bits, and no milder answer to a match. What is not stated is the default: all but the
 * last outbound detector, and an answer that asks. */
static bool is_strict_as(const struct manifest_dlp *d, const struct manifest_dlp *than)
{
	uint32_t out = d->has_outbound ? d->outbound : 3;
	uint32_t than_out = than->has_outbound ? than->outbound : 3;
	uint32_t in = d->has_inbound ? d->inbound : 1,
		 than_in = than->has_inbound ? than->inbound : 1;

	return (than_out & ~out) == 0 && (than_in & ~in) == 0 &&
	       (d->on_match == than->on_match || d->on_match == MANIFEST_MATCH_BLOCK);
}

/* Both alternatives as text: the same words are the same rule. */
static bool is_same_match(const struct policy_match *a, const struct policy_match *b)
{
	struct bb_buf text[2] = { 0 };
	const struct policy_match *const both[2] = { a, b };
	bool is_good = true;

	for (size_t i = 0; i < 2; i++) {
		struct policy_match copy = *both[i];
		const struct policy_route one = { .matches = &copy, .match_count = 1 };

		bb_buf_init(&text[i], LIMIT_MANIFEST_FILE);
		is_good &= policy_put_matches(&one, 0, &text[i]) == 0;
	}
	is_good = is_good && bb_view_eq(bb_buf_peek(&text[0]), bb_buf_peek(&text[1]));
	bb_buf_done(&text[0]);
	bb_buf_done(&text[1]);
	return is_good;
}

/* Every alternative of r is one of wide's. */
static bool covers_matches(const struct policy_route *wide, const struct policy_route *r)
{
	if (wide->match_count == 0)
		return true;
	for (size_t i = 0; i < r->match_count; i++) {
		size_t k = 0;

		while (k < wide->match_count && !is_same_match(&wide->matches[k], &r->matches[i]))
			k++;
		if (k == wide->match_count)
			return false;
	}
	return r->match_count > 0;
}

/* 0: no limit. */
static bool is_most(uint64_t limit, uint64_t of)
{
	return of == 0 || (limit != 0 && limit <= of);
}

static bool covers_limits(const struct policy_route *wide, const struct policy_route *r)
{
	return (r->private == POLICY_PRIVATE_NONE || r->private == wide->private) &&
	       (!r->may_git_fetch || wide->may_git_fetch) &&
	       is_most(r->rate.requests, wide->rate.requests) &&
	       is_most(r->rate.bytes_out, wide->rate.bytes_out);
}

static bool covers(const struct manifest_bottle *parent, size_t k, const struct policy_route *r,
		   const struct manifest_dlp *dlp)
{
	const struct policy_route *wide = &parent->policy->routes[k];

	return covers_host(wide, r) &&
	       has_ports(wide->tls_ports, wide->tls_port_count, r->tls_ports, r->tls_port_count) &&
	       has_ports(wide->plain_ports, wide->plain_port_count, r->plain_ports,
			 r->plain_port_count) &&
	       (r->auth == POLICY_AUTH_NONE || has_same_auth(wide, r)) && covers_matches(wide, r) &&
	       covers_limits(wide, r) && is_strict_as(dlp, &parent->routes[k].dlp);
}

static bool is_new_route(const struct manifest_bottle *parent, const struct policy_route *r,
			 const struct manifest_dlp *dlp)
{
	for (size_t k = 0; k < parent->policy->route_count; k++)
		if (covers(parent, k, r, dlp))
			return false;
	return true;
}

/* What a preset stands for is not known here: another one, or another credential, is wider. */
static bool is_new_preset(const struct manifest_bottle *parent, const struct manifest_preset *p)
{
	for (size_t i = 0; i < parent->preset_count; i++) {
		const struct manifest_preset *old = &parent->presets[i];

		if (strcmp(old->name, p->name) == 0 && is_same_text(old->argument, p->argument) &&
		    (p->auth.auth == POLICY_AUTH_NONE || has_same_auth(&old->auth, &p->auth)))
			return false;
	}
	return true;
}

static void mark_routes(const struct manifest_bottle *parent, const struct manifest_bottle *child,
			const struct manifest_node *tree)
{
	const struct manifest_node *entries = find(find(tree, "egress"), "routes");

	for (size_t k = 0; k < child->policy->route_count; k++)
		mark(entries->items[child->routes[k].entry],
		     is_new_route(parent, &child->policy->routes[k], &child->routes[k].dlp));
	for (size_t k = 0; k < child->preset_count; k++)
		mark(entries->items[child->presets[k].entry],
		     is_new_preset(parent, &child->presets[k]));
}

/* the rest */

static void mark_provider(const struct manifest_bottle *parent, const struct manifest_bottle *child,
			  const struct manifest_node *tree)
{
	struct manifest_node *block = find(tree, "agent_provider");

	if (child->provider == NULL)
		return;
	mark(find(block, "template"), !is_same_text(parent->provider, child->provider));
	mark(find(block, "auth_token"), !is_same_text(parent->auth_token, child->auth_token));
	mark(find(block, "forward_host_credentials"),
	     child->forwards_credentials && !parent->forwards_credentials);
}

static bool is_new_repo(const struct manifest_bottle *parent, const struct manifest_repo *repo)
{
	for (size_t i = 0; i < parent->git.repo_count; i++) {
		const struct manifest_repo *p = &parent->git.repos[i];

		if (strcmp(p->url, repo->url) == 0)
			return p->key_kind != repo->key_kind ||
			       !is_same_text(p->key_path, repo->key_path) ||
			       !is_same_text(p->forge_token_env, repo->forge_token_env);
	}
	return true;
}

static void mark_workspace(const struct manifest_workspace *parent,
			   const struct manifest_workspace *child, const struct manifest_node *tree)
{
	struct manifest_node *block = find(tree, "workspace");
	bool has_more = false;

	for (size_t i = 0; child->include != NULL && child->include[i] != NULL; i++)
		has_more |= !has_text(parent->include, child->include[i]);
	mark(find(block, "path"), !is_same_text(parent->path, child->path));
	mark(find(block, "include"), has_more);
	mark(find(block, "git"), child->has_git && !parent->has_git);
}

static bool is_more(uint64_t parent, uint64_t child)
{
	return parent != 0 && child > parent;
}

static void mark_resources(const struct manifest_resources *parent,
			   const struct manifest_resources *child, const struct manifest_node *tree)
{
	struct manifest_node *block = find(tree, "resources");

	mark(find(block, "cpus"), is_more(parent->cpus, child->cpus));
	mark(find(block, "memory"), is_more(parent->memory_bytes, child->memory_bytes));
	mark(find(block, "disk"), is_more(parent->disk_bytes, child->disk_bytes));
	mark(find(block, "pids"), is_more(parent->pids, child->pids));
	mark(find(block, "time"), is_more(parent->max_seconds, child->max_seconds));
}

void manifest_mark_wider(const struct manifest_bottle *parent, const struct manifest_bottle *child,
			 const struct manifest_node *tree)
{
	const struct manifest_node *env = find(tree, "env");
	const struct manifest_node *repos = find(find(tree, "git-gate"), "repos");

	for (size_t i = 0; i < child->env_count; i++)
		mark(env->items[i], is_new_secret(parent, &child->env[i]));
	mark_routes(parent, child, tree);
	mark_provider(parent, child, tree);
	for (size_t i = 0; i < child->git.repo_count; i++)
		mark(repos->items[i], is_new_repo(parent, &child->git.repos[i]));
	mark(find(tree, "image"),
	     is_same_text(child->image, "host") && !is_same_text(parent->image, "host"));
	mark_workspace(&parent->workspace, &child->workspace, tree);
	mark_resources(&parent->resources, &child->resources, tree);
}
