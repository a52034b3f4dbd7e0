/* See npmrc.h. npmrc(5): lines of KEY = VALUE, comments with ';' or '#', ${NAME} in values. */
#include "cli/npmrc.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/path.h"
#include "base/text.h"

#define NPMRC_MAX   (256 * 1024)
#define SOURCES_MAX (512 * 1024)
#define VALUE_MAX   2048

struct npmrc {
	struct manifest_sites *sites;
	bool has_registry; /* the first one that says `registry` wins */
	char *global;      /* `globalconfig`, when something says it */
	struct bb_err *err;
};

static struct bb_view trimmed(struct bb_view v)
{
	while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
		v = bb_view_from(v, 1);
	while (v.n > 0 && strchr(" \t\r", v.p[v.n - 1]) != NULL)
		v.n--;
	if (v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') && v.p[v.n - 1] == v.p[0])
		v = bb_view_of(v.p + 1, v.n - 2);
	return v;
}

/* ${NAME} becomes the variable's value; of one that is not set the text stays, as npm leaves it. */
static char *expanded(struct bb_view v)
{
	BB_AUTO_BUF struct bb_buf out = { .cap = VALUE_MAX };

	while (v.n > 0) {
		const uint8_t *end =
			v.n > 2 && v.p[0] == '$' && v.p[1] == '{' ? memchr(v.p, '}', v.n) : NULL;
		BB_AUTO_FREE char *name = NULL;
		const char *value = NULL;
		size_t n = 1;

		if (end != NULL) {
			name = strndup((const char *)v.p + 2, (size_t)(end - v.p) - 2);
			value = name == NULL ? NULL : getenv(name);
		}
		if (value != NULL)
			n = (size_t)(end - v.p) + 1;
		if ((value != NULL ? bb_buf_append_str(&out, value) : bb_buf_append(&out, v.p, 1)) <
		    0)
			return NULL;
		v = bb_view_from(v, n);
	}
	return bb_buf_dup_str(&out);
}

static bool is_scope_registry(struct bb_view key)
{
	static const char tail[] = ":registry";
	size_t n = sizeof(tail) - 1;

	return key.n > n + 1 && key.p[0] == '@' && memcmp(key.p + key.n - n, tail, n) == 0;
}

static int take(struct npmrc *c, struct bb_view key, struct bb_view raw, const char *origin)
{
	BB_AUTO_FREE char *value = expanded(raw);
	bool is_registry = bb_view_eq_str(key, "registry");

	if (value == NULL)
		return bb_err_set(c->err, BB_E_USAGE, "the value in %s is too long", origin);
	if (bb_view_eq_str(key, "globalconfig") && c->global == NULL)
		c->global = bb_take_ptr(&value);
	if (value == NULL || (is_registry && c->has_registry) ||
	    (!is_registry && !is_scope_registry(key)))
		return 0;
	c->has_registry |= is_registry;
	return manifest_site_add(c->sites, bb_view_str(value), origin, c->err);
}

/* "NPM_CONFIG_REGISTRY=...": any case of the name. */
static int take_environment(struct npmrc *c)
{
	static const char *const keys[] = { "registry", "globalconfig" };
	int r = 0;

	for (size_t i = 0; r == 0 && environ[i] != NULL; i++) {
		const char *equals = strchr(environ[i], '=');
		size_t n = equals == NULL ? 0 : (size_t)(equals - environ[i]);

		for (size_t k = 0; r == 0 && k < BB_ARRAY_LEN(keys); k++)
			if (n == 11 + strlen(keys[k]) &&
			    strncasecmp(environ[i], "npm_config_", 11) == 0 &&
			    strncasecmp(environ[i] + 11, keys[k], n - 11) == 0 && equals[1] != '\0')
				r = take(c, bb_view_str(keys[k]), bb_view_str(equals + 1),
					 "your environment (npm_config_...)");
	}
	return r;
}

static int take_file(struct npmrc *c, const char *path)
{
	BB_AUTO_BUF struct bb_buf text = { .cap = NPMRC_MAX };
	struct bb_view rest;
	unsigned line = 0;
	int r;

	if (path == NULL || access(path, F_OK) < 0)
		return 0;
	r = bb_path_read(path, 0, &text, c->err);
	rest = bb_buf_peek(&text);
	while (r == 0 && rest.n > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		struct bb_view row =
			bb_view_of(rest.p, end == NULL ? rest.n : (size_t)(end - rest.p));
		const uint8_t *equals = memchr(row.p, '=', row.n);
		BB_AUTO_FREE char *origin = bb_text_printf("%s:%u", path, ++line);

		rest = bb_view_from(rest, end == NULL ? rest.n : row.n + 1);
		if (equals == NULL || row.p[0] == ';' || row.p[0] == '#')
			continue;
		r = take(c, trimmed(bb_view_of(row.p, (size_t)(equals - row.p))),
			 trimmed(bb_view_from(row, (size_t)(equals - row.p) + 1)),
			 origin != NULL ? origin : path);
	}
	return r;
}

static char *home_file(const char *name)
{
	const char *home = getenv("HOME");

	return home == NULL ? NULL : bb_text_printf("%s/%s", home, name);
}

/* The directory of npm itself: two above the script that `npm` on PATH leads to. NULL: no npm. */
static char *npm_directory(void)
{
	const char *path = getenv("PATH");
	BB_AUTO_FREE char *all = strdup(path == NULL ? "" : path);
	char *rest = all, *dir;

	while (rest != NULL && (dir = strsep(&rest, ":")) != NULL) {
		BB_AUTO_FREE char *program = bb_text_printf("%s/npm", dir);
		BB_AUTO_FREE char *real = NULL;
		char *slash;

		if (dir[0] != '/' || program == NULL || access(program, X_OK) < 0)
			continue;
		real = realpath(program, NULL);
		for (int up = 0; real != NULL && up < 2; up++) {
			slash = strrchr(real, '/');
			if (slash == NULL)
				return NULL;
			*slash = '\0';
		}
		return bb_take_ptr(&real);
	}
	return NULL;
}

/* `'registry', { default: 'https://...'` in the table of npm's own settings, where npm 7 and later
 * have it. */
static int take_default(struct npmrc *c, const char *npm)
{
	static const char *const tables[] = {
		"node_modules/@npmcli/config/lib/definitions/definitions.js",
		"../@npmcli/config/lib/definitions/definitions.js",
		"lib/utils/config/definitions.js",
	};
	static const char row[] = "'registry', {", value[] = "default: ";

	for (size_t i = 0; i < BB_ARRAY_LEN(tables); i++) {
		BB_AUTO_FREE char *path = bb_text_printf("%s/%s", npm, tables[i]);
		BB_AUTO_BUF struct bb_buf text = { .cap = SOURCES_MAX };
		BB_AUTO_FREE char *all = NULL;
		char *at, *end;

		if (path == NULL || access(path, R_OK) < 0 ||
		    bb_path_read(path, 0, &text, NULL) < 0)
			continue;
		all = bb_buf_dup_str(&text);
		at = all == NULL ? NULL : strstr(all, row);
		at = at == NULL ? NULL : strstr(at, value);
		if (at == NULL)
			continue;
		at += sizeof(value) - 1;
		end = at[0] == '\0' ? NULL : strchr(at + 1, at[0]);
		if (end == NULL)
			continue;
		c->has_registry = true;
		return manifest_site_add(c->sites,
					 bb_view_of((uint8_t *)at + 1, (size_t)(end - at) - 1),
					 "npm's own default", c->err);
	}
	return 0;
}

int cli_npmrc_sites(struct manifest_sites *sites, struct bb_err *err)
{
	struct npmrc c = { .sites = sites, .err = err };
	const char *user = getenv("NPM_CONFIG_USERCONFIG");
	BB_AUTO_FREE char *own = home_file(".npmrc");
	BB_AUTO_FREE char *npm = npm_directory();
	BB_AUTO_FREE char *builtin = npm == NULL ? NULL : bb_text_printf("%s/npmrc", npm);
	BB_AUTO_FREE char *global = NULL;
	int r = take_environment(&c);

	if (user == NULL)
		user = getenv("npm_config_userconfig");
	if (r == 0)
		r = take_file(&c, user != NULL ? user : own);
	/* PREFIX/lib/node_modules/npm has its global file in PREFIX/etc; others name it. */
	if (npm != NULL && c.global == NULL)
		global = bb_text_printf("%s/../../../etc/npmrc", npm);
	if (r == 0)
		r = take_file(&c, c.global != NULL ? c.global : global);
	if (r == 0)
		r = take_file(&c, builtin);
	if (r == 0 && !c.has_registry && npm != NULL)
		r = take_default(&c, npm);
	free(c.global);
	if (r < 0)
		return r;
	if (!c.has_registry)
		return bb_err_set(err, BB_E_MISSING,
				  "no registry is configured for npm on this host; run: npm config "
				  "set registry URL, or install npm");
	return 0;
}
