/* manifest/: a table per block of keys: what is refused, with its exact message. */
#include "../unit.h"

#include <string.h>

#include "base/text.h"
#include "manifest/manifest.h"

struct refused {
	const char *yaml; /* from line 2 on */
	const char *want; /* behind "manifest 'FILE':" */
};

static void check_bottles(const struct refused *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
		BB_AUTO_FREE char *text = bb_text_printf("---\n%s\n---\n", cases[i].yaml);
		BB_AUTO_FREE char *want =
			bb_text_printf("manifest 'bottles/b.md':%s", cases[i].want);
		struct bb_err err = { 0 };

		if (manifest_parse_bottle(bb_view_str(text), "b", "bottles/b.md", &b, &err) == 0)
			fail_msg("not refused: %s", cases[i].yaml);
		assert_int_equal(err.code, BB_E_USAGE);
		assert_string_equal(err.msg, want);
	}
}

static void check_agents(const struct refused *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		BB_AUTO(manifest_agent) struct manifest_agent *a = NULL;
		BB_AUTO_FREE char *text = bb_text_printf("---\n%s\n---\n", cases[i].yaml);
		BB_AUTO_FREE char *want =
			bb_text_printf("manifest 'agents/a.md':%s", cases[i].want);
		struct bb_err err = { 0 };

		if (manifest_parse_agent(bb_view_str(text), "a", "agents/a.md", &a, &err) == 0)
			fail_msg("not refused: %s", cases[i].yaml);
		assert_string_equal(err.msg, want);
	}
}

#define REPO(rest) "git-gate:\n  repos:\n    r:\n" rest
#define URL        "      url: ssh://git@h.example/r.git\n"
#define KEY        "      key: {path: ~/k}\n"

static void git_gate_refuses(void **state)
{
	static const struct refused cases[] = {
		{ "git-gate: {user: {}}",
		  "2: 'user' says neither 'name' nor 'email'; leave it out" },
		{ "git-gate: {user: {name: '', email: ''}}",
		  "2: 'user' says neither 'name' nor 'email'; leave it out" },
		{ "git-gate: {user: {name: 'a <b>'}}",
		  "2: 'name' may not hold '<', '>' or the end of a line" },
		{ "git-gate: {user: {name: \"a\\nb\"}}",
		  "2: 'name' may not hold '<', '>' or the end of a line" },
		{ "git-gate: {user: {mail: a}}",
		  "2: unknown key 'mail' in git-gate.user; did you mean 'email'?" },
		{ "git-gate: {remotes: {}}", "2: 'remotes' is an old key; it became 'repos'" },
		{ "git-gate: {repos: []}", "2: 'repos' must be a block of keys, not a list" },
		{ "git-gate:\n  repos:\n    a/b: {}",
		  "4: git-gate: 'a/b' is not the name of a repository: letters, digits and '._-', "
		  "not beginning with '.' or '-'" },
		{ "git-gate:\n  repos:\n    ..: {}",
		  "4: git-gate: '..' is not the name of a repository: letters, digits and '._-', "
		  "not beginning with '.' or '-'" },
		{ "git-gate:\n  repos:\n    r: x",
		  "4: repository 'r' must be a block of keys, not a value" },
		{ REPO(KEY), "4: repository 'r' needs 'url'" },
		{ REPO(URL), "4: repository 'r' needs 'key': {provider: static, path: FILE} or "
			     "{provider: gitea, forge_token_env: NAME}" },
		{ REPO("      url: https://h.example/r.git\n" KEY),
		  "5: 'url' is 'https://h.example/r.git'; an upstream is reached by ssh and "
		  "written ssh://git@HOST[:PORT]/PATH" },
		{ REPO("      url: git@h.example:r.git\n" KEY),
		  "5: 'url' is 'git@h.example:r.git'; an upstream is reached by ssh and written "
		  "ssh://git@HOST[:PORT]/PATH" },
		{ REPO("      url: ssh://-oProxyCommand=x/r\n" KEY),
		  "5: 'url' is 'ssh://-oProxyCommand=x/r'; an upstream is reached by ssh and "
		  "written ssh://git@HOST[:PORT]/PATH" },
		{ REPO("      url: ssh://git:pw@h.example/r\n" KEY),
		  "5: 'url' is 'ssh://git:pw@h.example/r'; an upstream is reached by ssh and "
		  "written ssh://git@HOST[:PORT]/PATH" },
		{ REPO("      url: \"ext::sh -c x\"\n" KEY),
		  "5: 'url' is 'ext::sh -c x'; an upstream is reached by ssh and written "
		  "ssh://git@HOST[:PORT]/PATH" },
		{ REPO(URL KEY "      host_key: AAAA\n"),
		  "7: 'host_key' is a line of 'ssh-keyscan' without the host: \"ssh-ed25519 "
		  "AAAA...\"" },
		{ REPO(URL KEY "      host_key: ssh-dss AAAAC3NzaC1lZDI1NTE5\n"),
		  "7: 'host_key' is a line of 'ssh-keyscan' without the host: \"ssh-ed25519 "
		  "AAAA...\"" },
		{ REPO(URL "      identity: ~/k\n"),
		  "6: 'identity' is an old key; it became 'key: {provider: static, path: FILE}'" },
		{ REPO(URL "      provisioned_key: {}\n"),
		  "6: 'provisioned_key' is an old key; it became 'key: {provider: gitea, "
		  "forge_token_env: NAME}'" },
		{ REPO(URL "      key: {}\n"),
		  "6: a static key needs 'path', the private key's file" },
		{ REPO(URL "      key: {provider: vault}\n"),
		  "6: 'provider' is 'vault'; there are static and gitea" },
		{ REPO(URL "      key: {path: k}\n"),
		  "6: 'path' is 'k'; write it from the root (/...) or from your home (~/...)" },
		{ REPO(URL "      key: {provider: gitea}\n"),
		  "6: a gitea key needs 'forge_token_env', the variable that holds the forge's "
		  "token" },
		{ REPO(URL "      key: {provider: gitea, forge_token_env: T, path: /k}\n"),
		  "6: 'path' belongs to a static key, 'forge_token_env' to a gitea key; say one of "
		  "them" },
		{ REPO(URL "      key: {provider: gitea, forge_token_env: 'a b'}\n"),
		  "6: 'forge_token_env' is the name of a variable of your environment that holds "
		  "the token, never the token itself" },
		{ REPO(URL "      key: {provider: gitea, provisioner_token: T}\n"),
		  "6: 'provisioner_token' is an old key; it became 'forge_token_env'" },
		{ REPO(URL "      key: {provider: gitea, token_env: T}\n"),
		  "6: 'token_env' is an old key; it became 'forge_token_env'" },
	};

	(void)state;
	check_bottles(cases, BB_ARRAY_LEN(cases));
}

static void provider_refuses(void **state)
{
	static const struct refused cases[] = {
		{ "agent_provider: {auth_token: T}",
		  "2: agent_provider needs 'template', such as claude" },
		{ "agent_provider: {template: ../x}",
		  "2: 'template' is '../x'; the name of a provider is a word such as claude" },
		{ "agent_provider: {template: claude, forward_host_credentials: true}",
		  "2: 'forward_host_credentials' belongs to the provider codex, not to claude" },
		{ "agent_provider: {template: codex, forward_host_credentials: 1}",
		  "2: 'forward_host_credentials' must be true or false" },
		{ "agent_provider: {template: codex, forward_host_credentials: 'true'}",
		  "2: 'forward_host_credentials' must be true or false" },
		{ "agent_provider: {template: codex, settings: {}}",
		  "2: 'settings' belongs to the provider pi, not to codex" },
		{ "agent_provider: {template: pi, settings: {base_url: ollama}}",
		  "2: 'base_url' is 'ollama'; it begins with http:// or https://" },
		{ "agent_provider: {template: pi, settings: {api: x}}",
		  "2: 'api' is 'x'; there are openai-completions, openai-responses, "
		  "anthropic-messages and google-generative-ai" },
		{ "agent_provider: {template: pi, settings: {models: []}}",
		  "2: 'models' is an empty list; leave it out" },
		{ "agent_provider: {template: pi, settings: {models: [a, a]}}",
		  "2: 'models' names 'a' twice" },
		{ "agent_provider: {template: pi, settings: {compat: {a: maybe}}}",
		  "2: 'a' must be true or false" },
		{ "agent_provider: {template: pi, settings: {compat: {}}}",
		  "2: 'compat' is empty; leave it out" },
		{ "agent_provider: {template: pi, settings: {compat: {'a b': true}}}",
		  "2: compat: 'a b' is not the name of a flag" },
		{ "agent_provider: {template: pi, settings: {modles: [a]}}",
		  "2: unknown key 'modles' in settings; did you mean 'models'?" },
	};

	(void)state;
	check_bottles(cases, BB_ARRAY_LEN(cases));
}

#define DLP(rest) "egress:\n  routes:\n    - host: a.example\n      dlp: " rest

static void dlp_refuses(void **state)
{
	static const struct refused cases[] = {
		{ DLP("{}"), "5: 'dlp' says nothing; leave it out" },
		{ DLP("true"), "5: 'dlp' must be a block of keys, not a value" },
		{ DLP("{outbound_detectors: true}"),
		  "5: 'outbound_detectors' is a list of detectors, or false for none; left out, "
		  "the usual ones look" },
		{ DLP("{outbound_detectors: []}"),
		  "5: 'outbound_detectors' is a list of detectors, or false for none; left out, "
		  "the usual ones look" },
		{ DLP("{outbound_detectors: [tokens]}"),
		  "5: 'an entry of the list' is 'tokens'; there are token_patterns, known_secrets "
		  "and entropy" },
		{ DLP("{outbound_detectors: [entropy, entropy]}"),
		  "5: 'outbound_detectors' names 'entropy' twice" },
		{ DLP("{inbound_detectors: [entropy]}"),
		  "5: 'an entry of the list' is 'entropy'; there is naive_injection_detection" },
		{ DLP("{outbound_on_match: allow}"),
		  "5: 'outbound_on_match' is 'allow'; there are supervise, redact and block" },
		{ DLP("{inbound_on_match: block}"),
		  "5: unknown key 'inbound_on_match' in dlp; did you mean 'outbound_on_match'?" },
		{ "egress:\n  outbound_on_match: block",
		  "3: 'outbound_on_match' belongs onto a route: 'dlp: {...}' beside its 'host'" },
		{ "egress:\n  dlp: {}",
		  "3: 'dlp' belongs onto a route: 'dlp: {...}' beside its 'host'" },
	};

	(void)state;
	check_bottles(cases, BB_ARRAY_LEN(cases));
}

static void workspace_refuses(void **state)
{
	static const struct refused cases[] = {
		{ "workspace: {path: .}",
		  "2: 'path' is '.'; write it from the root (/...) or from your home (~/...); "
		  "'start --cwd' takes the working directory" },
		{ "workspace: {path: ~other/x}",
		  "2: 'path' is '~other/x'; write it from the root (/...) or from your home "
		  "(~/...); 'start --cwd' takes the working directory" },
		{ "workspace: {include: [/etc/passwd]}",
		  "2: 'include': '/etc/passwd' is not a name inside the workspace, such as "
		  "config/.env.test" },
		{ "workspace: {include: [a/../../b]}",
		  "2: 'include': 'a/../../b' is not a name inside the workspace, such as "
		  "config/.env.test" },
		{ "workspace: {include: [./a]}",
		  "2: 'include': './a' is not a name inside the workspace, such as "
		  "config/.env.test" },
		{ "workspace: {include: [a//b]}",
		  "2: 'include': 'a//b' is not a name inside the workspace, such as "
		  "config/.env.test" },
		{ "workspace: {include: .env}", "2: 'include' must be a list, not a value" },
		{ "workspace: {git: no}", "2: 'git' must be true or false" },
		{ "workspace: yes", "2: 'workspace' must be a block of keys, not a value" },
	};

	(void)state;
	check_bottles(cases, BB_ARRAY_LEN(cases));
}

static void old_and_misplaced_keys_say_where_to_go(void **state)
{
	static const struct refused bottles[] = {
		{ "git: {}", "2: 'git' is an old key; it became 'git-gate'" },
		{ "supervise: false", "2: 'supervise: false' is an old key: approvals cannot be "
				      "switched off; take it out" },
		{ "supervise: ask", "2: 'supervise' must be true or false" },
		{ "pipelock: {tls_passthrough: []}",
		  "2: 'pipelock' is an old key and means nothing here; write 'egress.routes'" },
		{ "cred_proxy: {}", "2: 'cred_proxy' is an old key; it became 'auth' of a route: "
				    "{scheme: Bearer, token_ref: HOST_VAR}" },
		{ "tokens: {}", "2: 'tokens' is an old key; it became 'auth' of a route: {scheme: "
				"Bearer, token_ref: HOST_VAR}" },
		{ "egress_proxy: {}", "2: 'egress_proxy' is an old key; it became 'egress'" },
		{ "ssh: {}", "2: 'ssh' is an old key; upstreams are 'git-gate.repos'" },
		{ "runtime: runsc", "2: 'runtime' is an old key; choose with 'start --backend'" },
		{ "ExtraHosts: []", "2: 'ExtraHosts' is an old key: names are resolved on the "
				    "host; write 'egress.routes'" },
		{ "dockerfile: ./D", "2: 'dockerfile' is refused: images are built by 'bot-bottle "
				     "image build', not from Dockerfiles; use 'image'" },
		{ "skills: [a]", "2: 'skills' belongs into the agent, not into the bottle" },
		{ "bottle: a", "2: 'bottle' belongs into the agent; a bottle starts from another "
			       "one by 'extends'" },
		{ "env: {A: '?'}", "2: env 'A': write what is asked for behind the '?'" },
		{ "env: {A: '?  '}", "2: env 'A': write what is asked for behind the '?'" },
	};
	static const struct refused agents[] = {
		{ "botle: dev", "2: unknown key 'botle' in an agent; did you mean 'bottle'?" },
		{ "bottle: Dev",
		  "2: 'bottle': 'Dev' is not the name of a bottle; names are like 'my-bottle2'" },
		{ "bottle: ../x",
		  "2: 'bottle': '../x' is not the name of a bottle; names are like 'my-bottle2'" },
		{ "skills: [Commit]", "2: 'skills': 'Commit' is not the name of a skill; names are "
				      "like 'commit-style'" },
		{ "skills: ['a;b']", "2: 'skills': 'a;b' is not the name of a skill; names are "
				     "like 'commit-style'" },
		{ "skills: [a, a]", "2: 'skills' names 'a' twice" },
		{ "skills: a", "2: 'skills' must be a list, not a value" },
		{ "git-gate: {repos: {}}", "2: 'repos' is refused on an agent: repositories carry "
					   "credentials and belong into the bottle" },
		{ "git-gate: {user: {}}",
		  "2: 'user' says neither 'name' nor 'email'; leave it out" },
		{ "git-gate: {user: {name: 1, mail: 2}}",
		  "2: unknown key 'mail' in git-gate.user; did you mean 'email'?" },
		{ "repos: {}", "2: 'repos' is refused on an agent: it carries credentials" },
		{ "env: {}", "2: 'env' belongs into the bottle, not into the agent" },
		{ "extends: a", "2: 'extends' belongs into the bottle, not into the agent" },
		{ "description: [a]", "2: 'description' must be a value, not a list" },
		{ "tools: Bash", "2: unknown key 'tools' in an agent" },
	};

	(void)state;
	check_bottles(bottles, BB_ARRAY_LEN(bottles));
	check_agents(agents, BB_ARRAY_LEN(agents));
}

static void services_that_are_not_built_keep_it_from_starting(void **state)
{
	static const char text[] = "---\ngit-gate:\n  repos:\n    r:\n" URL KEY
				   "egress:\n  routes:\n    - host: a.example\n      dlp: "
				   "{outbound_on_match: redact}\n"
				   "    - host: b.example\nsupervise: true\n---\n";
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;
	BB_AUTO(manifest_bottle) struct manifest_bottle *plain = NULL;
	BB_AUTO_STRV char **why = NULL;
	BB_AUTO_STRV char **none = NULL;
	struct bb_err err = { 0 };

	(void)state;
	if (manifest_parse_bottle(bb_view_str(text), "b", "bottles/b.md", &b, &err) < 0)
		fail_msg("%s", err.msg);
	why = manifest_not_built(b);
	assert_int_equal(bb_strv_len(why), 3);
	assert_string_equal(why[0],
			    "manifest 'bottles/b.md':4: 'git-gate.repos' is not built yet: this "
			    "version has no git remotes; take it out to start without them");
	assert_string_equal(why[1],
			    "manifest 'bottles/b.md':10: 'dlp' is not built yet: this version does "
			    "not scan what goes to an allowed host; take it out to start without a "
			    "scan");
	assert_string_equal(why[2],
			    "manifest 'bottles/b.md':12: 'supervise' is not built yet: nobody "
			    "would be asked; take it out (it has no other value)");
	assert_int_equal(manifest_parse_bottle(bb_view_str("---\nimage: base\n---"), "b",
					       "bottles/b.md", &plain, &err),
			 0);
	none = manifest_not_built(plain);
	assert_int_equal(bb_strv_len(none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(git_gate_refuses),
		cmocka_unit_test(provider_refuses),
		cmocka_unit_test(dlp_refuses),
		cmocka_unit_test(workspace_refuses),
		cmocka_unit_test(old_and_misplaced_keys_say_where_to_go),
		cmocka_unit_test(services_that_are_not_built_keep_it_from_starting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
