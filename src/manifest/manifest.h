/*
 * Manifests: what the operator wrote, as typed, validated structs. A bottle
 * (ROOT/bottles/NAME.md) says what a guest may reach and use, an agent (ROOT/agents/NAME.md) which
 * bottle it runs in and what it is told. Markdown with YAML front matter; the YAML is a strict
 * subset (node.h). Everything is checked here, before anything starts: an unknown key is an error
 * with a suggestion, and a key of the format that this build cannot honour is refused by name.
 *
 * Errors read "manifest 'bottles/dev.md':12: sentence" and have the code BB_E_USAGE.
 */
#ifndef BB_MANIFEST_MANIFEST_H
#define BB_MANIFEST_MANIFEST_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/view.h"
#include "policy/policy.h"

/* Where a value was written. file borrows from the manifest's `files`; NULL: not stated. */
struct manifest_origin {
	const char *file;
	unsigned line;
};

/* One entry of `env`: a literal, or the value of a variable of the operator's own environment. */
struct manifest_env {
	char *name;
	char *value;    /* literal; NULL when host_var is set */
	char *host_var; /* `${HOST_VAR}`; NULL: literal */
	struct manifest_origin at;
};

struct manifest_resources {
	uint32_t cpus; /* 0 in any field: not stated */
	uint64_t memory_bytes;
	uint64_t disk_bytes;
	uint32_t pids;
	uint32_t max_seconds;
	struct manifest_origin cpus_at, memory_at, disk_at, pids_at, time_at;
};

struct manifest_bottle {
	char *name;     /* several side by side: "dev,claude" */
	char **files;   /* every file it was put together from: "bottles/dev.md" */
	char *chain;    /* the names with their parents: "dev <- base"; NULL: read from bytes */
	char **extends; /* as written, by manifest_parse_bottle() only; NULL: none */
	struct manifest_origin extends_at;
	struct manifest_env *env;
	size_t env_count;
	char *provider; /* agent_provider.template; NULL: none */
	struct manifest_origin provider_at;
	char *auth_token; /* name of a host variable, or NULL */
	char *image;      /* NULL: the provider's, else "base" */
	struct manifest_origin image_at;
	struct policy *policy;
	uint32_t log; /* egress.log: 0 or 1 */
	struct manifest_origin log_at;
	struct manifest_resources resources;
};

struct manifest_agent {
	char *name;
	char *file;
	char *bottle; /* NULL: named on the command line */
	unsigned bottle_line;
	char *prompt; /* the body, white space at both ends removed; may be empty */
};

/*
 * The bottle that names (NULL-terminated, at least one) make together, side by side, from
 * ROOT/bottles/NAME.md and what each of them extends. Every file is valid by itself before it is
 * merged. An unknown name is BB_E_USAGE with the nearest name there is.
 */
int manifest_load_bottle(const char *root, char *const *names, struct manifest_bottle **ret,
			 struct bb_err *err);
/* Reads ROOT/agents/NAME.md. */
int manifest_load_agent(const char *root, const char *name, struct manifest_agent **ret,
			struct bb_err *err);

/* The same from bytes, one file by itself; file is how errors call it. For tests and the fuzzer. */
int manifest_parse_bottle(struct bb_view text, const char *name, const char *file,
			  struct manifest_bottle **ret, struct bb_err *err);
int manifest_parse_agent(struct bb_view text, const char *name, const char *file,
			 struct manifest_agent **ret, struct bb_err *err);

void manifest_bottle_free(struct manifest_bottle *b);
void manifest_agent_free(struct manifest_agent *a);
BB_DEFINE_AUTO(manifest_bottle, manifest_bottle_free)
BB_DEFINE_AUTO(manifest_agent, manifest_agent_free)

/* Names of the manifests of a kind ("bottles" or "agents"), sorted, NULL-terminated. A missing
 * directory is an empty list. Nothing is parsed: one broken file does not hide the others. */
char **manifest_list(const char *root, const char *kind, struct bb_err *err);

#endif
