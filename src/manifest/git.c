/*
 * The block `git-gate` of a bottle, and the part of it that an agent may have. A repository carries
 * credentials and the trust in a host, so agents, which a repository can bring along, have none.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/table.h"
#include "base/text.h"
#include "manifest/bottle_impl.h"

#define REPO_NAME_MAX 100

const char *const manifest_key_kinds[MANIFEST_NUM_KEY_KINDS] = {
	[MANIFEST_KEY_STATIC] = "static",
	[MANIFEST_KEY_GITEA] = "gitea",
};

void manifest_git_user_done(struct manifest_git_user *u)
{
	free(u->name);
	free(u->email);
}

static void repo_done(struct manifest_repo *repo)
{
	free(repo->name);
	free(repo->url);
	free(repo->host_key);
	free(repo->key_path);
	free(repo->forge_token_env);
}

void manifest_git_done(struct manifest_git *g)
{
	manifest_git_user_done(&g->user);
	for (size_t i = 0; i < g->repo_count; i++)
		repo_done(&g->repos[i]);
	free(g->repos);
}

struct manifest_git_user manifest_git_user_of(const struct manifest_agent *a,
					      const struct manifest_bottle *b)
{
	struct manifest_git_user u = b->git.user;

	if (a->git_user.name != NULL) {
		u.name = a->git_user.name;
		u.name_at = a->git_user.name_at;
	}
	if (a->git_user.email != NULL) {
		u.email = a->git_user.email;
		u.email_at = a->git_user.email_at;
	}
	return u;
}

/* user */

/* What git would drop or refuse is refused here. An empty text is a field that is not there. */
static int take_user_field(const struct manifest_reader *r, const struct manifest_node *value,
			   char **ret)
{
	if (strpbrk(value->text, "<>\n") != NULL)
		return manifest_refuse(r, value->line,
				       "'%s' may not hold '<', '>' or the end of a line",
				       value->key);
	if (value->text[0] == '\0')
		return 0;
	return manifest_take_text(r, value, ret);
}

static int take_user_name(const struct manifest_reader *r, const struct manifest_node *value,
			  void *target)
{
	struct manifest_git_user *u = target;

	u->name_at = manifest_origin_of(value);
	return take_user_field(r, value, &u->name);
}

static int take_user_email(const struct manifest_reader *r, const struct manifest_node *value,
			   void *target)
{
	struct manifest_git_user *u = target;

	u->email_at = manifest_origin_of(value);
	return take_user_field(r, value, &u->email);
}

static const struct manifest_key user_keys[] = {
	{ "name", MANIFEST_SCALAR, take_user_name, "who commits" },
	{ "email", MANIFEST_SCALAR, take_user_email, "their address" },
};
static const struct manifest_block user_block = { "git-gate.user", user_keys,
						  BB_ARRAY_LEN(user_keys) };

int manifest_take_git_user(const struct manifest_reader *r, const struct manifest_node *value,
			   struct manifest_git_user *ret)
{
	int result = manifest_take_block(r, &user_block, value, ret);

	if (result == 0 && ret->name == NULL && ret->email == NULL)
		return manifest_refuse(r, value->key_line,
				       "'user' says neither 'name' nor 'email'; leave it out");
	return result;
}

/* repos.NAME.key */

static int take_key_provider(const struct manifest_reader *r, const struct manifest_node *value,
			     void *target)
{
	struct manifest_repo *repo = target;
	size_t index = 0;
	int result =
		manifest_take_word(r, value, manifest_key_kinds, MANIFEST_NUM_KEY_KINDS, &index);

	repo->key_kind = (enum manifest_key_kind)index;
	return result;
}

static int take_key_path(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	struct manifest_repo *repo = target;
	int result = manifest_take_text(r, value, &repo->key_path);

	if (result == 0 && repo->key_path[0] != '/' && strncmp(repo->key_path, "~/", 2) != 0)
		return manifest_refuse(r, value->line,
				       "'path' is '%s'; write it from the root (/...) or from your "
				       "home (~/...)",
				       BB_ESCAPED(bb_view_str(repo->key_path)));
	return result;
}

static int take_forge_token(const struct manifest_reader *r, const struct manifest_node *value,
			    void *target)
{
	struct manifest_repo *repo = target;

	return manifest_take_env_name(r, value, "the token", &repo->forge_token_env);
}

#define REFUSE_TOKEN "is an old key; it became 'forge_token_env'"
static const struct manifest_key key_keys[] = {
	{ "provider", MANIFEST_SCALAR, take_key_provider,
	  "static (a file, the default) or gitea (deploy key)", MANIFEST_WORDS("static", "gitea") },
	{ "path", MANIFEST_SCALAR, take_key_path, "static: the private key's file",
	  MANIFEST_PATTERN("^(/|~/)") },
	{ "forge_token_env", MANIFEST_SCALAR, take_forge_token,
	  "gitea: host variable with the forge's token", MANIFEST_PATTERN(MANIFEST_ENV_PATTERN) },
	{ "provisioner_token", MANIFEST_SCALAR, NULL, REFUSE_TOKEN },
	{ "token_env", MANIFEST_SCALAR, NULL, REFUSE_TOKEN },
};
static const struct manifest_block key_block = { "the key of a repository", key_keys,
						 BB_ARRAY_LEN(key_keys) };

static int take_key(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target)
{
	struct manifest_repo *repo = target;
	int result = manifest_take_block(r, &key_block, value, target);

	repo->key_at = manifest_origin_of(value);
	if (result < 0)
		return result;
	if (repo->key_kind == MANIFEST_KEY_STATIC && repo->key_path == NULL)
		return manifest_refuse(r, value->key_line,
				       "a static key needs 'path', the private key's file");
	if (repo->key_kind == MANIFEST_KEY_GITEA && repo->forge_token_env == NULL)
		return manifest_refuse(r, value->key_line,
				       "a gitea key needs 'forge_token_env', the variable that "
				       "holds the forge's token");
	if (repo->key_path != NULL && repo->forge_token_env != NULL)
		return manifest_refuse(r, value->key_line,
				       "'path' belongs to a static key, 'forge_token_env' to a "
				       "gitea key; say one of them");
	return 0;
}

/* repos.NAME */

/* ssh://[USER@]HOST[:PORT]/PATH of plain characters: it is given to git and ssh. */
static bool is_ssh_url(const char *url)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-";
	const char *p = url + 6;
	size_t n;

	if (strncmp(url, "ssh://", 6) != 0)
		return false;
	n = strspn(p, plain);
	if (n > 0 && p[n] == '@' && p[0] != '-')
		p += n + 1;
	n = strspn(p, plain);
	if (n == 0 || p[0] == '-' || p[0] == '.')
		return false;
	p += n;
	if (*p == ':') {
		n = strspn(++p, "0123456789");
		if (n == 0 || n > 5)
			return false;
		p += n;
	}
	if (p[0] != '/' || p[1] == '\0')
		return false;
	for (; *p != '\0'; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f ||
		    strchr("\"'\\`$", *p) != NULL)
			return false;
	return true;
}

static int take_url(const struct manifest_reader *r, const struct manifest_node *value,
		    void *target)
{
	struct manifest_repo *repo = target;
	int result = manifest_take_text(r, value, &repo->url);

	repo->url_at = manifest_origin_of(value);
	if (result == 0 && !is_ssh_url(repo->url))
		return manifest_refuse(r, value->line,
				       "'url' is '%s'; an upstream is reached by ssh and written "
				       "ssh://git@HOST[:PORT]/PATH",
				       BB_ESCAPED(bb_view_str(repo->url)));
	return result;
}

static int take_host_key(const struct manifest_reader *r, const struct manifest_node *value,
			 void *target)
{
	static const char *const types[] = {
		"ssh-ed25519",
		"ssh-rsa",
		"ecdsa-sha2-nistp256",
		"ecdsa-sha2-nistp384",
		"ecdsa-sha2-nistp521",
		"sk-ssh-ed25519@openssh.com",
		"sk-ecdsa-sha2-nistp256@openssh.com",
	};
	struct manifest_repo *repo = target;
	int result = manifest_take_text(r, value, &repo->host_key);
	const char *space;
	size_t n;

	repo->host_key_at = manifest_origin_of(value);
	if (result < 0)
		return result;
	space = strchr(repo->host_key, ' ');
	n = space == NULL ? 0 : strspn(space + 1, bb_base64_digits);
	if (space == NULL || n < 16 || space[1 + n + strspn(space + 1 + n, "=")] != '\0' ||
	    bb_table_index(types, BB_ARRAY_LEN(types),
			   bb_view_of(repo->host_key, (size_t)(space - repo->host_key))) < 0)
		return manifest_refuse(r, value->line,
				       "'host_key' is a line of 'ssh-keyscan' without the host: "
				       "\"ssh-ed25519 AAAA...\"");
	return 0;
}

static const struct manifest_key repo_keys[] = {
	{ "url", MANIFEST_SCALAR, take_url, "the upstream: ssh://git@HOST[:PORT]/PATH",
	  MANIFEST_PATTERN("^ssh://") },
	{ "host_key", MANIFEST_SCALAR, take_host_key, "the upstream's key: ssh-ed25519 AAAA...",
	  MANIFEST_PATTERN("^[a-z0-9@.-]+ [A-Za-z0-9+/]+=*$") },
	{ "key", MANIFEST_MAP, take_key, "what the gate logs in with", MANIFEST_BLOCK(key_block) },
	{ "identity", MANIFEST_SCALAR, NULL,
	  "is an old key; it became 'key: {provider: static, path: FILE}'" },
	{ "provisioned_key", MANIFEST_MAP, NULL,
	  "is an old key; it became 'key: {provider: gitea, forge_token_env: NAME}'" },
};
static const struct manifest_block repo_block = { "a repository of git-gate", repo_keys,
						  BB_ARRAY_LEN(repo_keys), "url key" };

/* A directory of the gate and a part of a URL. */
static bool is_repo_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && n <= REPO_NAME_MAX && s[n] == '\0' && s[0] != '-' && s[0] != '.';
}

static int take_repo(const struct manifest_reader *r, const struct manifest_node *value,
		     struct manifest_repo *repo)
{
	int result;

	if (!is_repo_name(value->key))
		return manifest_refuse(r, value->key_line,
				       "git-gate: '%s' is not the name of a repository: letters, "
				       "digits and '._-', not beginning with '.' or '-'",
				       BB_ESCAPED(bb_view_str(value->key)));
	if (value->kind != MANIFEST_MAP)
		return manifest_refuse(r, value->line, "repository '%s' must be %s, not %s",
				       value->key, manifest_kind_word(MANIFEST_MAP),
				       manifest_kind_word(value->kind));
	repo->at = manifest_origin_of(value);
	repo->name = strdup(value->key);
	if (repo->name == NULL)
		return manifest_no_memory(r);
	result = manifest_take_block(r, &repo_block, value, repo);
	if (result < 0)
		return result;
	if (repo->url == NULL)
		return manifest_refuse(r, value->key_line, "repository '%s' needs 'url'",
				       repo->name);
	if (manifest_node_find(value, "key") == NULL)
		return manifest_refuse(r, value->key_line,
				       "repository '%s' needs 'key': {provider: static, path: "
				       "FILE} or {provider: gitea, forge_token_env: NAME}",
				       repo->name);
	return 0;
}

static int take_repos(const struct manifest_reader *r, const struct manifest_node *value,
		      void *target)
{
	struct manifest_git *g = target;

	if (value->count > LIMIT_MANIFEST_LIST)
		return manifest_refuse(r, value->line, "'repos' has %zu entries, limit %d",
				       value->count, LIMIT_MANIFEST_LIST);
	if (value->count == 0)
		return 0;
	g->repos = calloc(value->count, sizeof(*g->repos));
	if (g->repos == NULL)
		return manifest_no_memory(r);
	for (size_t i = 0; i < value->count; i++) {
		const struct manifest_reader at = manifest_reader_at(r, value->items[i]);
		int result;

		g->repo_count++;
		result = take_repo(&at, value->items[i], &g->repos[i]);
		if (result < 0)
			return result;
	}
	return 0;
}

/* the block */

static int take_user(const struct manifest_reader *r, const struct manifest_node *value,
		     void *target)
{
	struct manifest_git *g = target;

	return manifest_take_git_user(r, value, &g->user);
}

static const struct manifest_key git_keys[] = {
	{ "user", MANIFEST_MAP, take_user, "who commits in the guest", MANIFEST_BLOCK(user_block) },
	{ "repos", MANIFEST_MAP, take_repos, "upstreams that the guest may fetch and push",
	  MANIFEST_SHAPE(.names = "^[A-Za-z0-9_][A-Za-z0-9._-]*$",
			 .items = MANIFEST_BLOCK(repo_block)) },
	{ "remotes", MANIFEST_MAP, NULL, "is an old key; it became 'repos'" },
};
const struct manifest_block manifest_git_block = { "git-gate", git_keys, BB_ARRAY_LEN(git_keys) };

int manifest_take_git(const struct manifest_reader *r, const struct manifest_node *value,
		      void *bottle)
{
	struct manifest_bottle *b = bottle;

	return manifest_take_block(r, &manifest_git_block, value, &b->git);
}

/* of an agent */

static const struct manifest_key agent_keys[] = {
	{ "user", MANIFEST_MAP, take_user, "who commits in the guest", MANIFEST_BLOCK(user_block) },
	{ "repos", MANIFEST_MAP, NULL,
	  "is refused on an agent: repositories carry credentials and belong into the bottle" },
};
const struct manifest_block manifest_agent_git_block = { "git-gate of an agent", agent_keys,
							 BB_ARRAY_LEN(agent_keys) };

int manifest_take_agent_git(const struct manifest_reader *r, const struct manifest_node *value,
			    struct manifest_git_user *ret)
{
	struct manifest_git g = { 0 };
	int result = manifest_take_block(r, &manifest_agent_git_block, value, &g);

	*ret = g.user;
	return result;
}
