/* The registry, and what every provider shares: proxy and certificate variables; see provider.h. */
#include "provider/provider_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

static const struct provider *const providers[] = { &provider_claude };
static const char *const planned[] = { "codex", "pi", "gemini", "opencode", NULL };

const struct provider *provider_find(const char *name)
{
	if (name == NULL)
		return &provider_plain;
	for (size_t i = 0; i < BB_ARRAY_LEN(providers); i++)
		if (strcmp(providers[i]->name, name) == 0)
			return providers[i];
	return NULL;
}

const char *const *provider_names(void)
{
	static const char *names[BB_ARRAY_LEN(providers) + 1];

	for (size_t i = 0; i < BB_ARRAY_LEN(providers); i++)
		names[i] = providers[i]->name;
	return names;
}

bool provider_is_planned(const char *name)
{
	for (size_t i = 0; planned[i] != NULL; i++)
		if (strcmp(planned[i], name) == 0)
			return true;
	return false;
}

void provider_plan_free(struct provider_plan *plan)
{
	if (plan == NULL)
		return;
	bb_strv_free(plan->env);
	bb_strv_free(plan->argv);
	bb_strv_free(plan->state);
	bb_strv_free(plan->env_names);
	for (size_t i = 0; i < plan->route_count; i++)
		policy_route_done(&plan->routes[i]);
	free(plan->routes);
	for (size_t i = 0; i < plan->file_count; i++) {
		free(plan->files[i].path);
		free(plan->files[i].content);
	}
	free(plan->files);
	free(plan);
}

int provider_add_env(struct provider_plan *plan, const char *name, const char *value)
{
	if (bb_strv_push(&plan->env, bb_text_printf("%s=%s", name, value)) < 0)
		return -ENOMEM;
	return bb_strv_push(&plan->env_names, strdup(name));
}

int provider_add_arg(struct provider_plan *plan, const char *arg)
{
	return bb_strv_push(&plan->argv, strdup(arg));
}

int provider_add_state(struct provider_plan *plan, const char *name)
{
	return bb_strv_push(&plan->state, strdup(name));
}

int provider_add_file(struct provider_plan *plan, const char *path, char *content)
{
	BB_AUTO_FREE char *owned = content;
	struct provider_file *grown;
	char *copy;

	if (content == NULL)
		return -ENOMEM;
	grown = reallocarray(plan->files, plan->file_count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	plan->files = grown;
	copy = strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	grown[plan->file_count].path = copy;
	grown[plan->file_count++].content = bb_take_ptr(&owned);
	return 0;
}

struct policy_route *provider_add_route(struct provider_plan *plan, const char *host,
					const char *origin)
{
	struct policy_route *grown =
		reallocarray(plan->routes, plan->route_count + 1, sizeof(*grown));
	struct policy_route *route;

	if (grown == NULL)
		return NULL;
	plan->routes = grown;
	route = &grown[plan->route_count++];
	memset(route, 0, sizeof(*route));
	route->host = strdup(host);
	route->origin = strdup(origin);
	route->tls_ports[route->tls_port_count++] = 443;
	return route->host == NULL || route->origin == NULL ? NULL : route;
}

int provider_add_match(struct policy_route *route, const char *method, const char *path,
		       bool is_prefix)
{
	struct policy_match *match = policy_match_add(route);

	if (match == NULL ||
	    policy_value_add(&match->paths, is_prefix ? POLICY_PREFIX : POLICY_EXACT, NULL, path) ==
		    NULL)
		return -ENOMEM;
	return bb_strv_push(&match->methods, strdup(method));
}

char *provider_json_text(const char *s)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	int r = 0;

	bb_buf_init(&out, SIZE_MAX / 8);
	for (; r == 0 && *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			r = bb_buf_printf(&out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			r = bb_buf_printf(&out, "\\u%04x", c);
		else
			r = bb_buf_append_byte(&out, c);
	}
	return r < 0 ? NULL : bb_buf_dup_str(&out);
}

/*
 * Programs that carry roots of their own need to be told where the guest's bundle is, the bottle's
 * CA included; each reads another variable. JVM and NSS stores are files and belong to the image.
 */
static const char *const ca_variables[] = {
	"SSL_CERT_FILE",       /* OpenSSL, Go, Ruby, many others */
	"NODE_EXTRA_CA_CERTS", /* node, Claude Code */
	"REQUESTS_CA_BUNDLE",  /* python requests */
	"PIP_CERT",
	"CURL_CA_BUNDLE",
	"GIT_SSL_CAINFO", /* also where git uses GnuTLS */
	"CARGO_HTTP_CAINFO",
	"AWS_CA_BUNDLE",
	"DENO_CERT",
	"BUNDLE_SSL_CA_CERT",
	"HEX_CACERTS_PATH",
	"NIX_SSL_CERT_FILE",
	"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
	"NPM_CONFIG_CAFILE",
	"YARN_HTTPS_CA_FILE_PATH",
	"CODEX_CA_CERTIFICATE", /* rustls with its own roots */
};

/* Both spellings: curl reads http_proxy in lower case only, others the upper case only. */
static const struct {
	const char *name, *value;
} shared_variables[] = {
	{ "HTTP_PROXY", PROVIDER_PROXY },
	{ "http_proxy", PROVIDER_PROXY },
	{ "HTTPS_PROXY", PROVIDER_PROXY },
	{ "https_proxy", PROVIDER_PROXY },
	{ "NO_PROXY", "127.0.0.1,localhost,::1" },
	{ "no_proxy", "127.0.0.1,localhost,::1" },
	{ "NODE_USE_ENV_PROXY", "1" },
};

static int add_shared(struct provider_plan *plan)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(shared_variables); i++)
		r = provider_add_env(plan, shared_variables[i].name, shared_variables[i].value);
	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(ca_variables); i++)
		r = provider_add_env(plan, ca_variables[i], PROVIDER_CA_BUNDLE);
	return r;
}

int provider_prepare(const struct provider *p, const struct provider_input *in,
		     struct provider_plan **ret, struct bb_err *err)
{
	BB_AUTO(provider_plan) struct provider_plan *plan = calloc(1, sizeof(*plan));
	int r;

	if (plan == NULL || add_shared(plan) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = p->prepare(in, plan, err);
	if (r == -ENOMEM)
		return bb_err_set(err, r, "out of memory");
	if (r < 0)
		return r;
	*ret = bb_take_ptr(&plan);
	return 0;
}
