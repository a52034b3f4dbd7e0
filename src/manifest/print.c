/* See print.h. Indents are the nesting times two; nothing here decides what a value means. */
#include "manifest/print.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/table.h"
#include "base/text.h"

#define WIDER ", WIDER than its parent"

static void keep(struct manifest_page *p, int r)
{
	if (p->result == 0)
		p->result = r;
}

void manifest_put_raw(struct manifest_page *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep(p, n < 0 || (size_t)n >= sizeof(text) ? -EMSGSIZE : bb_buf_append_str(p->out, text));
}

/* values */

static bool is_plain(const char *s)
{
	static const char *const never[] = { "null", "Null", "NULL" };
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/_";
	size_t n = strlen(s);

	return n > 0 && strchr(first, s[0]) != NULL &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-.@+=") ==
		       n &&
	       bb_table_index(never, BB_ARRAY_LEN(never), bb_view_str(s)) < 0;
}

/* Bytes of the character at s; one that is not UTF-8 (of a command line) is a byte by itself. */
static size_t character(const char *s, uint32_t *ret)
{
	uint8_t lead = (uint8_t)s[0];
	size_t n = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
	uint32_t c = n == 1 ? lead : lead & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		if (((uint8_t)s[i] & 0xc0) != 0x80) {
			*ret = lead;
			return 1;
		}
		c = c << 6 | ((uint8_t)s[i] & 0x3f);
	}
	*ret = c;
	return n;
}

/* Characters that YAML reads as something else, that a terminal does not show, or that a reader
 * takes for another. */
static bool is_shown(uint32_t c)
{
	return (c >= 0x20 && c < 0x7f) || (c >= 0xa1 && c < 0x2000 && c != 0xad) ||
	       (c >= 0x2070 && c < 0xd800) || (c >= 0x10000 && c < 0xe0000);
}

static void put_character(struct manifest_page *p, const char *s, size_t n, uint32_t c)
{
	if (c == '"' || c == '\\')
		manifest_put_raw(p, "\\%c", (int)c);
	else if (c == '\n')
		manifest_put_raw(p, "\\n");
	else if (is_shown(c) && (n > 1 || c < 0x80))
		keep(p, bb_buf_append(p->out, s, n));
	else if (c < 0x100)
		manifest_put_raw(p, "\\x%02" PRIx32, c);
	else if (c < 0x10000)
		manifest_put_raw(p, "\\u%04" PRIx32, c);
	else
		manifest_put_raw(p, "\\U%08" PRIx32, c);
}

void manifest_put_value(struct manifest_page *p, const char *value)
{
	if (is_plain(value)) {
		keep(p, bb_buf_append_str(p->out, value));
		return;
	}
	manifest_put_raw(p, "\"");
	while (*value != '\0') {
		uint32_t c = 0;
		size_t n = character(value, &c);

		put_character(p, value, n, c);
		value += n;
	}
	manifest_put_raw(p, "\"");
}

const char *manifest_size_text(uint64_t bytes, char *dst)
{
	if (bytes % (1ull << 30) == 0)
		(void)snprintf(dst, 32, "%" PRIu64 "G", bytes >> 30);
	else if (bytes % (1ull << 20) == 0)
		(void)snprintf(dst, 32, "%" PRIu64 "M", bytes >> 20);
	else
		(void)snprintf(dst, 32, "%" PRIu64, bytes);
	return dst;
}

const char *manifest_time_text(uint32_t seconds, char *dst)
{
	if (seconds % 3600 == 0)
		(void)snprintf(dst, 32, "%" PRIu32 "h", seconds / 3600);
	else if (seconds % 60 == 0)
		(void)snprintf(dst, 32, "%" PRIu32 "m", seconds / 60);
	else
		(void)snprintf(dst, 32, "%" PRIu32 "s", seconds);
	return dst;
}

/* lines */

static void put_key(struct manifest_page *p, unsigned indent, const char *key)
{
	manifest_put_raw(p, "%*s%s:", (int)indent, "", key);
}

static void end_line(struct manifest_page *p, const struct manifest_origin *at, const char *note)
{
	bool has_place = at != NULL && at->file != NULL;

	if (has_place)
		manifest_put_raw(p, "  # %s", at->file);
	if (has_place && at->line != 0) /* 0: an option of the command line */
		manifest_put_raw(p, ":%u%s", at->line, at->is_wider ? WIDER : "");
	if (note != NULL) {
		manifest_put_raw(p, has_place ? ", " : "  # ");
		keep(p, bb_buf_append_str(p->out, note));
	}
	manifest_put_raw(p, "\n");
}

void manifest_put_at(struct manifest_page *p, unsigned indent, const char *key, const char *value,
		     const struct manifest_origin *at, const char *note)
{
	put_key(p, indent, key);
	if (value != NULL) {
		manifest_put_raw(p, " ");
		manifest_put_value(p, value);
	}
	end_line(p, at, note);
}

void manifest_put(struct manifest_page *p, unsigned indent, const char *key, const char *value,
		  const char *note)
{
	manifest_put_at(p, indent, key, value, NULL, note);
}

void manifest_put_list(struct manifest_page *p, unsigned indent, const char *key, char *const *list,
		       const struct manifest_origin *at)
{
	if (list == NULL)
		return;
	put_key(p, indent, key);
	manifest_put_raw(p, " [");
	for (size_t i = 0; list[i] != NULL; i++) {
		if (i > 0)
			manifest_put_raw(p, ", ");
		manifest_put_value(p, list[i]);
	}
	manifest_put_raw(p, "]");
	end_line(p, at, NULL);
}

static void put_if(struct manifest_page *p, unsigned indent, const char *key, const char *value,
		   const struct manifest_origin *at)
{
	if (value != NULL)
		manifest_put_at(p, indent, key, value, at, NULL);
}

/* blocks */

static void put_env_value(struct manifest_page *p, const struct manifest_env *e)
{
	if (e->host_var != NULL) {
		manifest_put_raw(p, " ${%s}", e->host_var);
	} else if (e->question != NULL) {
		BB_AUTO_FREE char *text = bb_text_printf("?%s", e->question);

		manifest_put_raw(p, " ");
		if (text == NULL)
			keep(p, -ENOMEM);
		else
			manifest_put_value(p, text);
	} else {
		manifest_put_raw(p, " ");
		manifest_put_value(p, e->value);
	}
}

void manifest_put_env(struct manifest_page *p, const struct manifest_bottle *b, char *const *notes)
{
	if (b->env_count > 0)
		manifest_put(p, 0, "env", NULL, NULL);
	for (size_t i = 0; i < b->env_count; i++) {
		const struct manifest_env *e = &b->env[i];

		put_key(p, 2, e->name);
		put_env_value(p, e);
		end_line(p, &e->at, notes != NULL ? notes[i] : NULL);
	}
}

static void put_settings(struct manifest_page *p, const struct manifest_settings *s)
{
	manifest_put_at(p, 2, "settings", NULL, &s->at, NULL);
	put_if(p, 4, "provider", s->provider, NULL);
	put_if(p, 4, "base_url", s->base_url, NULL);
	put_if(p, 4, "api", s->api, NULL);
	put_if(p, 4, "api_key", s->api_key, NULL);
	manifest_put_list(p, 4, "models", s->models, NULL);
	if (s->compat == NULL)
		return;
	manifest_put(p, 4, "compat", NULL, NULL);
	for (size_t i = 0; s->compat[i] != NULL; i++) {
		const char *equals = strchr(s->compat[i], '=');

		manifest_put_raw(p, "      %.*s: %s\n", (int)(equals - s->compat[i]), s->compat[i],
				 equals + 1);
	}
}

static bool has_settings(const struct manifest_settings *s)
{
	return s->provider != NULL || s->base_url != NULL || s->api != NULL || s->api_key != NULL ||
	       s->models != NULL || s->compat != NULL;
}

void manifest_put_provider(struct manifest_page *p, const struct manifest_bottle *b)
{
	if (b->provider == NULL)
		return;
	manifest_put(p, 0, "agent_provider", NULL, NULL);
	manifest_put_at(p, 2, "template", b->provider, &b->provider_at, NULL);
	put_if(p, 2, "auth_token", b->auth_token, &b->auth_token_at);
	if (b->forwards_at.file != NULL)
		manifest_put_at(p, 2, "forward_host_credentials",
				b->forwards_credentials ? "true" : "false", &b->forwards_at, NULL);
	if (b->settings.at.file != NULL && has_settings(&b->settings))
		put_settings(p, &b->settings);
	else if (b->settings.at.file != NULL)
		manifest_put_raw(p, "  settings: {}\n");
}

static void put_repo(struct manifest_page *p, const struct manifest_repo *r)
{
	bool is_static = r->key_kind == MANIFEST_KEY_STATIC;

	manifest_put_at(p, 4, r->name, NULL, &r->at, NULL);
	manifest_put_at(p, 6, "url", r->url, &r->url_at, NULL);
	put_if(p, 6, "host_key", r->host_key, &r->host_key_at);
	manifest_put_raw(p, "      key: {provider: %s, %s: ", manifest_key_kinds[r->key_kind],
			 is_static ? "path" : "forge_token_env");
	manifest_put_value(p, is_static ? r->key_path : r->forge_token_env);
	manifest_put_raw(p, "}");
	end_line(p, &r->key_at, NULL);
}

void manifest_put_git(struct manifest_page *p, const struct manifest_git_user *user,
		      const struct manifest_git *git)
{
	bool has_user = user->name != NULL || user->email != NULL;

	if (!has_user && git->repo_count == 0)
		return;
	manifest_put(p, 0, "git-gate", NULL, NULL);
	if (has_user)
		manifest_put(p, 2, "user", NULL, NULL);
	put_if(p, 4, "name", user->name, &user->name_at);
	put_if(p, 4, "email", user->email, &user->email_at);
	if (git->repo_count > 0)
		manifest_put(p, 2, "repos", NULL, NULL);
	for (size_t i = 0; i < git->repo_count; i++)
		put_repo(p, &git->repos[i]);
}

void manifest_put_workspace(struct manifest_page *p, const struct manifest_workspace *w)
{
	if (w->path == NULL && w->include == NULL && w->git_at.file == NULL)
		return;
	manifest_put(p, 0, "workspace", NULL, NULL);
	put_if(p, 2, "path", w->path, &w->path_at);
	manifest_put_list(p, 2, "include", w->include, &w->include_at);
	if (w->git_at.file != NULL)
		manifest_put_at(p, 2, "git", w->has_git ? "true" : "false", &w->git_at, NULL);
}

/* egress */

static void put_detectors(struct manifest_page *p, unsigned indent, const char *key, uint32_t bits,
			  const char *const *names)
{
	const char *between = " [";

	put_key(p, indent, key);
	for (size_t i = 0; bits >> i != 0; i++) {
		if ((bits >> i & 1) == 0)
			continue;
		manifest_put_raw(p, "%s%s", between, names[i]);
		between = ", ";
	}
	manifest_put_raw(p, bits == 0 ? " false\n" : "]\n");
}

static void put_dlp(struct manifest_page *p, unsigned indent, const struct manifest_dlp *d)
{
	manifest_put_at(p, indent, "dlp", NULL, &d->at, NULL);
	indent += 2;
	if (d->has_outbound)
		put_detectors(p, indent, "outbound_detectors", d->outbound,
			      manifest_outbound_detectors);
	if (d->has_inbound)
		put_detectors(p, indent, "inbound_detectors", d->inbound,
			      manifest_inbound_detectors);
	if (d->on_match != MANIFEST_MATCH_UNSTATED)
		manifest_put(p, indent, "outbound_on_match", manifest_on_matches[d->on_match],
			     NULL);
}

void manifest_put_route(struct manifest_page *p, unsigned indent, const struct policy_route *r,
			const struct manifest_route *from)
{
	struct policy_route shown = *r;
	BB_AUTO_FREE char *origin = NULL;

	if (from != NULL && from->at.is_wider) {
		origin = bb_text_printf("%s" WIDER, r->origin);
		if (origin == NULL)
			keep(p, -ENOMEM);
		shown.origin = origin;
	}
	keep(p, policy_put_yaml(&shown, indent, p->out));
	if (from != NULL && from->dlp.at.file != NULL)
		put_dlp(p, indent + 2, &from->dlp);
}

static void put_egress(struct manifest_page *p, const struct manifest_bottle *b)
{
	if (b->policy->route_count == 0 && b->log_at.file == NULL)
		return;
	manifest_put(p, 0, "egress", NULL, NULL);
	if (b->log_at.file != NULL)
		manifest_put_raw(p, "  log: %u  # %s:%u\n", b->log, b->log_at.file, b->log_at.line);
	if (b->policy->route_count > 0)
		manifest_put(p, 2, "routes", NULL, NULL);
	for (size_t i = 0; i < b->policy->route_count; i++)
		manifest_put_route(p, 4, &b->policy->routes[i], &b->routes[i]);
}

/* resources */

static void put_number(struct manifest_page *p, const char *key, uint32_t n,
		       const struct manifest_origin *at)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu32, n);
	if (n != 0)
		manifest_put_at(p, 2, key, text, at, NULL);
}

static void put_size(struct manifest_page *p, const char *key, uint64_t bytes,
		     const struct manifest_origin *at)
{
	char text[32];

	if (bytes != 0)
		manifest_put_at(p, 2, key, manifest_size_text(bytes, text), at, NULL);
}

static void put_resources(struct manifest_page *p, const struct manifest_resources *r)
{
	char time[32];

	if (r->cpus == 0 && r->memory_bytes == 0 && r->disk_bytes == 0 && r->pids == 0 &&
	    r->max_seconds == 0)
		return;
	manifest_put(p, 0, "resources", NULL, NULL);
	put_number(p, "cpus", r->cpus, &r->cpus_at);
	put_size(p, "memory", r->memory_bytes, &r->memory_at);
	put_size(p, "disk", r->disk_bytes, &r->disk_at);
	put_number(p, "pids", r->pids, &r->pids_at);
	if (r->max_seconds != 0)
		manifest_put_at(p, 2, "time", manifest_time_text(r->max_seconds, time), &r->time_at,
				NULL);
}

int manifest_print_bottle(const struct manifest_bottle *b, struct bb_buf *out)
{
	struct manifest_page p = { .out = out };

	manifest_put_env(&p, b, NULL);
	manifest_put_provider(&p, b);
	manifest_put_git(&p, &b->git.user, &b->git);
	put_egress(&p, b);
	if (b->image != NULL)
		manifest_put_at(&p, 0, "image", b->image, &b->image_at, NULL);
	manifest_put_workspace(&p, &b->workspace);
	put_resources(&p, &b->resources);
	if (b->supervise_at.file != NULL)
		manifest_put_at(&p, 0, "supervise", "true", &b->supervise_at, NULL);
	return p.result;
}
