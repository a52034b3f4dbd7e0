/*
 * Expanding presets; see preset.h. The data files are part of what is installed and still read as
 * strictly as a manifest: by the same reader and the same rows, so a preset cannot say what a
 * manifest could not. What is put into them (`${owner}`, `${host}`) is checked before, and is put
 * into values that were read already, so it cannot add keys.
 */
#include "manifest/preset.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/table.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

#define PRESET_FILE_MAX (64 * 1024)
#define ORIGIN_BYTES    160 /* of what a route shows; an origin has at most 255 */
#define ORIGIN_MORE     ", and more presets"
#define PRESET_VERSION  1

/* A data file. */
struct preset_file {
	struct manifest_node *tree;
	char *path; /* as errors call it */
	char *hosts_from, *argument;
	char **auth_hosts;
	const struct manifest_node *routes; /* of tree */
	bool has_version;
};

static void preset_file_done(struct preset_file *f)
{
	manifest_node_free(f->tree);
	free(f->path);
	free(f->hosts_from);
	free(f->argument);
	bb_strv_free(f->auth_hosts);
}
#define AUTO_PRESET_FILE __attribute__((cleanup(preset_file_done)))

/* Routes under construction; those of two presets for one host become one. */
struct expansion {
	struct policy_route *routes;
	const struct manifest_preset **by; /* the first preset of each */
	size_t count;
	const struct manifest_presets *from;
	struct bb_err *err;
};

static void expansion_done(struct expansion *x)
{
	for (size_t i = 0; i < x->count; i++)
		policy_route_done(&x->routes[i]);
	free(x->routes);
	free(x->by);
}

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

/* The rows of a data file. */

static int take_version(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	struct preset_file *f = target;
	uint64_t version = 0;

	f->has_version = true;
	return manifest_take_number(r, value, PRESET_VERSION, PRESET_VERSION, &version);
}

static int take_summary(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	BB_AUTO_FREE char *text = NULL; /* for readers; docs take it from the file */

	(void)target;
	return manifest_take_text(r, value, &text);
}

static int take_hosts_from(const struct manifest_reader *r, const struct manifest_node *value,
			   void *target)
{
	struct preset_file *f = target;

	return manifest_take_text(r, value, &f->hosts_from);
}

static int take_argument(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct preset_file *f = target;

	if (strcmp(value->text, "owner/repo") != 0)
		return manifest_refuse(r, value->line, "'argument' must be owner/repo");
	return manifest_take_text(r, value, &f->argument);
}

static int take_auth_hosts(const struct manifest_reader *r, const struct manifest_node *list,
			   void *target)
{
	struct preset_file *f = target;
	int result = 0;

	for (size_t i = 0; result == 0 && i < list->count; i++) {
		char *host = NULL;

		result = manifest_take_text(r, list->items[i], &host);
		if (result == 0 && bb_strv_push(&f->auth_hosts, host) < 0)
			return no_memory(r->err);
	}
	return result;
}

static int take_routes(const struct manifest_reader *r, const struct manifest_node *list,
		       void *target)
{
	struct preset_file *f = target;

	(void)r;
	f->routes = list;
	return 0;
}

static const struct manifest_key file_keys[] = {
	{ "version", MANIFEST_SCALAR, take_version, "of this format: 1" },
	{ "summary", MANIFEST_SCALAR, take_summary, "one line" },
	{ "hosts_from", MANIFEST_SCALAR, take_hosts_from, "npm or debian: this host's own" },
	{ "argument", MANIFEST_SCALAR, take_argument, "owner/repo: wanted behind the name" },
	{ "auth_hosts", MANIFEST_LIST, take_auth_hosts, "where a credential is put in" },
	{ "routes", MANIFEST_LIST, take_routes, "as in a bottle" },
};
static const struct manifest_block file_block = { "a preset's file", file_keys,
						  BB_ARRAY_LEN(file_keys) };

/* The files there are, without their endings, sorted. NULL: none, or no memory. */
static char **preset_names(const char *dir)
{
	struct dirent **list = NULL;
	char **names = NULL;
	int n = scandir(dir, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		size_t length = strlen(list[i]->d_name);

		/* Without memory fewer names are shown. */
		if (length > 5 && strcmp(list[i]->d_name + length - 5, ".yaml") == 0)
			(void)bb_strv_push(&names, strndup(list[i]->d_name, length - 5));
		free(list[i]);
	}
	free(list);
	return names;
}

static int refuse_unknown(const struct expansion *x, const struct manifest_preset *p)
{
	BB_AUTO_STRV char **names = preset_names(x->from->dir);
	BB_AUTO_BUF struct bb_buf list = { .cap = 1024 };
	size_t count = bb_strv_len(names);
	const char *near = count == 0 ? NULL
				      : bb_table_suggest((const char *const *)names, count,
							 bb_view_str(p->name));

	if (near != NULL)
		return bb_err_set(x->err, BB_E_USAGE,
				  "manifest '%s':%u: unknown preset '%s'; did you mean '%s'?",
				  p->at.file, p->at.line, p->name, near);
	for (size_t i = 0; i < count; i++)
		(void)bb_buf_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
	(void)bb_buf_append_byte(&list, '\0');
	return bb_err_set(
		x->err, BB_E_USAGE, "manifest '%s':%u: unknown preset '%s'; there are: %s",
		p->at.file, p->at.line, p->name,
		count > 0 ? (const char *)bb_buf_peek(&list).p : "none; install bot-bottle again");
}

static int read_file(const struct expansion *x, const struct manifest_preset *p,
		     struct preset_file *ret)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s.yaml", x->from->dir, p->name);
	BB_AUTO_BUF struct bb_buf text = { .cap = PRESET_FILE_MAX };
	struct manifest_reader reader = { .err = x->err };
	int r;

	ret->path = bb_text_printf("presets/%s.yaml", p->name);
	if (path == NULL || ret->path == NULL)
		return no_memory(x->err);
	reader.file = ret->path;
	if (access(path, F_OK) < 0)
		return refuse_unknown(x, p);
	r = bb_path_read(path, 1, &text, x->err);
	if (r == 0)
		r = manifest_check_text(bb_buf_peek(&text), ret->path, 1, x->err);
	if (r == 0)
		r = manifest_node_read(bb_buf_peek(&text), ret->path, 1, &ret->tree, x->err);
	if (r == 0)
		r = manifest_take_block(&reader, &file_block, ret->tree, ret);
	if (r == 0 && (!ret->has_version || ret->routes == NULL))
		r = manifest_refuse(&reader, 1, "a preset's file needs 'version' and 'routes'");
	return r;
}

/* Putting values in */

struct substitute {
	const char *name; /* "${owner}" */
	char *value;
};

static int put_in(struct manifest_node *n, const struct substitute *s, struct bb_err *err)
{
	const char *at;

	while ((at = strstr(n->text, s->name)) != NULL) {
		char *text = bb_text_printf("%.*s%s%s", (int)(at - n->text), n->text, s->value,
					    at + strlen(s->name));

		if (text == NULL)
			return no_memory(err);
		free(n->text);
		n->text = text;
	}
	return 0;
}

/* Every value of the tree, which is as deep as LIMIT_MANIFEST_DEPTH allows. */
static int put_all(struct manifest_node *n, const struct substitute *all, size_t count,
		   struct bb_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && n->kind == MANIFEST_SCALAR && i < count; i++)
		r = put_in(n, &all[i], err);
	for (size_t i = 0; r == 0 && i < n->count; i++)
		r = put_all(n->items[i], all, count, err);
	return r;
}

/* "a.b" -> "a\.b": the other characters of an owner or a name mean themselves. */
static char *regex_of(const char *s)
{
	BB_AUTO_BUF struct bb_buf out = { .cap = 1024 };

	for (; *s != '\0'; s++)
		if ((*s == '.' && bb_buf_append_byte(&out, '\\') < 0) ||
		    bb_buf_append_byte(&out, (uint8_t)*s) < 0)
			return NULL;
	return bb_buf_dup_str(&out);
}

static int put_repo(struct manifest_node *tree, const char *argument, struct bb_err *err)
{
	const char *slash = strchr(argument, '/');
	BB_AUTO_FREE char *owner = strndup(argument, (size_t)(slash - argument));
	BB_AUTO_FREE char *owner_regex = owner == NULL ? NULL : regex_of(owner);
	BB_AUTO_FREE char *repo_regex = regex_of(slash + 1);
	BB_AUTO_FREE char *repo = strdup(slash + 1);
	const struct substitute all[] = {
		{ "${owner:regex}", owner_regex },
		{ "${repo:regex}", repo_regex },
		{ "${owner}", owner },
		{ "${repo}", repo },
	};

	if (owner == NULL || owner_regex == NULL || repo_regex == NULL || repo == NULL)
		return no_memory(err);
	return put_all(tree, all, BB_ARRAY_LEN(all), err);
}

static int put_site(struct manifest_node *tree, const struct manifest_site *site,
		    struct bb_err *err)
{
	const struct substitute all[] = { { "${host}", site->host }, { "${path}", site->path } };

	return put_all(tree, all, BB_ARRAY_LEN(all), err);
}

/* Routes */

static bool is_same_host(const struct policy_route *a, const struct policy_route *b)
{
	return a->is_wildcard == b->is_wildcard && strcmp(a->host, b->host) == 0;
}

static int refuse_own(const struct expansion *x, const struct manifest_preset *p,
		      const struct policy_route *own)
{
	return bb_err_set(x->err, BB_E_USAGE,
			  "manifest '%s':%u: preset '%s' has a route for host '%s', and so has "
			  "%s; take one of them out",
			  p->at.file, p->at.line, p->name, own->host, own->origin);
}

/* What either allows is allowed: alternatives side by side, ports together. */
static int join(struct expansion *x, const struct manifest_preset *p, struct policy_route *to,
		struct policy_route *more)
{
	char *origin;

	if (to->auth != POLICY_AUTH_NONE && more->auth != POLICY_AUTH_NONE)
		return bb_err_set(x->err, BB_E_USAGE,
				  "manifest '%s':%u: preset '%s' and %s both put a credential in "
				  "at host '%s'; keep one 'auth'",
				  p->at.file, p->at.line, p->name, to->origin, to->host);
	if (strstr(to->origin, more->origin) == NULL && strstr(to->origin, ORIGIN_MORE) == NULL) {
		bool is_long = strlen(to->origin) + strlen(more->origin) > ORIGIN_BYTES;

		origin = bb_text_printf("%s%s%s", to->origin, is_long ? ORIGIN_MORE : ", ",
					is_long ? "" : more->origin);
		if (origin == NULL)
			return no_memory(x->err);
		free(to->origin);
		to->origin = origin;
	}
	if (to->auth == POLICY_AUTH_NONE && more->auth != POLICY_AUTH_NONE &&
	    policy_route_copy_auth(to, more, x->err) < 0)
		return x->err->code;
	return policy_route_join(to, more, x->err);
}

/* Takes route over, whatever comes out. */
static int add_route(struct expansion *x, const struct manifest_preset *p,
		     struct policy_route *route)
{
	const struct manifest_preset **by;
	struct policy_route *grown;
	int r;

	for (size_t i = 0; i < x->count; i++)
		if (is_same_host(&x->routes[i], route)) {
			r = join(x, p, &x->routes[i], route);
			policy_route_done(route);
			return r;
		}
	grown = reallocarray(x->routes, x->count + 1, sizeof(*grown));
	if (grown != NULL)
		x->routes = grown;
	by = reallocarray(x->by, x->count + 1, sizeof(struct manifest_preset *));
	if (by != NULL)
		x->by = by;
	if (grown == NULL || by == NULL) {
		policy_route_done(route);
		return no_memory(x->err);
	}
	x->by[x->count] = p;
	x->routes[x->count++] = *route;
	return 0;
}

static bool takes_auth(const struct preset_file *f, const char *host)
{
	for (size_t i = 0; f->auth_hosts != NULL && f->auth_hosts[i] != NULL; i++)
		if (strcmp(f->auth_hosts[i], host) == 0)
			return true;
	return false;
}

static int finish_route(struct expansion *x, const struct preset_file *f,
			const struct manifest_preset *p, const struct manifest_site *site,
			struct policy_route *route)
{
	free(route->origin);
	route->origin = bb_text_printf(
		"preset %s%s%s (%s:%u%s%.80s)", p->name, p->argument != NULL ? ":" : "",
		p->argument != NULL ? p->argument : "", p->at.file, p->at.line,
		site != NULL ? ", " : "", site != NULL ? site->origin : "");
	if (route->origin == NULL)
		return no_memory(x->err);
	if (site != NULL) {
		route->tls_port_count = site->is_plain ? 0 : 1;
		route->plain_port_count = site->is_plain ? 1 : 0;
		route->tls_ports[0] = route->plain_ports[0] = site->port;
	}
	if (p->auth.auth == POLICY_AUTH_NONE || !takes_auth(f, route->host))
		return 0;
	return policy_route_copy_auth(route, &p->auth, x->err);
}

/* One reading of the file, for one site or none. */
static int expand_once(struct expansion *x, const struct manifest_preset *p,
		       const struct manifest_site *site)
{
	AUTO_PRESET_FILE struct preset_file f = { 0 };
	int r = read_file(x, p, &f);

	if (r == 0 && p->argument != NULL)
		r = put_repo(f.tree, p->argument, x->err);
	if (r == 0 && site != NULL)
		r = put_site(f.tree, site, x->err);
	for (size_t i = 0; r == 0 && i < f.routes->count; i++) {
		const struct manifest_reader reader = { .file = f.path, .err = x->err };
		struct policy_route route = { 0 };

		r = manifest_take_route(&reader, f.routes->items[i], &route);
		if (r == 0)
			r = finish_route(x, &f, p, site, &route);
		if (r == 0)
			r = add_route(x, p, &route);
		else
			policy_route_done(&route);
	}
	return r;
}

static int check_file(const struct expansion *x, const struct preset_file *f,
		      const struct manifest_preset *p)
{
	if (f->argument != NULL && p->argument == NULL)
		return bb_err_set(x->err, BB_E_USAGE,
				  "manifest '%s':%u: preset '%s' is written '%s:%s'", p->at.file,
				  p->at.line, p->name, p->name, f->argument);
	if (f->argument == NULL && p->argument != NULL)
		return bb_err_set(x->err, BB_E_USAGE,
				  "manifest '%s':%u: preset '%s' takes nothing behind a ':'",
				  p->at.file, p->at.line, p->name);
	if (p->auth.auth != POLICY_AUTH_NONE && f->auth_hosts == NULL)
		return bb_err_set(x->err, BB_E_USAGE,
				  "manifest '%s':%u: preset '%s' takes no 'auth'", p->at.file,
				  p->at.line, p->name);
	return 0;
}

static int expand(struct expansion *x, const struct manifest_preset *p)
{
	AUTO_PRESET_FILE struct preset_file f = { 0 };
	__attribute__((cleanup(manifest_sites_done))) struct manifest_sites sites = { 0 };
	int r = read_file(x, p, &f);

	if (r == 0)
		r = check_file(x, &f, p);
	if (r < 0)
		return r;
	if (f.hosts_from == NULL)
		return expand_once(x, p, NULL);
	r = x->from->sites(x->from->arg, f.hosts_from, &sites, x->err);
	if (r < 0)
		return bb_err_wrap(x->err, "manifest '%s':%u: preset '%s'", p->at.file, p->at.line,
				   p->name);
	for (size_t i = 0; r == 0 && i < sites.count; i++)
		r = expand_once(x, p, &sites.items[i]);
	return r;
}

/* No route of a preset takes the place of one that the bottle itself has, or the other way. */
static int check_own(const struct expansion *x, const struct manifest_bottle *b,
		     const struct manifest_preset *p)
{
	for (size_t i = 0; i < x->count; i++)
		for (size_t k = 0; k < b->policy->route_count; k++)
			if (is_same_host(&x->routes[i], &b->policy->routes[k]))
				return refuse_own(x, p, &b->policy->routes[k]);
	return 0;
}

int manifest_expand_presets(struct manifest_bottle *b, const struct manifest_presets *from,
			    struct bb_err *err)
{
	__attribute__((cleanup(expansion_done))) struct expansion x = { .from = from, .err = err };
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->preset_count; i++) {
		r = expand(&x, &b->presets[i]);
		if (r == 0)
			r = check_own(&x, b, &b->presets[i]);
	}
	for (size_t i = 0; r == 0 && i < x.count; i++) {
		const struct manifest_route info = { .at = x.by[i]->at, .entry = x.by[i]->entry };

		r = policy_add(b->policy, &x.routes[i], err);
		if (r < 0)
			return bb_err_wrap(err, "%s", x.routes[i].origin);
		if (manifest_add_route_info(b, &info) < 0)
			return no_memory(err);
	}
	return r;
}
