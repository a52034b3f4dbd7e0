/*
 * Egress routes. One entry a host; ports are TLS (443 unless stated) or plain HTTP where listed
 * under `plain_ports`, which never go together with a credential.
 */
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"
#include "manifest/preset.h"

struct route_reading {
	struct policy_route route; /* strings owned by this struct; policy_add() copies */
	struct manifest_dlp dlp;
	bool has_tls_ports, has_plain_ports;
	unsigned place_count; /* of the places that `auth` names for the token */
	char *preset, *preset_argument;
	unsigned host_line, auth_line, plain_line, matches_line, private_line;
};

static void reading_done(struct route_reading *t)
{
	policy_route_done(&t->route);
	free(t->preset);
	free(t->preset_argument);
}

bool manifest_is_hop_header(const char *name)
{
	static const char *const names[] = { "host",
					     "connection",
					     "content-length",
					     "transfer-encoding",
					     "te",
					     "trailer",
					     "upgrade",
					     "expect",
					     "keep-alive",
					     "proxy-connection",
					     "proxy-authorization" };

	return bb_table_index(names, BB_ARRAY_LEN(names), bb_view_str(name)) >= 0;
}

static int take_host(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct route_reading *t = target;
	struct bb_err inner = { 0 };
	int result;

	t->host_line = value->line;
	result = policy_parse_host(bb_view_str(value->text), &t->route.host, &t->route.is_wildcard,
				   &inner);
	if (result < 0)
		return manifest_refuse(r, value->line, "%s", inner.msg);
	return 0;
}

static int take_preset(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct route_reading *t = target;
	struct bb_err inner = { 0 };
	int result;

	result = manifest_preset_split(value->text, &t->preset, &t->preset_argument, &inner);
	if (result < 0)
		return manifest_refuse(r, value->line, "%s", inner.msg);
	return 0;
}

static int take_ports(const struct manifest_reader *r, const struct manifest_node *list,
		      uint16_t *ports, size_t *count)
{
	if (list->count == 0)
		return manifest_refuse(r, list->line, "'%s' is empty; an empty list allows nothing",
				       list->key);
	if (list->count > LIMIT_ROUTE_PORTS)
		return manifest_refuse(r, list->line, "'%s' has %zu ports, limit %d", list->key,
				       list->count, LIMIT_ROUTE_PORTS);
	for (size_t i = 0; i < list->count; i++) {
		uint64_t port = 0;
		int result = manifest_take_number(r, list->items[i], 1, 65535, &port);

		if (result < 0)
			return result;
		for (size_t k = 0; k < *count; k++)
			if (ports[k] == port)
				return manifest_refuse(r, list->items[i]->line,
						       "port %u is listed twice", (unsigned)port);
		ports[(*count)++] = (uint16_t)port;
	}
	return 0;
}

static int take_tls_ports(const struct manifest_reader *r, const struct manifest_node *value,
			  void *target)
{
	struct route_reading *t = target;

	t->has_tls_ports = true;
	return take_ports(r, value, t->route.tls_ports, &t->route.tls_port_count);
}

static int take_plain_ports(const struct manifest_reader *r, const struct manifest_node *value,
			    void *target)
{
	struct route_reading *t = target;

	t->has_plain_ports = true;
	t->plain_line = value->key_line;
	return take_ports(r, value, t->route.plain_ports, &t->route.plain_port_count);
}

static int take_scheme(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	struct route_reading *t = target;

	t->place_count++;
	for (int i = 0; i < POLICY_NUM_AUTH_KINDS; i++) {
		const char *scheme = policy_auth_scheme((enum policy_auth_kind)i);

		if (scheme == NULL || strcmp(value->text, scheme) != 0)
			continue;
		t->route.auth = (enum policy_auth_kind)i;
		return 0;
	}
	return manifest_refuse(
		r, value->line,
		"auth scheme '%s' is not known; there are Bearer, token and Basic, or "
		"'header: NAME' and 'query: NAME' instead of a scheme",
		BB_ESCAPED(bb_view_str(value->text)));
}

static int take_user(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct route_reading *t = target;

	return manifest_take_text(r, value, &t->route.auth_user);
}

static int take_query(const struct manifest_reader *r, const struct manifest_node *value,
		      void *target)
{
	struct route_reading *t = target;

	t->place_count++;
	t->route.auth = POLICY_AUTH_QUERY;
	return manifest_take_text(r, value, &t->route.auth_query);
}

static int take_header(const struct manifest_reader *r, const struct manifest_node *value,
		       void *target)
{
	static const char *const never[] = { "cookie", "content-type", "content-encoding", "accept",
					     "accept-encoding" };
	struct route_reading *t = target;
	size_t n = strlen(value->text);

	t->place_count++;
	if (n == 0 || n > 64)
		return manifest_refuse(r, value->line, "'header' must be a header's name");
	t->route.auth_header = strdup(value->text);
	if (t->route.auth_header == NULL)
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		uint8_t c = bb_ascii_lower((uint8_t)value->text[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return manifest_refuse(r, value->line, "'%s' is not the name of a header",
					       BB_ESCAPED(bb_view_str(value->text)));
		t->route.auth_header[i] = (char)c;
	}
	if (manifest_is_hop_header(t->route.auth_header) ||
	    bb_table_index(never, BB_ARRAY_LEN(never), bb_view_str(t->route.auth_header)) >= 0)
		return manifest_refuse(r, value->line, "header '%s' cannot carry a credential",
				       t->route.auth_header);
	t->route.auth = POLICY_AUTH_HEADER;
	return 0;
}

static int take_token_ref(const struct manifest_reader *r, const struct manifest_node *value,
			  void *target)
{
	struct route_reading *t = target;
	int result = manifest_take_text(r, value, &t->route.token_ref);

	if (result == 0 && !manifest_is_env_name(t->route.token_ref))
		return manifest_refuse(
			r, value->line,
			"'token_ref' is the name of a variable of your environment that "
			"holds the token, never the token itself");
	return result;
}

static const struct manifest_key auth_keys[] = {
	{ "scheme", MANIFEST_SCALAR, take_scheme,
	  "Bearer, token or Basic: sent as 'Authorization: SCHEME TOKEN'",
	  MANIFEST_WORDS("Bearer", "token", "Basic") },
	{ "user", MANIFEST_SCALAR, take_user,
	  "of scheme Basic; when left out, the token is 'user:password'" },
	{ "header", MANIFEST_SCALAR, take_header, "sent as 'NAME: TOKEN' instead, e.g. x-api-key" },
	{ "query", MANIFEST_SCALAR, take_query, "sent as query parameter '?NAME=TOKEN' instead" },
	{ "token_ref", MANIFEST_SCALAR, take_token_ref, "host variable that holds the token",
	  MANIFEST_PATTERN(MANIFEST_ENV_PATTERN) },
};
static const struct manifest_block auth_block = { "auth", auth_keys, BB_ARRAY_LEN(auth_keys),
						  "scheme|header|query token_ref" };

static int take_auth(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct route_reading *t = target;
	int result = manifest_take_block(r, &auth_block, value, target);

	t->auth_line = value->key_line;
	if (result < 0)
		return result;
	if (t->place_count != 1)
		return manifest_refuse(r, t->auth_line,
				       "auth needs exactly one of 'scheme', 'header' and 'query'");
	if (t->route.auth_user != NULL && t->route.auth != POLICY_AUTH_BASIC)
		return manifest_refuse(r, t->auth_line, "'user' belongs to 'scheme: Basic'");
	if (t->route.token_ref == NULL)
		return manifest_refuse(r, t->auth_line,
				       "auth needs 'token_ref', the variable that holds the token");
	return 0;
}

static int take_matches(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	struct route_reading *t = target;

	t->matches_line = value->key_line;
	return manifest_take_matches(r, value, &t->route);
}

static int take_dlp(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target)
{
	struct route_reading *t = target;

	return manifest_take_dlp(r, value, &t->dlp);
}

static int take_fetch(const struct manifest_reader *r, const struct manifest_node *value,
		      void *target)
{
	struct route_reading *t = target;

	return manifest_take_bool(r, value, &t->route.may_git_fetch);
}

static const struct manifest_key git_keys[] = {
	{ "fetch", MANIFEST_SCALAR, take_fetch, "may the agent clone and fetch? It never pushes",
	  MANIFEST_WORDS("true", "false") },
};
static const struct manifest_block git_block = { "git", git_keys, BB_ARRAY_LEN(git_keys), NULL };

static int take_git(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target)
{
	return manifest_take_block(r, &git_block, value, target);
}

static int take_private(const struct manifest_reader *r, const struct manifest_node *value,
			void *target)
{
	static const char *const words[POLICY_NUM_PRIVATES] = {
		[POLICY_PRIVATE_NONE] = "false",
		[POLICY_PRIVATE_NETWORKS] = "true",
		[POLICY_PRIVATE_LOOPBACK] = "loopback",
	};
	struct route_reading *t = target;
	int word = bb_table_index(words, BB_ARRAY_LEN(words), bb_view_str(value->text));

	t->private_line = value->key_line;
	if (word < 0)
		return manifest_refuse(r, value->line,
				       "'private' must be true, false or loopback, not %s",
				       BB_ESCAPED(bb_view_str(value->text)));
	t->route.private = (enum policy_private)word;
	return 0;
}

static int take_rate_requests(const struct manifest_reader *r, const struct manifest_node *value,
			      void *target)
{
	struct route_reading *t = target;
	uint64_t n = 0;
	int result = manifest_take_number(r, value, 1, 1000000, &n);

	t->route.rate.requests = (uint32_t)n;
	return result;
}

static int take_rate_bytes(const struct manifest_reader *r, const struct manifest_node *value,
			   void *target)
{
	struct route_reading *t = target;

	return manifest_take_size(r, value, 1, 1ull << 50, &t->route.rate.bytes_out);
}

static const struct manifest_key rate_keys[] = {
	{ "requests", MANIFEST_SCALAR, take_rate_requests, "requests in any 60 minutes",
	  MANIFEST_RANGE(1, 1000000) },
	{ "bytes_out", MANIFEST_SCALAR, take_rate_bytes,
	  "bytes of requests in any 60 minutes, such as 10M",
	  MANIFEST_PATTERN(MANIFEST_SIZE_PATTERN) },
};
static const struct manifest_block rate_block = { "rate", rate_keys, BB_ARRAY_LEN(rate_keys),
						  NULL };

static int take_rate(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	if (value->count == 0)
		return manifest_refuse(r, value->key_line,
				       "rate needs 'requests', 'bytes_out' or both");
	return manifest_take_block(r, &rate_block, value, target);
}

static const struct manifest_shape port_shape = { .min = 1, .max = 65535 };
static const struct manifest_shape ports_shape = { .items = &port_shape };
static const struct manifest_key route_keys[] = {
	{ "host", MANIFEST_SCALAR, take_host, "api.example.com, or *.example.com" },
	{ "ports", MANIFEST_LIST, take_tls_ports, "TLS ports; [443] when left out", &ports_shape },
	{ "plain_ports", MANIFEST_LIST, take_plain_ports, "plain HTTP ports, never with auth",
	  &ports_shape },
	{ "auth", MANIFEST_MAP, take_auth, "credential that is put in on the way out",
	  MANIFEST_BLOCK(auth_block) },
	{ "matches", MANIFEST_LIST, take_matches,
	  "requests that are allowed; every one when left out",
	  MANIFEST_LIST_OF(manifest_match_block) },
	{ "dlp", MANIFEST_MAP, take_dlp, "which detectors look at it, and what a match does",
	  MANIFEST_BLOCK(manifest_dlp_block) },
	{ "git", MANIFEST_MAP, take_git, "git over HTTPS", MANIFEST_BLOCK(git_block) },
	{ "private", MANIFEST_SCALAR, take_private,
	  "true: the host may have a private address; loopback: it is this machine",
	  MANIFEST_WORDS("true", "false", "loopback") },
	{ "rate", MANIFEST_MAP, take_rate, "limits of an hour", MANIFEST_BLOCK(rate_block) },
	{ "preset", MANIFEST_SCALAR, take_preset,
	  "in place of 'host', routes that are kept up for you: npm, debian, crates, go, "
	  "github-read, "
	  "github-repo:OWNER/NAME, anthropic, openai; only 'auth' may stand beside it",
	  MANIFEST_PATTERN("^[a-z-]+(:[A-Za-z0-9-]+/[A-Za-z0-9._-]+)?$") },
	{ "role", MANIFEST_SCALAR, NULL, "is reserved and takes no value" },
	{ "path_allowlist", MANIFEST_LIST, NULL, "is an old key; it became 'matches'" },
	{ "tls_passthrough", MANIFEST_SCALAR, NULL,
	  "is refused: what cannot be read is not let through" },
};
const struct manifest_block manifest_route_block = { "an egress route", route_keys,
						     BB_ARRAY_LEN(route_keys), "host|preset" };

/* What egress takes away, or writes, is not what a rule would judge. */
static int check_judged(const struct manifest_reader *r, const struct route_reading *t,
			const struct policy_match *m)
{
	static const char *const ours[] = { "authorization", "cookie" };
	const struct policy_route *route = &t->route;

	for (size_t i = 0; route->auth_query != NULL && i < m->query.count; i++)
		if (strcmp(m->query.items[i].name, route->auth_query) == 0)
			return manifest_refuse(r, t->matches_line,
					       "query parameter '%s' carries the token of 'auth', "
					       "so no rule can judge it",
					       route->auth_query);
	for (size_t i = 0; route->auth != POLICY_AUTH_NONE && i < m->headers.count; i++) {
		const char *name = m->headers.items[i].name;

		if (bb_table_index(ours, BB_ARRAY_LEN(ours), bb_view_str(name)) >= 0 ||
		    (route->auth_header != NULL && strcmp(name, route->auth_header) == 0))
			return manifest_refuse(r, t->matches_line,
					       "header '%s' is replaced where a route has 'auth', "
					       "so no rule can judge it",
					       name);
	}
	return 0;
}

static int check_route(const struct manifest_reader *r, const struct manifest_node *entry,
		       struct route_reading *t)
{
	struct policy_route *route = &t->route;

	if (route->host == NULL)
		return manifest_refuse(r, entry->line, "an egress route needs 'host' or 'preset'");
	if (route->auth != POLICY_AUTH_NONE && t->has_plain_ports)
		return manifest_refuse(r, t->plain_line,
				       "'plain_ports' and 'auth' on one route: a credential never "
				       "travels over plain HTTP");
	for (size_t i = 0; i < route->tls_port_count; i++)
		for (size_t k = 0; k < route->plain_port_count; k++)
			if (route->tls_ports[i] == route->plain_ports[k])
				return manifest_refuse(r, t->plain_line,
						       "port %u is in 'ports' and in 'plain_ports'",
						       (unsigned)route->tls_ports[i]);
	if (route->private != POLICY_PRIVATE_NONE && route->is_wildcard)
		return manifest_refuse(r, t->private_line,
				       "'private' needs one exact host, not '*.%s'", route->host);
	if (route->private != POLICY_PRIVATE_NONE && !t->has_tls_ports && !t->has_plain_ports)
		return manifest_refuse(r, t->private_line,
				       "'private' needs its ports written out, under 'ports' or "
				       "'plain_ports'");
	for (size_t i = 0; i < route->match_count; i++) {
		int result = check_judged(r, t, &route->matches[i]);

		if (result < 0)
			return result;
	}
	if (!t->has_tls_ports && !t->has_plain_ports)
		route->tls_ports[route->tls_port_count++] = 443;
	return 0;
}

static int check_unique(const struct manifest_reader *r, const struct policy *p,
			const struct route_reading *t)
{
	for (size_t i = 0; i < p->route_count; i++)
		if (p->routes[i].is_wildcard == t->route.is_wildcard &&
		    strcmp(p->routes[i].host, t->route.host) == 0)
			return manifest_refuse(
				r, t->host_line,
				"host '%s%s' has two routes, the first at %s; one entry a "
				"host",
				t->route.is_wildcard ? "*." : "", t->route.host,
				p->routes[i].origin);
	return 0;
}

int manifest_add_route_info(struct manifest_bottle *b, const struct manifest_route *info)
{
	size_t count = b->policy->route_count;
	struct manifest_route *grown = b->routes;

	if ((count & (count - 1)) == 0) /* 1, 2, 4, ... */
		grown = reallocarray(b->routes, count * 2, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	b->routes = grown;
	grown[count - 1] = *info;
	return 0;
}

int manifest_take_route(const struct manifest_reader *r, const struct manifest_node *entry,
			struct policy_route *ret)
{
	__attribute__((cleanup(reading_done))) struct route_reading t = { 0 };
	int result;

	if (entry->kind != MANIFEST_MAP)
		return manifest_refuse(r, entry->line, "an egress route is written '- host: NAME'");
	result = manifest_take_block(r, &manifest_route_block, entry, &t);
	if (result == 0 && t.preset != NULL)
		result = manifest_refuse(r, entry->line, "a preset cannot stand for another");
	if (result == 0)
		result = check_route(r, entry, &t);
	if (result < 0)
		return result;
	*ret = t.route;
	t.route = (struct policy_route){ 0 };
	return 0;
}

static bool is_same_preset(const struct manifest_preset *p, const struct route_reading *t)
{
	if (strcmp(p->name, t->preset) != 0 ||
	    (p->argument == NULL) != (t->preset_argument == NULL))
		return false;
	return p->argument == NULL || strcmp(p->argument, t->preset_argument) == 0;
}

/* Only recorded: what it stands for is in a file of its own, and may depend on this computer. */
static int add_preset(const struct manifest_reader *r, const struct manifest_node *entry,
		      struct route_reading *t, struct manifest_bottle *b)
{
	struct manifest_preset *grown, *p;

	for (size_t i = 0; i < entry->count; i++)
		if (strcmp(entry->items[i]->key, "preset") != 0 &&
		    strcmp(entry->items[i]->key, "auth") != 0)
			return manifest_refuse(
				r, entry->items[i]->key_line,
				"'%s' cannot stand beside 'preset', whose routes are "
				"as they are; write a route of your own instead",
				entry->items[i]->key);
	if (b->preset_count == LIMIT_PRESETS)
		return manifest_refuse(r, entry->line, "more than %d presets", LIMIT_PRESETS);
	for (size_t i = 0; i < b->preset_count; i++)
		if (is_same_preset(&b->presets[i], t))
			return manifest_refuse(
				r, entry->line, "preset '%s' is listed twice, first at %s:%u",
				t->preset, b->presets[i].at.file, b->presets[i].at.line);
	grown = reallocarray(b->presets, b->preset_count + 1, sizeof(*grown));
	if (grown == NULL)
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	b->presets = grown;
	p = &grown[b->preset_count++];
	*p = (struct manifest_preset){ .auth = t->route, .at = manifest_origin_of(entry) };
	p->name = bb_take_ptr(&t->preset);
	p->argument = bb_take_ptr(&t->preset_argument);
	t->route = (struct policy_route){ 0 };
	return 0;
}

static int take_route(const struct manifest_reader *r, const struct manifest_node *entry,
		      struct manifest_bottle *b)
{
	struct policy *p = b->policy;
	__attribute__((cleanup(reading_done))) struct route_reading t = { 0 };
	struct bb_err inner = { 0 };
	int result;

	if (entry->kind != MANIFEST_MAP)
		return manifest_refuse(r, entry->line, "an egress route is written '- host: NAME'");
	result = manifest_take_block(r, &manifest_route_block, entry, &t);
	if (result == 0 && t.preset != NULL)
		return add_preset(r, entry, &t, b);
	if (result == 0)
		result = check_route(r, entry, &t);
	if (result == 0)
		result = check_unique(r, p, &t);
	if (result < 0)
		return result;
	t.route.origin = bb_text_printf("%s:%u", r->file, entry->line);
	if (t.route.origin == NULL)
		return bb_err_set(r->err, -ENOMEM, "out of memory");
	result = policy_add(p, &t.route, &inner);
	if (result < 0)
		return manifest_refuse(r, entry->line, "%s", inner.msg);
	if (manifest_add_route_info(b, &(const struct manifest_route){
					       .at = manifest_origin_of(entry), .dlp = t.dlp }) < 0)
		return manifest_no_memory(r);
	return 0;
}

int manifest_take_routes(const struct manifest_reader *r, const struct manifest_node *list,
			 void *bottle)
{
	struct manifest_bottle *b = bottle;

	if (list->count > LIMIT_ROUTES)
		return manifest_refuse(r, list->line, "%zu routes, limit %d", list->count,
				       LIMIT_ROUTES);
	for (size_t i = 0; i < list->count; i++) {
		const struct manifest_reader at = manifest_reader_at(r, list->items[i]);
		size_t k = b->policy->route_count, p = b->preset_count;
		int result = take_route(&at, list->items[i], b);

		if (result < 0)
			return result;
		for (; k < b->policy->route_count; k++)
			b->routes[k].entry = i;
		for (; p < b->preset_count; p++)
			b->presets[p].entry = i;
	}
	return 0;
}
