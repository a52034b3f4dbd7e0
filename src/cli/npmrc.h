/*
 * The registries of the operator's own npm configuration, read as npm reads it but without running
 * it: environment, the user's npmrc, the global and the built-in one, and last the default in npm's
 * own sources. The working directory's .npmrc is left out: a repository must not say what its
 * agent may reach.
 */
#ifndef BB_CLI_NPMRC_H
#define BB_CLI_NPMRC_H

#include "manifest/preset.h"

/* Adds the registry and those of scopes. BB_E_MISSING: none is configured and npm is not here. */
int cli_npmrc_sites(struct manifest_sites *sites, struct bb_err *err);

#endif
