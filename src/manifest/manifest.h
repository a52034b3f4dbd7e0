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
	bool is_wider; /* allows what the parents of the bottle that says it did not */
};

/* One entry of `env`: exactly one of value, host_var and question is set. */
struct manifest_env {
	char *name;
	char *value;    /* literal */
	char *host_var; /* `${HOST_VAR}`: of the operator's own environment */
	char *question; /* `"?question"`: asked at the start */
	struct manifest_origin at;
};

/* `settings` of the provider pi. */
struct manifest_settings {
	char *provider, *base_url, *api, *api_key; /* NULL: not stated */
	char **models;                             /* NULL: not stated */
	char **compat;                             /* flags: "NAME=true", "NAME=false" */
	struct manifest_origin at;                 /* file NULL: no settings at all */
};

enum manifest_key_kind {
	MANIFEST_KEY_STATIC, /* a key file of the operator's */
	MANIFEST_KEY_GITEA,  /* a deploy key for this bottle, made with a forge token */
};
#define MANIFEST_NUM_KEY_KINDS 2
extern const char *const manifest_key_kinds[MANIFEST_NUM_KEY_KINDS]; /* as `provider` says it */

/* One of `git-gate.repos`. */
struct manifest_repo {
	char *name, *url;
	char *host_key; /* NULL: not stated */
	enum manifest_key_kind key_kind;
	char *key_path;        /* static */
	char *forge_token_env; /* gitea: host variable */
	struct manifest_origin at, url_at, host_key_at, key_at;
};

struct manifest_git_user {
	char *name, *email; /* NULL: not stated */
	struct manifest_origin name_at, email_at;
};

struct manifest_git {
	struct manifest_git_user user;
	struct manifest_repo *repos;
	size_t repo_count;
};

enum manifest_on_match {
	MANIFEST_MATCH_UNSTATED,
	MANIFEST_MATCH_SUPERVISE,
	MANIFEST_MATCH_REDACT,
	MANIFEST_MATCH_BLOCK,
};
#define MANIFEST_NUM_ON_MATCHES 4
extern const char *const manifest_on_matches[MANIFEST_NUM_ON_MATCHES];
/* Bit i stands for detector i. */
#define MANIFEST_NUM_OUTBOUND 3
#define MANIFEST_NUM_INBOUND  1
extern const char *const manifest_outbound_detectors[MANIFEST_NUM_OUTBOUND];
extern const char *const manifest_inbound_detectors[MANIFEST_NUM_INBOUND];

/* `dlp` of a route. */
struct manifest_dlp {
	bool has_outbound, has_inbound; /* stated; without bits: `false`, the direction is off */
	uint32_t outbound, inbound;
	enum manifest_on_match on_match;
	struct manifest_origin at; /* file NULL: no `dlp` */
};

/* What a policy_route does not hold: one for each route of the bottle's policy. */
struct manifest_route {
	struct manifest_origin at;
	size_t entry; /* index in the list of the file: a preset makes several routes of one */
	struct manifest_dlp dlp;
};

/* `workspace`: what is copied in. A directory named on the command line wins over path. */
struct manifest_workspace {
	char *path;     /* absolute or "~/..."; NULL: not stated */
	char **include; /* relative names that are taken although they look like credentials or are
			   git-ignored; NULL: none */
	bool has_git;   /* a clean .git goes along: the default */
	struct manifest_origin path_at, include_at, git_at;
};

struct manifest_resources {
	uint32_t cpus; /* 0 in any field: not stated */
	uint64_t memory_bytes;
	uint64_t disk_bytes;
	uint32_t pids;
	uint32_t max_seconds;
	struct manifest_origin cpus_at, memory_at, disk_at, pids_at, time_at;
};

/* `- preset: NAME` as written; preset.h expands it. */
struct manifest_preset {
	char *name;
	char *argument;           /* behind "NAME:"; NULL: none */
	struct policy_route auth; /* holds `auth` alone */
	size_t entry;             /* as a route's */
	struct manifest_origin at;
};

struct manifest_bottle {
	char *name;     /* several side by side: "dev,claude" */
	char **names;   /* the same one by one */
	char **files;   /* every file it was put together from: "bottles/dev.md" */
	char *chain;    /* the names with their parents: "dev <- base"; NULL: read from bytes */
	char **extends; /* as written, by manifest_parse_bottle() only; NULL: none */
	struct manifest_origin extends_at;
	struct manifest_env *env;
	size_t env_count;
	char *provider; /* agent_provider.template; NULL: none */
	struct manifest_origin provider_at;
	char *auth_token; /* name of a host variable, or NULL */
	struct manifest_origin auth_token_at;
	bool forwards_credentials; /* codex: the host's own login */
	struct manifest_origin forwards_at;
	struct manifest_settings settings; /* pi */
	char *image;                       /* NULL: the provider's, else "base" */
	struct manifest_origin image_at;
	struct manifest_git git;
	struct policy *policy;
	struct manifest_route *routes;   /* one for each of policy's */
	struct manifest_preset *presets; /* not in policy before manifest_expand_presets() */
	size_t preset_count;
	uint32_t log; /* egress.log: 0 to 2 */
	struct manifest_origin log_at;
	struct manifest_workspace workspace;
	struct manifest_resources resources;
	struct manifest_origin supervise_at; /* `supervise: true`; file NULL: not stated */
};

struct manifest_agent {
	char *name;
	char *file; /* "agents/x.md", or "./.bot-bottle/agents/x.md" of the working directory */
	bool is_from_cwd;
	char *bottle; /* NULL: named on the command line */
	unsigned bottle_line;
	char **skills; /* NULL: none */
	unsigned skills_line;
	struct manifest_git_user git_user;
	char *prompt; /* the body, white space at both ends removed; may be empty */
};

/* Where manifests are looked for: bottles in home only, agents in both. */
struct manifest_places {
	const char *home; /* ~/.bot-bottle */
	const char *cwd;  /* .bot-bottle of the working directory; NULL: none, or it is home's */
};

/*
 * The bottle that names (NULL-terminated, at least one) make together, side by side, from
 * ROOT/bottles/NAME.md and what each of them extends. Every file is valid by itself before it is
 * merged. An unknown name is BB_E_USAGE with the nearest name there is.
 */
int manifest_load_bottle(const char *root, char *const *names, struct manifest_bottle **ret,
			 struct bb_err *err);
/* The one that the agent names, which it must; an error says where it does. */
int manifest_load_bottle_of(const char *root, const struct manifest_agent *a,
			    struct manifest_bottle **ret, struct bb_err *err);
/* Reads agents/NAME.md of one of the places; a name that both have is refused. */
int manifest_load_agent(const struct manifest_places *places, const char *name,
			struct manifest_agent **ret, struct bb_err *err);

/* The same from bytes, one file by itself; file is how errors call it. For tests and the fuzzer. */
int manifest_parse_bottle(struct bb_view text, const char *name, const char *file,
			  struct manifest_bottle **ret, struct bb_err *err);
int manifest_parse_agent(struct bb_view text, const char *name, const char *file,
			 struct manifest_agent **ret, struct bb_err *err);

void manifest_bottle_free(struct manifest_bottle *b);
void manifest_agent_free(struct manifest_agent *a);
BB_DEFINE_AUTO(manifest_bottle, manifest_bottle_free)
BB_DEFINE_AUTO(manifest_agent, manifest_agent_free)

/* Who commits in the guest: the agent's own fields over the bottle's. Borrowed. */
struct manifest_git_user manifest_git_user_of(const struct manifest_agent *a,
					      const struct manifest_bottle *b);

/* What of it this build could not honour: one sentence each, "manifest 'FILE':LINE: ...",
 * NULL-terminated. With any they do not start. NULL: out of memory. */
char **manifest_not_built(const struct manifest_bottle *b);

/* Names of the manifests of a kind ("bottles" or "agents"), sorted, NULL-terminated. A missing
 * directory is an empty list. Nothing is parsed: one broken file does not hide the others. */
char **manifest_list(const char *root, const char *kind, struct bb_err *err);
/* Names of the agents of both places, sorted, each once. */
char **manifest_list_agents(const struct manifest_places *places, struct bb_err *err);
/* Files of a kind that nobody can name: "Bad Name.md". Sorted, NULL-terminated. */
char **manifest_list_misnamed(const char *root, const char *kind, struct bb_err *err);

#endif
