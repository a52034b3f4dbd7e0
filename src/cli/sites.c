/* See sites.h. apt's sources are filtered as for the images: the release's own archives alone. */
#include "cli/sites.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"
#include "cli/npmrc.h"
#include "image/sources.h"

#define SOURCES_MAX (256 * 1024)

/* "URIs: a b": adds those that are fetched by HTTP; a CD or a directory is no host. */
static int take_uris(struct manifest_sites *sites, struct bb_view line, struct bb_err *err)
{
	while (line.n > 0) {
		size_t n = 0;
		int r;

		while (n < line.n && line.p[n] != ' ')
			n++;
		if (n > 4 && memcmp(line.p, "http", 4) == 0) {
			r = manifest_site_add(sites, bb_view_of(line.p, n),
					      "this host's apt sources", err);
			if (r < 0)
				return r;
		}
		line = bb_view_from(line, n < line.n ? n + 1 : n);
	}
	return 0;
}

static int debian_sites(struct manifest_sites *sites, struct bb_err *err)
{
	static const char key[] = "URIs: ";
	BB_AUTO_BUF struct bb_buf sources = { .cap = SOURCES_MAX };
	BB_AUTO_FREE char *codename = NULL;
	struct bb_view rest;
	int r = sources_of_host(&sources, &codename, err);

	rest = bb_buf_peek(&sources);
	while (r == 0 && rest.n > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		struct bb_view line =
			bb_view_of(rest.p, end == NULL ? rest.n : (size_t)(end - rest.p));

		rest = bb_view_from(rest, end == NULL ? rest.n : line.n + 1);
		if (line.n > sizeof(key) && memcmp(line.p, key, sizeof(key) - 1) == 0)
			r = take_uris(sites, bb_view_from(line, sizeof(key) - 1), err);
	}
	if (r == 0 && sites->count == 0)
		r = bb_err_set(err, BB_E_MISSING,
			       "apt on this host takes its packages from no http or https address");
	return r;
}

static const struct {
	const char *name;
	int (*put)(struct manifest_sites *sites, struct bb_err *err);
} managers[] = {
	{ "npm", cli_npmrc_sites },
	{ "debian", debian_sites },
};

static int sites_of(void *arg, const char *from, struct manifest_sites *ret, struct bb_err *err)
{
	(void)arg;
	for (size_t i = 0; i < BB_ARRAY_LEN(managers); i++)
		if (strcmp(managers[i].name, from) == 0)
			return managers[i].put(ret, err);
	return bb_err_set(err, BB_E_USAGE, "hosts_from: '%s' is not known",
			  BB_ESCAPED(bb_view_str(from)));
}

int cli_expand_presets(struct manifest_bottle *b, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = NULL;
	struct manifest_presets from = { .sites = sites_of };

	if (b->preset_count == 0)
		return 0;
	dir = bb_path_data("presets", err);
	if (dir == NULL)
		return err->code;
	from.dir = dir;
	return manifest_expand_presets(b, &from, err);
}
