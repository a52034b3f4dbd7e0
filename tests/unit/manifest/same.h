/* Do two bottles say the same? Everything but where it was written. For the unit tests and the fuzz
 * target's oracle: what manifest_print_bottle() writes must read back as what was printed. */
#ifndef BB_TESTS_MANIFEST_SAME_H
#define BB_TESTS_MANIFEST_SAME_H

#include <string.h>

#include "manifest/manifest.h"

static inline bool same_text(const char *a, const char *b)
{
	return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

static inline bool same_list(char *const *a, char *const *b)
{
	size_t i = 0;

	if (a == NULL || b == NULL)
		return a == b;
	while (a[i] != NULL && same_text(a[i], b[i]))
		i++;
	return a[i] == NULL && b[i] == NULL;
}

static inline bool same_stated(const struct manifest_origin *a, const struct manifest_origin *b)
{
	return (a->file == NULL) == (b->file == NULL);
}

static inline bool same_env(const struct manifest_bottle *a, const struct manifest_bottle *b)
{
	if (a->env_count != b->env_count)
		return false;
	for (size_t i = 0; i < a->env_count; i++)
		if (!same_text(a->env[i].name, b->env[i].name) ||
		    !same_text(a->env[i].value, b->env[i].value) ||
		    !same_text(a->env[i].host_var, b->env[i].host_var) ||
		    !same_text(a->env[i].question, b->env[i].question))
			return false;
	return true;
}

static inline bool same_provider(const struct manifest_bottle *a, const struct manifest_bottle *b)
{
	const struct manifest_settings *s = &a->settings, *t = &b->settings;

	return same_text(a->provider, b->provider) && same_text(a->auth_token, b->auth_token) &&
	       a->forwards_credentials == b->forwards_credentials &&
	       same_stated(&a->forwards_at, &b->forwards_at) && same_stated(&s->at, &t->at) &&
	       same_text(s->provider, t->provider) && same_text(s->base_url, t->base_url) &&
	       same_text(s->api, t->api) && same_text(s->api_key, t->api_key) &&
	       same_list(s->models, t->models) && same_list(s->compat, t->compat);
}

static inline bool same_git(const struct manifest_git *a, const struct manifest_git *b)
{
	if (a->repo_count != b->repo_count || !same_text(a->user.name, b->user.name) ||
	    !same_text(a->user.email, b->user.email))
		return false;
	for (size_t i = 0; i < a->repo_count; i++) {
		const struct manifest_repo *r = &a->repos[i], *s = &b->repos[i];

		if (!same_text(r->name, s->name) || !same_text(r->url, s->url) ||
		    !same_text(r->host_key, s->host_key) || r->key_kind != s->key_kind ||
		    !same_text(r->key_path, s->key_path) ||
		    !same_text(r->forge_token_env, s->forge_token_env))
			return false;
	}
	return true;
}

static inline bool same_dlp(const struct manifest_dlp *a, const struct manifest_dlp *b)
{
	return same_stated(&a->at, &b->at) && a->has_outbound == b->has_outbound &&
	       a->has_inbound == b->has_inbound && a->outbound == b->outbound &&
	       a->inbound == b->inbound && a->on_match == b->on_match;
}

/* A policy's binary form holds all that decides, and where each route was written: that is left
 * out by giving both the same. */
static inline bool same_route(const struct policy_route *a, const struct policy_route *b)
{
	struct policy_route copies[2] = { *a, *b };
	struct bb_buf bytes[2] = { 0 };
	bool is_same = true;

	for (size_t i = 0; i < 2; i++) {
		struct policy one = { .routes = &copies[i], .route_count = 1 };
		static char nowhere[] = "-";

		copies[i].origin = nowhere;
		bb_buf_init(&bytes[i], 1024 * 1024);
		is_same &= policy_encode(&one, &bytes[i]) == 0;
	}
	is_same = is_same && bb_buf_size(&bytes[0]) == bb_buf_size(&bytes[1]) &&
		  memcmp(bb_buf_peek(&bytes[0]).p, bb_buf_peek(&bytes[1]).p,
			 bb_buf_size(&bytes[0])) == 0;
	bb_buf_done(&bytes[0]);
	bb_buf_done(&bytes[1]);
	return is_same;
}

static inline bool same_routes(const struct manifest_bottle *a, const struct manifest_bottle *b)
{
	if (a->policy->route_count != b->policy->route_count)
		return false;
	for (size_t i = 0; i < a->policy->route_count; i++)
		if (!same_route(&a->policy->routes[i], &b->policy->routes[i]) ||
		    !same_dlp(&a->routes[i].dlp, &b->routes[i].dlp))
			return false;
	return a->log == b->log && same_stated(&a->log_at, &b->log_at);
}

static inline bool same_rest(const struct manifest_bottle *a, const struct manifest_bottle *b)
{
	const struct manifest_workspace *w = &a->workspace, *x = &b->workspace;
	const struct manifest_resources *r = &a->resources, *s = &b->resources;

	return same_text(a->image, b->image) && same_text(w->path, x->path) &&
	       same_list(w->include, x->include) && w->has_git == x->has_git &&
	       same_stated(&w->git_at, &x->git_at) && r->cpus == s->cpus &&
	       r->memory_bytes == s->memory_bytes && r->disk_bytes == s->disk_bytes &&
	       r->pids == s->pids && r->max_seconds == s->max_seconds &&
	       same_stated(&a->supervise_at, &b->supervise_at);
}

static inline bool same_bottle(const struct manifest_bottle *a, const struct manifest_bottle *b)
{
	return same_env(a, b) && same_provider(a, b) && same_git(&a->git, &b->git) &&
	       same_routes(a, b) && same_rest(a, b);
}

#endif
