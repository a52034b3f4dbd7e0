/* Where this command looks for manifests: the operator's own, and the working directory's agents.
 */
#ifndef BB_CLI_PLACES_H
#define BB_CLI_PLACES_H

#include "manifest/manifest.h"

struct cli_places {
	char *home, *cwd;          /* owned; cwd NULL: none */
	struct manifest_places in; /* the same for manifest/ */
	char **notes;              /* what the working directory has and does not count; or NULL */
};

/* Reads names only. The caller's struct is zeroed. */
int cli_places_find(struct cli_places *ret, struct bb_err *err);
void cli_places_done(struct cli_places *p);

#endif
