/*
 * What a preset is given: its name with an argument, and the addresses of the operator's own
 * package managers. Both end up in paths and host names, so what is not plain is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/text.h"
#include "manifest/preset.h"

#define NAME_BYTES_MAX  64
#define OWNER_BYTES_MAX 39 /* GitHub's own limits */
#define REPO_BYTES_MAX  100

static bool is_made_of(const char *s, size_t n, const char *more)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		      (s[i] >= '0' && s[i] <= '9') || strchr(more, s[i]) != NULL))
			return false;
	return true;
}

/* "owner/repo" as GitHub allows them; "." and ".." are no names. */
static bool is_repo(const char *s)
{
	const char *slash = strchr(s, '/');
	size_t owner = slash == NULL ? 0 : (size_t)(slash - s);
	size_t repo = slash == NULL ? 0 : strlen(slash + 1);

	return owner > 0 && owner <= OWNER_BYTES_MAX && repo > 0 && repo <= REPO_BYTES_MAX &&
	       is_made_of(s, owner, "-") && s[0] != '-' && s[owner - 1] != '-' &&
	       is_made_of(slash + 1, repo, "-_.") && strcmp(slash + 1, ".") != 0 &&
	       strcmp(slash + 1, "..") != 0 &&
	       !(repo > 4 && strcmp(slash + 1 + repo - 4, ".git") == 0);
}

int manifest_preset_split(const char *text, char **ret_name, char **ret_argument,
			  struct bb_err *err)
{
	const char *colon = strchr(text, ':');
	size_t n = colon == NULL ? strlen(text) : (size_t)(colon - text);
	BB_AUTO_FREE char *name = strndup(text, n);
	BB_AUTO_FREE char *argument = colon == NULL ? NULL : strdup(colon + 1);

	if (name == NULL || (colon != NULL && argument == NULL))
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (n == 0 || n > NAME_BYTES_MAX || !is_made_of(text, n, "-"))
		return bb_err_set(err, BB_E_USAGE, "'%s' is not the name of a preset",
				  BB_ESCAPED(bb_view_str(text)));
	if (argument != NULL && !is_repo(argument))
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' is not OWNER/NAME of a repository (without '.git')",
				  BB_ESCAPED(bb_view_str(argument)));
	*ret_name = bb_take_ptr(&name);
	*ret_argument = bb_take_ptr(&argument);
	return 0;
}

static void site_done(struct manifest_site *s)
{
	free(s->host);
	free(s->path);
	free(s->origin);
}

void manifest_sites_done(struct manifest_sites *sites)
{
	for (size_t i = 0; i < sites->count; i++)
		site_done(&sites->items[i]);
	free(sites->items);
	*sites = (struct manifest_sites){ 0 };
}

/* An address in its parts; the views point into it. */
struct url {
	bool is_plain;
	struct bb_view host, port, path;
};

/* What stands before the first of the characters in stops; *v is left at it. */
static struct bb_view take_until(struct bb_view *v, const char *stops)
{
	size_t n = 0;
	struct bb_view head;

	while (n < v->n && strchr(stops, (char)v->p[n]) == NULL)
		n++;
	head = bb_view_of(v->p, n);
	*v = bb_view_from(*v, n);
	return head;
}

static bool split_url(struct bb_view v, struct url *ret)
{
	static const char *const schemes[] = { "https://", "http://" };
	size_t i = 0;
	struct bb_view site;
	const uint8_t *at;

	for (; i < BB_ARRAY_LEN(schemes); i++)
		if (v.n > strlen(schemes[i]) && memcmp(v.p, schemes[i], strlen(schemes[i])) == 0)
			break;
	if (i == BB_ARRAY_LEN(schemes))
		return false;
	ret->is_plain = i == 1;
	v = bb_view_from(v, strlen(schemes[i]));
	site = take_until(&v, "/?#");
	ret->path = take_until(&v, "?#");
	at = memrchr(site.p, '@', site.n);
	if (at != NULL)
		site = bb_view_from(site, (size_t)(at - site.p) + 1);
	ret->host = take_until(&site, ":");
	ret->port = site.n > 0 ? bb_view_from(site, 1) : site;
	return ret->host.n > 0;
}

static bool is_known(const struct manifest_sites *sites, const struct manifest_site *s)
{
	for (size_t i = 0; i < sites->count; i++)
		if (strcmp(sites->items[i].host, s->host) == 0 &&
		    strcmp(sites->items[i].path, s->path) == 0 && sites->items[i].port == s->port &&
		    sites->items[i].is_plain == s->is_plain)
			return true;
	return false;
}

/* Takes *s over on success, and leaves it empty. */
static int site_push(struct manifest_sites *sites, struct manifest_site *s)
{
	struct manifest_site *grown;

	if (s->path == NULL || s->origin == NULL)
		return -ENOMEM;
	if (is_known(sites, s))
		return 0;
	grown = reallocarray(sites->items, sites->count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	sites->items = grown;
	sites->items[sites->count++] = *s;
	*s = (struct manifest_site){ 0 };
	return 0;
}

int manifest_site_add(struct manifest_sites *sites, struct bb_view url, const char *origin,
		      struct bb_err *err)
{
	__attribute__((cleanup(site_done))) struct manifest_site s = { 0 };
	struct bb_err inner = { 0 };
	struct url u = { 0 };
	uint64_t port;
	bool is_wildcard = false;

	if (!split_url(url, &u))
		return bb_err_set(err, BB_E_USAGE,
				  "the address in %s is neither http:// nor https://", origin);
	port = u.is_plain ? 80 : 443;
	if (u.port.n > 0 && (bb_num_parse_u64(u.port, 65535, &port) < 0 || port == 0))
		return bb_err_set(err, BB_E_USAGE, "the address in %s has a bad port", origin);
	if (policy_parse_host(u.host, &s.host, &is_wildcard, &inner) < 0)
		return bb_err_set(err, BB_E_USAGE, "the address in %s: %s", origin, inner.msg);
	if (is_wildcard)
		return bb_err_set(err, BB_E_USAGE, "the address in %s names no host", origin);
	while (u.path.n > 0 && u.path.p[u.path.n - 1] == '/')
		u.path.n--;
	s.path = u.path.n == 0 ? strdup("/") : strndup((const char *)u.path.p, u.path.n);
	s.origin = strdup(origin);
	s.port = (uint16_t)port;
	s.is_plain = u.is_plain;
	return site_push(sites, &s) < 0 ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}
