/* For the files of this folder: building a plan. Each call fails with -ENOMEM only. */
#ifndef BB_PROVIDER_PROVIDER_IMPL_H
#define BB_PROVIDER_PROVIDER_IMPL_H

#include "provider/provider.h"

int provider_add_env(struct provider_plan *plan, const char *name, const char *value);
int provider_add_arg(struct provider_plan *plan, const char *arg);
int provider_add_state(struct provider_plan *plan, const char *name);
/* Takes content. */
int provider_add_file(struct provider_plan *plan, const char *path, char *content);
/* An empty route that the caller fills with heap strings; NULL: out of memory. */
struct policy_route *provider_add_route(struct provider_plan *plan, const char *host,
					const char *origin);
int provider_add_match(struct policy_route *route, const char *method, const char *path,
		       bool is_prefix);
/* s as the inside of a JSON string. */
char *provider_json_text(const char *s);

extern const struct provider provider_plain;
extern const struct provider provider_claude;

#endif
