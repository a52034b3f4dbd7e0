/*
 * See lint_rules.h. The list of hosts is data/upload-hosts.yaml; what is a public suffix is asked
 * of libpsl, which has the distribution's current list.
 */
#include "cli/lint_rules.h"

#include <libpsl.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/table.h"
#include "base/text.h"
#include "manifest/keys.h"
#include "provider/provider.h"

#define HOSTS_MAX (256 * 1024)

const char *const lint_grade_words[] = {
	[LINT_ERROR] = "error",
	[LINT_WARNING] = "warning",
};
_Static_assert(BB_ARRAY_LEN(lint_grade_words) == LINT_NUM_GRADES, "one word a grade");

enum rule {
	RULE_INVALID,
	RULE_PUBLIC_SUFFIX,
	RULE_UPLOADS,
	RULE_COLLECTOR,
	RULE_TUNNEL,
	RULE_AUTH_WILDCARD,
	RULE_PLAIN_HTTP,
	RULE_SHADOWED,
	RULE_SECRET_ENV,
	RULE_SECRET_LITERAL,
};

const struct lint_rule lint_rules[] = {
	[RULE_INVALID] = { "invalid", "what no start would take: wrong, unknown or not built keys",
			   LINT_ERROR },
	[RULE_PUBLIC_SUFFIX] = { "public-suffix",
				 "a wildcard over names that anybody can register, such as "
				 "*.github.io",
				 LINT_WARNING },
	[RULE_UPLOADS] = { "uploads",
			   "a host that stores what anybody uploads, or runs anybody's programs, "
			   "without paths that narrow it",
			   LINT_WARNING },
	[RULE_COLLECTOR] = { "collector",
			     "a host that hands what it is sent to whoever made the address",
			     LINT_WARNING },
	[RULE_TUNNEL] = { "tunnel", "a host that carries requests on to anywhere", LINT_WARNING },
	[RULE_AUTH_WILDCARD] = { "auth-wildcard", "a credential for every name below a suffix",
				 LINT_WARNING },
	[RULE_PLAIN_HTTP] = { "plain-http",
			      "requests that everybody on the way can read and change",
			      LINT_WARNING },
	[RULE_SHADOWED] = { "shadowed",
			    "a route that the provider's own for the same host replaces",
			    LINT_WARNING },
	[RULE_SECRET_ENV] = { "secret-env",
			      "a variable that shows the agent the token that egress puts in",
			      LINT_WARNING },
	[RULE_SECRET_LITERAL] = { "secret-literal",
				  "a value in the file that looks like a credential",
				  LINT_WARNING },
};
const size_t lint_rule_count = BB_ARRAY_LEN(lint_rules);

static const struct {
	const char *word;
	enum rule rule;
	const char *what;
} kinds[] = {
	{ "files", RULE_UPLOADS, "stores what anybody uploads" },
	{ "functions", RULE_UPLOADS, "runs anybody's programs" },
	{ "collect", RULE_COLLECTOR, "hands what it is sent to whoever made the address" },
	{ "tunnel", RULE_TUNNEL, "carries requests on to anywhere" },
};

struct lint_host {
	char *host;
	size_t kind;
};

struct lint_data {
	struct lint_host *hosts;
	size_t count;
	psl_ctx_t *suffixes;
};

void lint_data_free(struct lint_data *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->count; i++)
		free(d->hosts[i].host);
	free(d->hosts);
	psl_free(d->suffixes);
	free(d);
}

/* The rows of the list's file */

static int take_host(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct lint_host *h = target;

	return manifest_take_text(r, value, &h->host);
}

static int take_kind(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct lint_host *h = target;

	for (size_t i = 0; i < BB_ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].word, value->text) == 0) {
			h->kind = i;
			return 0;
		}
	return manifest_refuse(r, value->line, "kind '%s' is not known",
			       BB_ESCAPED(bb_view_str(value->text)));
}

static const struct manifest_key host_keys[] = {
	{ "host", MANIFEST_SCALAR, take_host, "and all names below it" },
	{ "kind", MANIFEST_SCALAR, take_kind, "files, collect, functions or tunnel" },
};
static const struct manifest_block host_block = { "an entry of the list of hosts", host_keys,
						  BB_ARRAY_LEN(host_keys) };

static int take_hosts(const struct manifest_reader *r, const struct manifest_node *list,
		      void *target)
{
	struct lint_data *d = target;
	int result = 0;

	d->hosts = calloc(list->count > 0 ? list->count : 1, sizeof(*d->hosts));
	if (d->hosts == NULL)
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	for (size_t i = 0; result == 0 && i < list->count; i++) {
		d->count++;
		if (list->items[i]->kind != MANIFEST_MAP)
			return manifest_refuse(r, list->items[i]->line, "an entry is {host, kind}");
		result = manifest_take_block(r, &host_block, list->items[i], &d->hosts[i]);
		if (result == 0 && d->hosts[i].host == NULL)
			return manifest_refuse(r, list->items[i]->line, "an entry needs 'host'");
	}
	return result;
}

static int take_version(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	uint64_t version = 0;

	(void)target;
	return manifest_take_number(r, value, 1, 1, &version);
}

static const struct manifest_key file_keys[] = {
	{ "version", MANIFEST_SCALAR, take_version, "of this format: 1" },
	{ "hosts", MANIFEST_LIST, take_hosts, "entries" },
};
static const struct manifest_block file_block = { "the list of hosts", file_keys,
						  BB_ARRAY_LEN(file_keys) };

int lint_data_load(struct lint_data **ret, struct bb_err *err)
{
	static const char file[] = "upload-hosts.yaml";
	BB_AUTO(lint_data) struct lint_data *d = calloc(1, sizeof(*d));
	BB_AUTO(manifest_node) struct manifest_node *tree = NULL;
	BB_AUTO_FREE char *path = bb_path_data(file, err);
	BB_AUTO_BUF struct bb_buf text = { .cap = HOSTS_MAX };
	const struct manifest_reader reader = { .file = file, .err = err };
	int r;

	if (path == NULL)
		return err->code;
	if (d == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = bb_path_read(path, 1, &text, err);
	if (r == 0)
		r = manifest_node_read(bb_buf_peek(&text), file, 1, &tree, err);
	if (r == 0)
		r = manifest_take_block(&reader, &file_block, tree, d);
	if (r < 0)
		return r;
	d->suffixes = psl_latest(NULL);
	if (d->suffixes == NULL)
		return bb_err_set(err, BB_E_MISSING,
				  "libpsl has no list of public suffixes; install publicsuffix");
	*ret = bb_take_ptr(&d);
	return 0;
}

/* Rules */

struct linting {
	const struct lint_data *data;
	const struct manifest_bottle *bottle;
	lint_found_cb *found;
	void *arg;
};

static void report(const struct linting *l, enum rule rule, const char *origin, char *text,
		   const char *way_out)
{
	const struct lint_finding f = { .rule = lint_rules[rule].name,
					.grade = lint_rules[rule].grade,
					.origin = origin,
					.text = text != NULL ? text : lint_rules[rule].text,
					.way_out = way_out };

	l->found(l->arg, &f);
	free(text);
}

/* Does name equal suffix or lie below it? */
static bool is_below(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n >= m && strcmp(name + n - m, suffix) == 0 && (n == m || name[n - m - 1] == '.');
}

/* Every alternative names paths, and none of them is the whole host. */
static bool has_narrow_paths(const struct policy_route *r)
{
	for (size_t i = 0; i < r->match_count; i++) {
		const struct policy_values *paths = &r->matches[i].paths;

		if (paths->count == 0)
			return false;
		for (size_t k = 0; k < paths->count; k++)
			if ((paths->items[k].how == POLICY_PREFIX &&
			     strcmp(paths->items[k].text, "/") == 0) ||
			    (paths->items[k].how == POLICY_REGEX &&
			     strstr(paths->items[k].text, ".*") == paths->items[k].text))
				return false;
	}
	return r->match_count > 0;
}

static void check_suffix(const struct linting *l, const struct policy_route *r)
{
	if (r->is_wildcard &&
	    psl_is_public_suffix2(l->data->suffixes, r->host, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE))
		report(l, RULE_PUBLIC_SUFFIX, r->origin,
		       bb_text_printf("anybody can have a name below '%s': '*.%s' allows their "
				      "hosts too",
				      r->host, r->host),
		       "name the hosts, or a wildcard below a name of one owner");
}

static void check_host(const struct linting *l, const struct policy_route *r)
{
	static const char narrow[] =
		"narrow it with 'matches' (paths of the one place that is meant), or use a preset";
	static const char leave_out[] = "leave the route out";

	for (size_t i = 0; i < l->data->count; i++) {
		const struct lint_host *h = &l->data->hosts[i];
		bool is_it = is_below(r->host, h->host);
		bool has_it = !is_it && r->is_wildcard && is_below(h->host, r->host);
		enum rule rule = kinds[h->kind].rule;

		if ((!is_it && !has_it) || (rule == RULE_UPLOADS && has_narrow_paths(r)))
			continue;
		report(l, rule, r->origin,
		       has_it ? bb_text_printf("'*.%s' allows '%s', which %s", r->host, h->host,
					       kinds[h->kind].what)
			      : bb_text_printf("'%s%s' %s", r->is_wildcard ? "*." : "", r->host,
					       kinds[h->kind].what),
		       rule == RULE_UPLOADS ? narrow : leave_out);
		return; /* one finding a route */
	}
}

static void check_auth(const struct linting *l, const struct policy_route *r)
{
	if (r->auth != POLICY_AUTH_NONE && r->is_wildcard)
		report(l, RULE_AUTH_WILDCARD, r->origin,
		       bb_text_printf("the token of '%s' goes to every name below '%s'",
				      r->token_ref, r->host),
		       "name the one host that needs it");
}

static void check_plain(const struct linting *l, const struct policy_route *r)
{
	if (r->plain_port_count > 0)
		report(l, RULE_PLAIN_HTTP, r->origin,
		       bb_text_printf("everybody on the way to '%s' port %u can read and change "
				      "what is sent and fetched",
				      r->host, (unsigned)r->plain_ports[0]),
		       "use 'ports' (TLS), or fetch what is signed and verified by itself only");
}

static void (*const route_checks[])(const struct linting *l, const struct policy_route *r) = {
	check_suffix,
	check_host,
	check_auth,
	check_plain,
};

static bool has_every_variable(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return true;
}

static void check_provider(const struct linting *l)
{
	const struct manifest_bottle *b = l->bottle;
	const struct provider *provider = b->provider == NULL ? NULL : provider_find(b->provider);
	BB_AUTO(provider_plan) struct provider_plan *plan = NULL;
	const struct provider_input in = { .auth_token = b->auth_token,
					   .has_variable = has_every_variable,
					   .agent = "lint",
					   .system_prompt = "",
					   .cwd = PROVIDER_HOME };

	if (provider == NULL || provider_prepare(provider, &in, &plan, NULL) < 0)
		return;
	for (size_t i = 0; i < b->policy->route_count; i++)
		for (size_t k = 0; k < plan->route_count; k++) {
			const struct policy_route *r = &b->policy->routes[i];

			if (r->is_wildcard == plan->routes[k].is_wildcard &&
			    strcmp(r->host, plan->routes[k].host) == 0)
				report(l, RULE_SHADOWED, r->origin,
				       bb_text_printf("provider '%s' has its own route for '%s', "
						      "which is used instead of this one",
						      provider->name, r->host),
				       "take the route out");
		}
}

static bool is_token_ref(const struct manifest_bottle *b, const char *name)
{
	if (b->auth_token != NULL && strcmp(b->auth_token, name) == 0)
		return true;
	for (size_t i = 0; i < b->policy->route_count; i++)
		if (b->policy->routes[i].token_ref != NULL &&
		    strcmp(b->policy->routes[i].token_ref, name) == 0)
			return true;
	for (size_t i = 0; i < b->preset_count; i++)
		if (b->presets[i].auth.token_ref != NULL &&
		    strcmp(b->presets[i].auth.token_ref, name) == 0)
			return true;
	return false;
}

/* How tokens of well-known services begin. */
static bool looks_like_credential(const char *s)
{
	static const char *const beginnings[] = {
		"sk-ant-", "sk-proj-", "ghp_",    "gho_",       "ghs_",   "github_pat_", "glpat-",
		"npm_",    "AKIA",     "xoxb-",   "xoxp-",      "AIza",   "sk_live_",    "rk_live_",
		"hf_",     "pypi-",    "dop_v1_", "-----BEGIN", "eyJhbG",
	};

	for (size_t i = 0; i < BB_ARRAY_LEN(beginnings); i++)
		if (strncmp(s, beginnings[i], strlen(beginnings[i])) == 0 && strlen(s) >= 16)
			return true;
	return false;
}

static void check_env(const struct linting *l)
{
	for (size_t i = 0; i < l->bottle->env_count; i++) {
		const struct manifest_env *e = &l->bottle->env[i];
		BB_AUTO_FREE char *origin = bb_text_printf("%s:%u", e->at.file, e->at.line);

		if (origin == NULL)
			continue;
		if (e->host_var != NULL && is_token_ref(l->bottle, e->host_var))
			report(l, RULE_SECRET_ENV, origin,
			       bb_text_printf("env '%s' shows the agent the value of '%s', which "
					      "egress puts in for it",
					      e->name, e->host_var),
			       "take it out of 'env'; a placeholder is enough for most programs");
		if (e->value != NULL && looks_like_credential(e->value))
			report(l, RULE_SECRET_LITERAL, origin,
			       bb_text_printf("the value of env '%s' looks like a credential, and "
					      "the agent sees it",
					      e->name),
			       "keep it in your environment and use 'auth' with 'token_ref'");
	}
}

void lint_bottle(const struct lint_data *d, const struct manifest_bottle *b, lint_found_cb *found,
		 void *arg)
{
	const struct linting l = { .data = d, .bottle = b, .found = found, .arg = arg };

	for (size_t i = 0; i < b->policy->route_count; i++)
		for (size_t k = 0; k < BB_ARRAY_LEN(route_checks); k++)
			route_checks[k](&l, &b->policy->routes[i]);
	check_provider(&l);
	check_env(&l);
}
