/*
 * Claude Code. The agent gets a placeholder that its checks accept; the real token is put in by
 * egress, on api.anthropic.com only, and only on the requests that a session needs. Telemetry,
 * error reports, feature flags and updates are switched off by its own variables and are refused by
 * the route's rules as well: a switch that a new version no longer knows opens nothing.
 *
 * Measured with 2.1.331: a 403 inside TLS on the other paths is taken at once and without retries.
 */
#include "provider/provider_impl.h"

#include <string.h>

#include "base/text.h"

#define OAUTH_VARIABLE    "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN"
#define API_KEY_VARIABLE  "ANTHROPIC_API_KEY"
#define OAUTH_PLACEHOLDER "sk-ant-oat01-bot-bottle-placeholder-the-token-stays-on-the-host"
#define KEY_PLACEHOLDER   "sk-ant-api03-bot-bottle-placeholder-the-key-stays-on-the-host"
#define PROMPT_FILE       ".bot-bottle/system-prompt.md"

static const struct {
	const char *method, *path;
	bool is_prefix;
} session_requests[] = {
	{ "POST", "/v1/messages", false },
	{ "POST", "/v1/messages/count_tokens", false },
	{ "GET", "/v1/models", true },
	{ "GET", "/api/hello", false },                     /* is the service there? */
	{ "GET", "/api/claude_code/settings", false },      /* the organisation's own limits */
	{ "GET", "/api/claude_code/policy_limits", false }, /* on what its users may do */
};

static const struct {
	const char *name, *value;
} quiet[] = {
	{ "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1" },
	{ "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "1" },
	{ "DISABLE_TELEMETRY", "1" },
	{ "DISABLE_ERROR_REPORTING", "1" },
	{ "DISABLE_AUTOUPDATER", "1" },
	{ "DISABLE_UPDATES", "1" },
	{ "DISABLE_GROWTHBOOK", "1" },
	{ "DISABLE_BUG_COMMAND", "1" },
};

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* Which host variable holds the token; NULL with err set when there is none. */
static const char *choose_variable(const struct provider_input *in, struct bb_err *err)
{
	if (in->auth_token != NULL)
		return in->auth_token;
	if (in->has_variable(in->arg, OAUTH_VARIABLE))
		return OAUTH_VARIABLE;
	if (in->has_variable(in->arg, API_KEY_VARIABLE))
		return API_KEY_VARIABLE;
	(void)bb_err_set(err, BB_E_USAGE,
			 "claude needs a token: set " OAUTH_VARIABLE " (from 'claude setup-token') "
			 "or " API_KEY_VARIABLE " in your environment");
	return NULL;
}

static int add_route(struct provider_plan *plan, const char *variable, bool is_key)
{
	struct policy_route *route =
		provider_add_route(plan, "api.anthropic.com", "provider claude");
	int r = 0;

	if (route == NULL)
		return -ENOMEM;
	route->auth = is_key ? POLICY_AUTH_HEADER : POLICY_AUTH_BEARER;
	route->token_ref = strdup(variable);
	route->auth_header = is_key ? strdup("x-api-key") : NULL;
	if (route->token_ref == NULL || (is_key && route->auth_header == NULL))
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(session_requests); i++)
		r = provider_add_match(route, session_requests[i].method, session_requests[i].path,
				       session_requests[i].is_prefix);
	return r;
}

static int add_env(struct provider_plan *plan, bool is_key)
{
	int r = is_key ? provider_add_env(plan, "ANTHROPIC_API_KEY", KEY_PLACEHOLDER)
		       : provider_add_env(plan, "CLAUDE_CODE_OAUTH_TOKEN", OAUTH_PLACEHOLDER);

	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(quiet); i++)
		r = provider_add_env(plan, quiet[i].name, quiet[i].value);
	return r;
}

/* The answers to everything that a first start asks: onboarding, theme, trust in the directory, the
 * key, and the warning of the mode without permission questions. */
static int add_files(const struct provider_input *in, struct provider_plan *plan, bool is_key)
{
	static const char key[] = KEY_PLACEHOLDER;
	const char *tail = key + sizeof(key) - 1 - 20; /* it stores the last 20 characters */
	BB_AUTO_FREE char *cwd = provider_json_text(in->cwd);
	int r;

	if (cwd == NULL)
		return -ENOMEM;
	r = provider_add_file(
		plan, ".claude.json",
		bb_text_printf(
			"{\"hasCompletedOnboarding\":true,\"theme\":\"dark\",\"autoUpdates\":false,"
			"\"customApiKeyResponses\":{\"approved\":[%s%s%s],\"rejected\":[]},"
			"\"projects\":{\"%s\":{\"hasTrustDialogAccepted\":true}}}\n",
			is_key ? "\"" : "", is_key ? tail : "", is_key ? "\"" : "", cwd));
	if (r == 0)
		r = provider_add_file(plan, ".claude/settings.json",
				      strdup("{\"skipDangerousModePermissionPrompt\":true}\n"));
	if (r == 0 && in->system_prompt[0] != '\0')
		r = provider_add_file(plan, PROMPT_FILE, bb_text_printf("%s\n", in->system_prompt));
	return r;
}

/*
 * --continue is an error where there is no conversation (an agent that was ended before it had
 * one), and only the guest knows: its transcripts lie below a name made of the working directory.
 */
static int add_program(const struct provider_input *in, struct provider_plan *plan)
{
	static const char go_on[] = "d=$(printf %s \"$PWD\" | tr -c 'a-zA-Z0-9' -)\n"
				    "for f in \"$HOME/.claude/projects/$d\"/*.jsonl; do\n"
				    "\t[ -s \"$f\" ] && exec claude --continue \"$@\"\n"
				    "done\n"
				    "exec claude \"$@\"\n";
	int r;

	if (!in->is_resumed)
		return provider_add_arg(plan, "claude");
	r = provider_add_arg(plan, "sh");
	if (r == 0)
		r = provider_add_arg(plan, "-c");
	if (r == 0)
		r = provider_add_arg(plan, go_on);
	return r < 0 ? r : provider_add_arg(plan, "claude"); /* $0 */
}

static int add_command(const struct provider_input *in, struct provider_plan *plan)
{
	int r = add_program(in, plan);

	if (r == 0 && in->is_headless)
		r = provider_add_arg(plan, "-p");
	if (r == 0)
		r = provider_add_arg(plan, "--dangerously-skip-permissions");
	if (r == 0 && in->system_prompt[0] != '\0') {
		r = provider_add_arg(plan, "--append-system-prompt-file");
		if (r == 0)
			r = provider_add_arg(plan, PROVIDER_HOME "/" PROMPT_FILE);
	}
	/* "--": a task that begins with a dash is a task. */
	if (r == 0 && in->task != NULL)
		r = provider_add_arg(plan, "--");
	if (r == 0 && in->task != NULL)
		r = provider_add_arg(plan, in->task);
	return r;
}

static int claude_prepare(const struct provider_input *in, struct provider_plan *plan,
			  struct bb_err *err)
{
	const char *variable = choose_variable(in, err);
	bool is_key;
	int r;

	if (variable == NULL)
		return BB_E_USAGE;
	is_key = ends_with(variable, "API_KEY");
	r = add_route(plan, variable, is_key);
	if (r == 0)
		r = add_env(plan, is_key);
	if (r == 0)
		r = add_files(in, plan, is_key);
	if (r == 0)
		r = provider_add_state(plan, ".claude");
	if (r == 0)
		r = provider_add_state(plan, ".claude.json");
	return r < 0 ? r : add_command(in, plan);
}

const struct provider provider_claude = {
	.name = "claude",
	.image = "claude",
	.prepare = claude_prepare,
};
