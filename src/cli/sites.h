/* The hosts of this computer's own package managers, for presets that ask for them. */
#ifndef BB_CLI_SITES_H
#define BB_CLI_SITES_H

#include "manifest/preset.h"

/* Expands the presets of a bottle; see manifest/preset.h. Reads files only. */
int cli_expand_presets(struct manifest_bottle *b, struct bb_err *err);

#endif
