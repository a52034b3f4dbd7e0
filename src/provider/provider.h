/*
 * Providers: what a given agent program needs inside a bottle so that it works at its first start,
 * unattended, with a placeholder for a credential. Pure: texts and routes, no I/O.
 */
#ifndef BB_PROVIDER_PROVIDER_H
#define BB_PROVIDER_PROVIDER_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "mux/proto.h"
#include "policy/policy.h"

#define PROVIDER_HOME      "/home/node"
#define PROVIDER_WORKSPACE "/home/node/workspace"
#define PROVIDER_PROXY     PROTO_PROXY_URL
#define PROVIDER_CA_BUNDLE                                                     \
	"/etc/ssl/certs/ca-certificates.crt" /* the guest's, with our CA in it \
					      */

struct provider_input {
	/* Name of the host variable with the token, as the manifest says; NULL: look for the
	 * provider's own names. */
	const char *auth_token;
	/* Is this variable set and not empty on the host? Values are never asked for. */
	bool (*has_variable)(void *arg, const char *name);
	void *arg;
	const char *agent;         /* name of the agent */
	const char *system_prompt; /* body of the agent's manifest; empty: none */
	bool is_headless;
	bool is_resumed;  /* go on with the conversation that is in the kept state, if there is one
			   */
	const char *task; /* --prompt; NULL: none */
	const char *cwd;  /* working directory in the guest */
};

/* A file that is put into the guest before the agent starts; the path is below PROVIDER_HOME. */
struct provider_file {
	char *path, *content;
};

struct provider_plan {
	char **env;   /* NAME=value, added to the guest's base environment */
	char **argv;  /* the agent's command line */
	char **state; /* names in the home that hold the agent's own state: kept for a resumption;
		       * NULL: it has none */
	char **env_names;            /* names in env that a manifest may not set */
	struct policy_route *routes; /* win over a manifest's route for the same host */
	size_t route_count;
	struct provider_file *files;
	size_t file_count;
};

struct provider {
	const char *name;  /* agent_provider.template */
	const char *image; /* used when the manifest names none */
	int (*prepare)(const struct provider_input *in, struct provider_plan *plan,
		       struct bb_err *err);
};

/* NULL name: the plain provider, a login shell in the image "base". Unknown: NULL. */
const struct provider *provider_find(const char *name);
/* Names for agent_provider.template, NULL-terminated; the plain one is not among them. */
const char *const *provider_names(void);
/* One of the original that is not built. */
bool provider_is_planned(const char *name);

int provider_prepare(const struct provider *p, const struct provider_input *in,
		     struct provider_plan **ret, struct bb_err *err);
void provider_plan_free(struct provider_plan *plan);
BB_DEFINE_AUTO(provider_plan, provider_plan_free)

#endif
