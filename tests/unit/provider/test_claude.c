/* provider/: what Claude Code gets, and what it may send with the token. */
#include "../unit.h"

#include <string.h>

#include "base/text.h"
#include "provider/provider.h"

struct host {
	const char *set[4]; /* variables with a value */
};

static bool has_variable(void *arg, const char *name)
{
	const struct host *h = arg;

	for (size_t i = 0; i < BB_ARRAY_LEN(h->set) && h->set[i] != NULL; i++)
		if (strcmp(h->set[i], name) == 0)
			return true;
	return false;
}

static struct provider_plan *prepare(struct host *h, const char *auth_token, bool is_headless,
				     const char *prompt, const char *task)
{
	struct provider_input in = { .auth_token = auth_token,
				     .has_variable = has_variable,
				     .arg = h,
				     .agent = "a",
				     .system_prompt = prompt,
				     .is_headless = is_headless,
				     .task = task,
				     .cwd = PROVIDER_WORKSPACE };
	struct provider_plan *plan = NULL;
	struct bb_err err = { 0 };

	if (provider_prepare(provider_find("claude"), &in, &plan, &err) < 0)
		fail_msg("%s", err.msg);
	return plan;
}

static const char *env_of(const struct provider_plan *plan, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; plan->env[i] != NULL; i++)
		if (strncmp(plan->env[i], name, n) == 0 && plan->env[i][n] == '=')
			return plan->env[i] + n + 1;
	return NULL;
}

static void claude_binds_each_variable_to_its_header(void **state)
{
	static const struct {
		const char *auth_token, *set, *want_ref;
		enum policy_auth_kind want_kind;
		const char *placeholder;
	} cases[] = {
		{ NULL, "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN", "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN",
		  POLICY_AUTH_BEARER, "CLAUDE_CODE_OAUTH_TOKEN" },
		{ NULL, "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY", POLICY_AUTH_HEADER,
		  "ANTHROPIC_API_KEY" },
		{ "MY_TOKEN", "ANTHROPIC_API_KEY", "MY_TOKEN", POLICY_AUTH_BEARER,
		  "CLAUDE_CODE_OAUTH_TOKEN" },
		{ "WORK_API_KEY", NULL, "WORK_API_KEY", POLICY_AUTH_HEADER, "ANTHROPIC_API_KEY" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct host h = { { cases[i].set } };
		BB_AUTO(provider_plan)
		struct provider_plan *plan = prepare(&h, cases[i].auth_token, true, "", "x");
		bool is_key = cases[i].want_kind == POLICY_AUTH_HEADER;

		assert_int_equal(plan->route_count, 1);
		assert_string_equal(plan->routes[0].host, "api.anthropic.com");
		assert_string_equal(plan->routes[0].token_ref, cases[i].want_ref);
		assert_int_equal(plan->routes[0].auth, cases[i].want_kind);
		assert_int_equal(plan->routes[0].plain_port_count, 0);
		if (is_key)
			assert_string_equal(plan->routes[0].auth_header, "x-api-key");
		assert_non_null(env_of(plan, cases[i].placeholder));
		assert_non_null(strstr(env_of(plan, cases[i].placeholder), "placeholder"));
		assert_null(env_of(plan, is_key ? "CLAUDE_CODE_OAUTH_TOKEN" : "ANTHROPIC_API_KEY"));
	}
}

static void claude_without_a_token_names_both_variables(void **state)
{
	struct host h = { { NULL } };
	struct provider_input in = { .has_variable = has_variable,
				     .arg = &h,
				     .agent = "a",
				     .system_prompt = "",
				     .cwd = "/" };
	struct provider_plan *plan = NULL;
	struct bb_err err = { 0 };

	(void)state;
	assert_error(provider_prepare(provider_find("claude"), &in, &plan, &err), BB_E_USAGE, err);
	assert_non_null(strstr(err.msg, "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN"));
	assert_non_null(strstr(err.msg, "ANTHROPIC_API_KEY"));
}

/* The decision function itself, on the route that the provider brings. */
static void claude_route_carries_a_session_and_no_telemetry(void **state)
{
	static const struct {
		const char *method, *path;
		bool is_allowed;
	} cases[] = {
		{ "POST", "/v1/messages", true },
		{ "POST", "/v1/messages/count_tokens", true },
		{ "GET", "/v1/models", true },
		{ "GET", "/v1/models/x", true },
		{ "GET", "/api/hello", true },
		{ "GET", "/api/claude_code/settings", true },
		{ "GET", "/api/claude_code/policy_limits", true },
		{ "POST", "/api/event_logging/v2/batch", false },
		{ "POST", "/api/eval/sdk-x", false },
		{ "GET", "/api/claude_code/organizations/metrics_enabled", false },
		{ "POST", "/api/claude_code/settings", false },
		{ "GET", "/api/oauth/profile", false },
		{ "GET", "/v1/messages", false },
		{ "POST", "/v1/messages/batches", false },
		{ "POST", "/v1/files", false },
		{ "GET", "/", false },
	};
	struct host h = { { "ANTHROPIC_API_KEY" } };
	BB_AUTO(provider_plan) struct provider_plan *plan = prepare(&h, NULL, true, "", "x");
	struct policy *p = policy_new();
	const struct policy_route *route = NULL;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(policy_add(p, &plan->routes[0], &err), 0);
	assert_int_equal(policy_decide_host(p, "api.anthropic.com", 443, true, &route),
			 POLICY_ALLOWED);
	assert_int_not_equal(policy_decide_host(p, "api.anthropic.com", 80, false, NULL),
			     POLICY_ALLOWED);
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		const struct policy_request q = { .method = bb_view_str(cases[i].method),
						  .path = bb_view_str(cases[i].path) };
		enum policy_reason r = policy_decide_request(route, &q);

		if ((r == POLICY_ALLOWED) != cases[i].is_allowed)
			fail_msg("%s %s: %s", cases[i].method, cases[i].path,
				 policy_reason_word(r));
	}
	policy_free(p);
}

static char *command_of(const struct provider_plan *plan)
{
	char *s = strdup("");

	for (size_t i = 0; plan->argv[i] != NULL; i++) {
		char *longer = bb_text_printf("%s%s%s", s, i > 0 ? "|" : "", plan->argv[i]);

		free(s);
		s = longer;
	}
	return s;
}

static void claude_command_line_fits_the_start(void **state)
{
	static const struct {
		bool is_headless;
		const char *prompt, *task, *want;
	} cases[] = {
		{ false, "", NULL, "claude|--dangerously-skip-permissions" },
		{ true, "", "-x", "claude|-p|--dangerously-skip-permissions|--|-x" },
		{ true, "You help.", "do it",
		  "claude|-p|--dangerously-skip-permissions|--append-system-prompt-file|/home/node/"
		  ".bot-bottle/system-prompt.md|--|do it" },
		{ true, "", NULL, "claude|-p|--dangerously-skip-permissions" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct host h = { { "ANTHROPIC_API_KEY" } };
		BB_AUTO(provider_plan)
		struct provider_plan *plan =
			prepare(&h, NULL, cases[i].is_headless, cases[i].prompt, cases[i].task);
		BB_AUTO_FREE char *got = command_of(plan);

		assert_string_equal(got, cases[i].want);
		assert_int_equal(plan->file_count, cases[i].prompt[0] != '\0' ? 3 : 2);
	}
}

static void claude_first_start_asks_nothing(void **state)
{
	struct host h = { { "ANTHROPIC_API_KEY" } };
	BB_AUTO(provider_plan) struct provider_plan *plan = prepare(&h, NULL, false, "", NULL);
	const char *key = env_of(plan, "ANTHROPIC_API_KEY");
	const char *json = plan->files[0].content;

	(void)state;
	assert_string_equal(plan->files[0].path, ".claude.json");
	assert_non_null(strstr(json, "\"hasCompletedOnboarding\":true"));
	assert_non_null(strstr(json, "\"/home/node/workspace\":{\"hasTrustDialogAccepted\":true}"));
	assert_non_null(strstr(json, key + strlen(key) - 20));
	assert_string_equal(plan->files[1].path, ".claude/settings.json");
	assert_non_null(strstr(plan->files[1].content, "skipDangerousModePermissionPrompt"));
	for (size_t i = 0; plan->env_names[i] != NULL; i++)
		assert_non_null(env_of(plan, plan->env_names[i]));
	assert_string_equal(env_of(plan, "https_proxy"), PROVIDER_PROXY);
	assert_string_equal(env_of(plan, "NODE_EXTRA_CA_CERTS"), PROVIDER_CA_BUNDLE);
	assert_string_equal(env_of(plan, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claude_binds_each_variable_to_its_header),
		cmocka_unit_test(claude_without_a_token_names_both_variables),
		cmocka_unit_test(claude_route_carries_a_session_and_no_telemetry),
		cmocka_unit_test(claude_command_line_fits_the_start),
		cmocka_unit_test(claude_first_start_asks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
