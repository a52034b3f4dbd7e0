/*
 * Presets: `- preset: NAME` under `egress.routes` stands for routes that a data file lists
 * (share/bot-bottle/presets/NAME.yaml), each with its methods and paths, in the words of a
 * manifest, so that a reader can check them. Whose hosts depend on this computer's own
 * configuration says so (`hosts_from`), and the caller's function tells them. Parsing a bottle
 * only records what it asks for; expanding is a step of its own, as it reads other files.
 */
#ifndef BB_MANIFEST_PRESET_H
#define BB_MANIFEST_PRESET_H

#include "manifest/manifest.h"

/* One place that a package manager of this computer takes packages from. */
struct manifest_site {
	char *host;
	uint16_t port;
	bool is_plain; /* http */
	char *path;    /* "/debian"; "/" for the whole host */
	char *origin;  /* "~/.npmrc:3": for people */
};

struct manifest_sites {
	struct manifest_site *items;
	size_t count;
};

/* Fills ret for "npm" or "debian"; each entry is checked to be what its comments promise. */
typedef int manifest_sites_cb(void *arg, const char *from, struct manifest_sites *ret,
			      struct bb_err *err);

struct manifest_presets {
	const char *dir; /* of the data files */
	manifest_sites_cb *sites;
	void *arg;
};

/* http:// or https:// with a host that a route can name; user names, queries and fragments are
 * dropped: they may hold credentials. Adds to sites what is not there yet. */
int manifest_site_add(struct manifest_sites *sites, struct bb_view url, const char *origin,
		      struct bb_err *err);
void manifest_sites_done(struct manifest_sites *sites);

/* Adds the routes of every preset that b asks for to b->policy; their origin reads
 * "preset npm (bottles/dev.md:7)". Two presets may share a host: what either allows is allowed.
 * A host that b itself has a route for is refused. */
int manifest_expand_presets(struct manifest_bottle *b, const struct manifest_presets *from,
			    struct bb_err *err);

/* "npm", "github-repo:owner/name": is there such a file, and does the argument fit? Nothing is
 * read. ret_name and ret_argument (NULL: none) are on the heap. */
int manifest_preset_split(const char *text, char **ret_name, char **ret_argument,
			  struct bb_err *err);

#endif
