/*
 * What is read and printed in full and keeps a bottle from starting, because the service that would
 * honour it is not built. One row a key; the row goes when the service comes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "manifest/bottle_impl.h"

static int add(char ***all, const struct manifest_origin *at, const char *sentence)
{
	return bb_strv_push(all,
			    bb_text_printf("manifest '%s':%u: %s", at->file, at->line, sentence));
}

static int add_routes(char ***all, const struct manifest_bottle *b)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->policy->route_count; i++)
		if (b->routes[i].dlp.at.file != NULL)
			r = add(all, &b->routes[i].dlp.at,
				"'dlp' is not built yet: this version does not scan what goes to "
				"an allowed host; take it out to start without a scan");
	return r;
}

char **manifest_not_built(const struct manifest_bottle *b)
{
	BB_AUTO_STRV char **all = calloc(1, sizeof(*all));
	int r = all == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < b->git.repo_count; i++)
		r = add(&all, &b->git.repos[i].at,
			"'git-gate.repos' is not built yet: this version has no git remotes; take "
			"it out to start without them");
	if (r == 0)
		r = add_routes(&all, b);
	if (r == 0 && b->supervise_at.file != NULL)
		r = add(&all, &b->supervise_at,
			"'supervise' is not built yet: nobody would be asked; take it out (it has "
			"no other value)");
	return r < 0 ? NULL : bb_take_ptr(&all);
}
