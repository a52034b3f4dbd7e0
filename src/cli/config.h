/*
 * The effective configuration of one start: manifests, provider and command line put together and
 * checked. Reads files and variable names only; nothing is changed and no secret's value is kept.
 */
#ifndef BB_CLI_CONFIG_H
#define BB_CLI_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "backend/backend.h"
#include "cli/command.h"
#include "cli/places.h"
#include "manifest/manifest.h"
#include "provider/provider.h"
#include "store/store.h"
#include "workspace/list.h"

struct cli_config {
	struct cli_places places;
	struct manifest_agent *agent;
	struct manifest_bottle *bottle;
	const struct provider *provider;
	struct provider_plan *plan;
	const char *backend;      /* static */
	const char *backend_from; /* "--backend", "BOT_BOTTLE_BACKEND", "default" */
	const char *image, *image_from;
	struct policy *policy; /* the provider's routes and the manifest's */
	char **env;            /* NAME=value: the guest's base environment */
	char **token_refs;     /* host variables whose values egress gets */
	char **notes;          /* what the operator should know before saying yes */
	char **not_built;      /* why it cannot start: manifest_not_built() */
	char **env_notes;      /* one for each of the bottle's env, NULL for none */
	uint16_t *ports;       /* that routes name, beside 80 and 443; unique */
	size_t port_count;
	struct backend_resources resources;
	char *cwd;            /* host directory that is copied in; NULL: none */
	bool has_bottles_cwd; /* the bottle names it, not the command line */
	char **include; /* credential-looking or ignored files of it that go along all the same */
	bool no_git;    /* no repository is looked for */
	struct workspace_list *files; /* what goes along: cli_copyin_list(); NULL: not listed */
	char *task;                   /* --prompt, --prompt-file */
	const char *input; /* given to the main session in place of standard input; NULL: none */
	char **argv; /* the main session's command line; borrowed from plan or the command line */
	const char *guest_cwd;
	bool has_workspace; /* it is the workspace, copied in or kept */
	const char *label;  /* NULL: none */
	const char *color;  /* of the label in lists: a name of cli/color.h; NULL: none */
	bool is_headless;
	const struct store_meta *resumed; /* NULL: a new bottle */
	bool is_json;                     /* --json: what was started is printed for programs */
	bool is_detached; /* the command leaves when the agent runs; the bottle lives on */
	bool may_lack_tokens;
};

/* may_lack_tokens: variables that are not set become notes, for commands that only look. */
int cli_config_load(const struct cli_args *args, bool may_lack_tokens, struct cli_config **ret,
		    struct bb_err *err);
/* The configuration of an ended bottle that lives again: the manifests as they are now, the rest as
 * it was. args are a start's, made of meta (borrowed while the configuration lives). */
int cli_config_resume(const struct cli_args *args, const struct store_meta *meta,
		      struct cli_config **ret, struct bb_err *err);
/* Asks for the env values that are asked for at the start, on /dev/tty, into c->env. */
int cli_config_ask(struct cli_config *c, struct bb_err *err);
void cli_config_free(struct cli_config *c);
BB_DEFINE_AUTO(cli_config, cli_config_free)

/* The one page that says what this bottle may do, as YAML with the source of each line. Nothing is
 * allowed that it does not show. */
void cli_config_print(const struct cli_config *c, FILE *to);

#endif
