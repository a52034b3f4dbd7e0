/* workspace/credential: which names stay on the host. */
#include "../unit.h"

#include <string.h>

#include "base/cleanup.h"
#include "workspace/credential.h"

static void names_of_credentials_are_found_wherever_they_are(void **state)
{
	static const char *const names[] = {
		".env",
		"a/.env",
		".env.local",
		".ENV",
		"prod.env",
		".envrc",
		".netrc",
		".git-credentials",
		"x/.aws/credentials",
		".aws/config",
		".ssh/id_ed25519",
		"keys/id_rsa",
		"id_rsa.bak",
		"a.p12",
		"a.KDBX",
		".pypirc",
		".pgpass",
		"config/master.key",
		"secrets.yml",
		"terraform.tfstate",
		".kube/config",
		".m2/settings.xml",
		".cargo/credentials.toml",
		".codex/auth.json",
		"credentials.json",
		"client_secret_1.json",
		"wp-config.php",
		".npmrc",
		"server.pem",
		"tls.key",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++) {
		if (credential_find(names[i]) == NULL)
			fail_msg("'%s' is not found", names[i]);
	}
}

static void other_names_are_not(void **state)
{
	static const char *const names[] = {
		".env.example",  ".env.sample", "a/.env.template",
		"id_rsa.pub",    "environment", "env",
		"main.c",        "key.c",       "aws/credentials.go.txt/x",
		"kube/config.c", ".gitignore",  "keystore",
		"monkey.keys",
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(names); i++) {
		if (credential_find(names[i]) != NULL)
			fail_msg("'%s' is taken for one", names[i]);
	}
}

static void some_need_their_text(void **state)
{
	static const struct {
		const char *path, *text;
		bool holds;
	} rows[] = {
		{ ".npmrc", "//registry.npmjs.org/:_authToken=x", true },
		{ ".npmrc", "save-exact=true\n", false },
		{ "a.pem", "-----BEGIN RSA PRIVATE KEY-----", true },
		{ "a.pem", "-----BEGIN CERTIFICATE-----", false },
		{ "auth.json", "{\"refresh_token\": 1}", true },
		{ "gradle.properties", "org.gradle.jvmargs=-Xmx2g", false },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		const struct credential_rule *rule = credential_find(rows[i].path);

		assert_non_null(rule);
		assert_true(credential_needs_text(rule));
		assert_int_equal(credential_holds(rule, bb_view_str(rows[i].text)), rows[i].holds);
	}
	assert_false(credential_needs_text(credential_find(".env")));
}

static void urls_give_up_their_credentials(void **state)
{
	static const struct {
		const char *url, *credential;
	} rows[] = {
		{ "https://user:pass@h.example/r.git", "user:pass@" },
		{ "https://ghp_x@h.example/r.git", "ghp_x@" },
		{ "https://a@b@h.example/", "a@b@" },
		{ "ssh://git:pw@h.example/r.git", "git:pw@" },
		{ "ssh://git@h.example/r.git", "" },
		{ "git@h.example:r.git", "" },
		{ "https://h.example/a@b", "" },
		{ "https://h.example/r?x=a@b", "" },
		{ "/local/path", "" },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(rows); i++) {
		size_t at = 0, n = credential_in_url(rows[i].url, &at);

		assert_int_equal(n, strlen(rows[i].credential));
		assert_memory_equal(rows[i].url + at, rows[i].credential, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_credentials_are_found_wherever_they_are),
		cmocka_unit_test(other_names_are_not),
		cmocka_unit_test(some_need_their_text),
		cmocka_unit_test(urls_give_up_their_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
