/* The page that is shown before a start; see config.h. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/config.h"

/* A YAML value: plain when it is plainly a word, quoted otherwise. */
static void put_value(FILE *to, const char *s)
{
	size_t n = strlen(s);

	if (n > 0 &&
	    strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		      "-_./:@+") == n &&
	    s[n - 1] != ':') {
		(void)fputs(s, to);
		return;
	}
	(void)fputc('"', to);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			(void)fprintf(to, "\\%c", c);
		else if (c == '\n')
			(void)fputs("\\n", to);
		else if (c < 0x20 || c == 0x7f)
			(void)fprintf(to, "\\x%02x", c);
		else
			(void)fputc(c, to);
	}
	(void)fputc('"', to);
}

static void put_line(FILE *to, const char *key, const char *value, const char *origin)
{
	(void)fprintf(to, "%s: ", key);
	put_value(to, value);
	(void)fprintf(to, "  # %s\n", origin);
}

static void put_size(FILE *to, const char *key, uint64_t bytes, bool is_default)
{
	if (bytes % (1ull << 30) == 0)
		(void)fprintf(to, "  %s: %lluG", key, (unsigned long long)(bytes >> 30));
	else if (bytes % (1ull << 20) == 0)
		(void)fprintf(to, "  %s: %lluM", key, (unsigned long long)(bytes >> 20));
	else
		(void)fprintf(to, "  %s: %llu", key, (unsigned long long)bytes);
	(void)fprintf(to, "%s\n", is_default ? "  # default" : "");
}

static void put_resources(FILE *to, const struct cli_config *c)
{
	const struct manifest_resources *want = &c->bottle->resources;

	(void)fprintf(to, "resources:\n  cpus: %u%s\n", c->resources.cpus,
		      want->cpus == 0 ? "  # default" : "");
	put_size(to, "memory", c->resources.memory_bytes, want->memory_bytes == 0);
	put_size(to, "disk", c->resources.disk_bytes, want->disk_bytes == 0);
	(void)fprintf(to, "  pids: %u%s\n", c->resources.pids,
		      want->pids == 0 ? "  # default" : "");
	if (want->max_seconds != 0)
		(void)fprintf(to, "  time: %us\n", want->max_seconds);
}

static const char *value_of(const char *entry)
{
	return strchr(entry, '=') + 1;
}

/* Variables that bot-bottle sets: those that share a value with an earlier one were shown there. */
static void put_own_env(FILE *to, char *const *env, size_t index)
{
	const char *value = value_of(env[index]);
	size_t column = 4;

	for (size_t i = 0; i < index; i++)
		if (strcmp(value_of(env[i]), value) == 0)
			return;
	(void)fputs("  # bot-bottle sets to ", to);
	put_value(to, value);
	(void)fputs(":", to);
	for (size_t i = index; env[i] != NULL; i++) {
		size_t n = (size_t)(value_of(env[i]) - env[i]) - 1;

		if (strcmp(value_of(env[i]), value) != 0)
			continue;
		if (i == index || column + n > 96) {
			(void)fputs("\n  #  ", to);
			column = 5;
		}
		(void)fprintf(to, " %.*s", (int)n, env[i]);
		column += n + 1;
	}
	(void)fputc('\n', to);
}

static void put_env(FILE *to, const struct cli_config *c)
{
	(void)fprintf(to, "env:%s\n",
		      c->bottle->env_count == 0 && c->provider->name[0] == 's'
			      ? "  # proxy and certificate variables only"
			      : "");
	for (size_t i = 0; i < c->bottle->env_count; i++) {
		const struct manifest_env *e = &c->bottle->env[i];

		(void)fprintf(to, "  %s: ", e->name);
		if (e->host_var != NULL)
			(void)fprintf(to, "${%s}", e->host_var);
		else
			put_value(to, e->value);
		(void)fprintf(to, "  # %s:%u%s\n", e->at.file, e->at.line,
			      e->host_var != NULL ? ", the agent will SEE this value" : "");
	}
	for (size_t i = 0; c->plan->env[i] != NULL; i++)
		put_own_env(to, c->plan->env, i);
}

static void put_command(FILE *to, const struct cli_config *c)
{
	(void)fputs("command: [", to);
	for (size_t i = 0; c->argv[i] != NULL; i++) {
		if (i > 0)
			(void)fputs(", ", to);
		put_value(to, c->argv[i]);
	}
	(void)fputs("]\n", to);
}

/* Its file, or the way to it when it was put together from several. */
static char *bottle_text(const struct manifest_bottle *b)
{
	return strdup(b->files[1] == NULL ? b->files[0] : b->chain);
}

void cli_config_print(const struct cli_config *c, FILE *to)
{
	const char *shared = strcmp(c->backend, "namespace") == 0 ? ", shared kernel" : "";
	BB_AUTO_FREE char *from_bottle = bottle_text(c->bottle);
	BB_AUTO_FREE char *from = bb_text_printf("%s%s", c->backend_from, shared);
	BB_AUTO_BUF struct bb_buf routes = { 0 };

	put_line(to, "agent", c->agent->name, c->agent->file);
	put_line(to, "bottle", c->bottle->name, from_bottle != NULL ? from_bottle : "");
	put_line(to, "backend", c->backend, from != NULL ? from : "");
	put_line(to, "image", c->image, c->image_from);
	if (c->label != NULL)
		put_line(to, "label", c->label, "--label");
	if (c->color != NULL)
		put_line(to, "color", c->color, "--color");
	if (c->cwd != NULL)
		put_line(to, "workspace", c->cwd, "--cwd, copied to " PROVIDER_WORKSPACE);
	put_command(to, c);
	put_resources(to, c);
	put_env(to, c);
	(void)fprintf(to, "egress:\n  log: %u\n  routes:%s\n", c->bottle->log,
		      c->policy->route_count == 0 ? " []  # nothing can be reached" : "");
	bb_buf_init(&routes, SIZE_MAX / 8);
	for (size_t i = 0; i < c->policy->route_count; i++)
		if (policy_put_yaml(&c->policy->routes[i], 4, &routes) < 0)
			(void)fputs("# the routes cannot be shown: out of memory\n", to);
	(void)fwrite(bb_buf_peek(&routes).p, 1, bb_buf_size(&routes), to);
	for (size_t i = 0; c->notes != NULL && c->notes[i] != NULL; i++)
		(void)fprintf(to, "# note: %s\n", c->notes[i]);
	(void)fputs("# note: bytes to allowed hosts are not scanned\n", to);
	if (shared[0] != '\0')
		(void)fputs("# note: this backend shares the host's kernel with the agent\n", to);
}
