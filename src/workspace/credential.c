/* See credential.h. One table; the first row that fits decides. */
#include "workspace/credential.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "workspace/pattern.h"

#define TEMPLATE NULL /* looks like one, is an example to copy: taken along */

static const struct credential_rule rules[] = {
	{ ".env.example", TEMPLATE, { 0 } },
	{ ".env.sample", TEMPLATE, { 0 } },
	{ ".env.template", TEMPLATE, { 0 } },
	{ ".env.dist", TEMPLATE, { 0 } },
	{ ".env.defaults", TEMPLATE, { 0 } },
	{ ".env", "environment with secrets", { 0 } },
	{ ".env.*", "environment with secrets", { 0 } },
	{ "*.env", "environment with secrets", { 0 } },
	{ ".envrc", "environment with secrets", { 0 } },
	{ ".flaskenv", "environment with secrets", { 0 } },
	{ ".npmrc", "npm token", { "_auth", "_password" } },
	{ ".yarnrc.yml", "npm token", { "npmAuthToken", "npmAuthIdent" } },
	{ ".pypirc", "Python index password", { 0 } },
	{ "pip.conf", "Python index password", { "@" } },
	{ ".netrc", "passwords of hosts", { 0 } },
	{ "_netrc", "passwords of hosts", { 0 } },
	{ ".git-credentials", "passwords of git", { 0 } },
	{ ".pgpass", "database password", { 0 } },
	{ ".my.cnf", "database password", { 0 } },
	{ ".mylogin.cnf", "database password", { 0 } },
	{ ".htpasswd", "password hashes", { 0 } },
	{ ".dockercfg", "registry password", { 0 } },
	{ ".docker/config.json", "registry password", { "auth" } },
	{ ".aws/", "cloud credentials", { 0 } },
	{ ".azure/", "cloud credentials", { 0 } },
	{ "gcloud/", "cloud credentials", { "private_key", "refresh_token", "client_secret" } },
	{ "application_default_credentials.json", "cloud credentials", { 0 } },
	{ "credentials.json", "credentials", { 0 } },
	{ ".credentials.json", "credentials", { 0 } },
	{ "credentials", "credentials", { "key", "secret", "token", "password" } },
	{ "credentials.*", "credentials", { "key", "secret", "token", "password" } },
	{ "client_secret*.json", "OAuth client secret", { 0 } },
	{ "*service*account*.json", "cloud credentials", { "private_key" } },
	{ ".codex/auth.json", "agent's login", { 0 } },
	{ "auth.json", "login", { "token", "password", "key" } },
	{ ".kube/config", "cluster credentials", { 0 } },
	{ "kubeconfig", "cluster credentials", { 0 } },
	{ "*.kubeconfig", "cluster credentials", { 0 } },
	{ ".cargo/credentials*", "registry token", { 0 } },
	{ ".gem/credentials", "registry token", { 0 } },
	{ ".m2/settings*.xml", "registry password", { "password" } },
	{ "gradle.properties", "registry password", { "assword", "oken", "ecret" } },
	{ "NuGet.config", "registry password", { "Password" } },
	{ ".ssh/", "SSH files", { 0 } },
	{ ".gnupg/", "GnuPG keys", { 0 } },
	{ "id_*.pub", TEMPLATE, { 0 } },
	{ "id_rsa*", "private key", { 0 } },
	{ "id_dsa*", "private key", { 0 } },
	{ "id_ecdsa*", "private key", { 0 } },
	{ "id_ed25519*", "private key", { 0 } },
	{ "*.pem", "private key", { "PRIVATE KEY" } },
	{ "*.key", "private key", { "PRIVATE KEY", "SECRET KEY" } },
	{ "*.ppk", "private key", { 0 } },
	{ "*.p12", "private key", { 0 } },
	{ "*.pfx", "private key", { 0 } },
	{ "*.jks", "key store", { 0 } },
	{ "*.keystore", "key store", { 0 } },
	{ "*.kdbx", "password safe", { 0 } },
	{ "secring.*", "GnuPG keys", { 0 } },
	{ "master.key", "key of encrypted credentials", { 0 } },
	{ "secrets.y*ml", "secrets", { 0 } },
	{ "secrets.json", "secrets", { 0 } },
	{ "secrets.toml", "secrets", { 0 } },
	{ "secrets.env", "secrets", { 0 } },
	{ "local.settings.json", "secrets", { 0 } },
	{ "*.tfstate", "state with secrets", { 0 } },
	{ "*.tfstate.backup", "state with secrets", { 0 } },
	{ "*.tfvars", "variables with secrets", { "key", "secret", "token", "password" } },
	{ ".terraformrc", "token", { 0 } },
	{ ".vault-token", "token", { 0 } },
	{ ".vault_pass*", "password", { 0 } },
	{ ".s3cfg", "cloud credentials", { 0 } },
	{ ".boto", "cloud credentials", { 0 } },
	{ "rclone.conf", "cloud credentials", { 0 } },
	{ "wp-config.php", "database password", { 0 } },
	{ ".claude/settings.local.json", "agent's settings", { "oken", "KEY", "ecret" } },
};

const struct credential_rule *credential_find(const char *path)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(rules); i++)
		if (pattern_fits(rules[i].pattern, path))
			return rules[i].what == TEMPLATE ? NULL : &rules[i];
	return NULL;
}

bool credential_needs_text(const struct credential_rule *rule)
{
	return rule->texts[0] != NULL;
}

bool credential_holds(const struct credential_rule *rule, struct bb_view text)
{
	for (size_t i = 0; i < BB_ARRAY_LEN(rule->texts) && rule->texts[i] != NULL; i++)
		if (memmem(text.p, text.n, rule->texts[i], strlen(rule->texts[i])) != NULL)
			return true;
	return false;
}

size_t credential_in_url(const char *url, size_t *ret_at)
{
	const char *start = strstr(url, "://");
	const char *at, *slash;
	size_t n;

	if (start == NULL)
		return 0;
	start += 3;
	slash = start + strcspn(start, "/?#");
	at = memrchr(start, '@', (size_t)(slash - start));
	if (at == NULL)
		return 0;
	n = (size_t)(at - start) + 1;
	if (strncasecmp(url, "ssh:", 4) == 0 && memchr(start, ':', n) == NULL)
		return 0;
	*ret_at = (size_t)(start - url);
	return n;
}
