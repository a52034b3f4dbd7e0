/* manifest/: presets, by what they allow, with the data files that are installed. */
#include "../unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "manifest/preset.h"

static const struct {
	const char *from, *url;
} addresses[] = {
	{ "npm", "https://npm.example/" },
	{ "npm", "https://user:secret@pkgs.example:8443/team/npm/?a=b" },
	{ "npm", "https://npm.example" }, /* the first one again */
	{ "debian", "http://deb.example/debian/" },
};

static int sites_of(void *arg, const char *from, struct manifest_sites *ret, struct bb_err *err)
{
	if (arg != NULL)
		return bb_err_set(err, BB_E_MISSING, "no registry is configured");
	for (size_t i = 0; i < BB_ARRAY_LEN(addresses); i++)
		if (strcmp(addresses[i].from, from) == 0)
			assert_int_equal(
				manifest_site_add(ret, bb_view_str(addresses[i].url), "rc:1", err),
				0);
	return 0;
}

/* Routes in flow form, "preset: npm"; NULL with err set when they are refused. */
static struct manifest_bottle *expand(const char *routes, void *arg, struct bb_err *err)
{
	const struct manifest_presets from = { .dir = TEST_PRESETS, .sites = sites_of, .arg = arg };
	BB_AUTO_FREE char *text = bb_text_printf("---\negress:\n  routes: [%s]\n---\n", routes);
	struct manifest_bottle *b = NULL;

	if (manifest_parse_bottle(bb_view_str(text), "b", "bottles/b.md", &b, err) < 0)
		return NULL;
	if (manifest_expand_presets(b, &from, err) < 0) {
		manifest_bottle_free(b);
		return NULL;
	}
	return b;
}

static bool is_allowed(const struct policy *p, const char *method, const char *host, uint16_t port,
		       const char *path)
{
	const struct policy_route *route = NULL;
	const struct policy_request q = { .method = bb_view_str(method),
					  .path = bb_view_str(path) };

	if (policy_decide_host(p, host, port, port != 80, &route) != POLICY_ALLOWED)
		return false;
	return policy_decide_request(route, &q) == POLICY_ALLOWED;
}

static const struct {
	const char *routes, *method, *host;
	uint16_t port;
	const char *path;
	bool is_allowed;
} requests[] = {
	{ "{preset: npm}", "GET", "npm.example", 443, "/left-pad", true },
	{ "{preset: npm}", "PUT", "npm.example", 443, "/left-pad", false },
	{ "{preset: npm}", "POST", "npm.example", 443, "/-/npm/v1/security/audits", false },
	{ "{preset: npm}", "GET", "pkgs.example", 8443, "/team/npm/x", true },
	{ "{preset: npm}", "GET", "pkgs.example", 8443, "/team/other", false },
	{ "{preset: npm}", "GET", "pkgs.example", 443, "/team/npm/x", false },
	{ "{preset: npm}", "GET", "deb.example", 80, "/debian/x", false },
	{ "{preset: debian}", "GET", "deb.example", 80, "/debian/dists/x", true },
	{ "{preset: debian}", "GET", "deb.example", 443, "/debian/dists/x", false },
	{ "{preset: debian}", "GET", "deb.example", 80, "/other", false },
	{ "{preset: debian}", "POST", "deb.example", 80, "/debian/x", false },
	{ "{preset: crates}", "GET", "index.crates.io", 443, "/se/rd/serde", true },
	{ "{preset: crates}", "GET", "crates.io", 443, "/api/v1/crates/serde", true },
	{ "{preset: crates}", "GET", "crates.io", 443, "/api/v1/me", false },
	{ "{preset: crates}", "PUT", "crates.io", 443, "/api/v1/crates/new", false },
	{ "{preset: crates}", "DELETE", "crates.io", 443, "/api/v1/crates/a/1/yank", false },
	{ "{preset: go}", "GET", "proxy.golang.org", 443, "/golang.org/x/net/@v/list", true },
	{ "{preset: go}", "GET", "sum.golang.org", 443, "/lookup/a@v1", true },
	{ "{preset: go}", "POST", "sum.golang.org", 443, "/lookup/a@v1", false },
	{ "{preset: go}", "GET", "storage.googleapis.com", 443, "/proxy-golang-org-prod/x", true },
	{ "{preset: go}", "GET", "storage.googleapis.com", 443, "/somebody-elses-bucket/x", false },
	{ "{preset: github-read}", "GET", "github.com", 443, "/a/b", true },
	{ "{preset: github-read}", "POST", "github.com", 443, "/a/b.git/git-upload-pack", true },
	{ "{preset: github-read}", "POST", "github.com", 443, "/a/b.git/git-receive-pack", false },
	{ "{preset: github-read}", "POST", "github.com", 443, "/a/b/c/git-upload-pack", false },
	{ "{preset: github-read}", "POST", "api.github.com", 443, "/graphql", false },
	{ "{preset: github-read}", "GET", "gist.github.com", 443, "/", false },
	{ "{preset: 'github-repo:o/r.x'}", "GET", "api.github.com", 443, "/repos/o/r.x/pulls",
	  true },
	{ "{preset: 'github-repo:o/r.x'}", "GET", "api.github.com", 443, "/repos/o/r", false },
	{ "{preset: 'github-repo:o/r.x'}", "GET", "api.github.com", 443, "/repos/o/r.xy", false },
	{ "{preset: 'github-repo:o/r.x'}", "GET", "api.github.com", 443, "/user/repos", false },
	{ "{preset: 'github-repo:o/r.x'}", "POST", "api.github.com", 443, "/repos/o/r.x/issues",
	  true },
	{ "{preset: 'github-repo:o/r.x'}", "POST", "api.github.com", 443,
	  "/repos/o/r.x/issues/12/comments", true },
	{ "{preset: 'github-repo:o/r.x'}", "POST", "api.github.com", 443,
	  "/repos/o/rax/issues/12/comments", false },
	{ "{preset: 'github-repo:o/r.x'}", "PATCH", "api.github.com", 443, "/repos/o/r.x/pulls/1",
	  true },
	{ "{preset: 'github-repo:o/r.x'}", "PATCH", "api.github.com", 443, "/repos/o/r.x", false },
	{ "{preset: 'github-repo:o/r.x'}", "DELETE", "api.github.com", 443, "/repos/o/r.x", false },
	{ "{preset: 'github-repo:o/r.x'}", "PUT", "api.github.com", 443,
	  "/repos/o/r.x/pulls/1/merge", false },
	{ "{preset: 'github-repo:o/r.x'}", "POST", "api.github.com", 443, "/repos/o/r.x/hooks",
	  false },
	{ "{preset: 'github-repo:o/r.x'}", "POST", "github.com", 443, "/o/r.x.git/git-upload-pack",
	  true },
	{ "{preset: 'github-repo:o/r.x'}", "POST", "github.com", 443, "/o/r.x.git/git-receive-pack",
	  false },
	{ "{preset: 'github-repo:o/r.x'}", "GET", "raw.githubusercontent.com", 443, "/o/r.x/main/a",
	  true },
	{ "{preset: 'github-repo:o/r.x'}", "GET", "raw.githubusercontent.com", 443,
	  "/evil/r/main/a", false },
	/* Two presets on one host: what either allows. */
	{ "{preset: github-read}, {preset: 'github-repo:o/r'}", "GET", "api.github.com", 443,
	  "/user", true },
	{ "{preset: github-read}, {preset: 'github-repo:o/r'}", "POST", "api.github.com", 443,
	  "/repos/o/r/issues", true },
	{ "{preset: github-read}, {preset: 'github-repo:o/r'}", "POST", "api.github.com", 443,
	  "/repos/o/s/issues", false },
	{ "{preset: 'github-repo:o/r'}, {preset: 'github-repo:o/s'}", "POST", "api.github.com", 443,
	  "/repos/o/s/issues", true },
	{ "{preset: anthropic}", "POST", "api.anthropic.com", 443, "/v1/messages", true },
	{ "{preset: anthropic}", "POST", "api.anthropic.com", 443, "/v1/files", false },
	{ "{preset: anthropic}", "POST", "api.anthropic.com", 443, "/v1/messages/batches", false },
	{ "{preset: openai}", "POST", "api.openai.com", 443, "/v1/responses", true },
	{ "{preset: openai}", "POST", "api.openai.com", 443, "/v1/files", false },
	{ "{preset: openai}", "GET", "api.openai.com", 443, "/v1/organization/users", false },
};

static void presets_allow_what_their_files_say_and_nothing_beside(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(requests); i++) {
		struct bb_err err = { 0 };
		BB_AUTO(manifest_bottle)
		struct manifest_bottle *b = expand(requests[i].routes, NULL, &err);

		if (b == NULL)
			fail_msg("%s: %s", requests[i].routes, err.msg);
		if (is_allowed(b->policy, requests[i].method, requests[i].host, requests[i].port,
			       requests[i].path) != requests[i].is_allowed)
			fail_msg("%s: %s %s:%u%s", requests[i].routes, requests[i].method,
				 requests[i].host, (unsigned)requests[i].port, requests[i].path);
	}
}

#define AT "manifest 'bottles/b.md':3: "
static const struct {
	const char *routes, *want;
} refused[] = {
	{ "{preset: npn}", AT "unknown preset 'npn'; did you mean 'npm'?" },
	{ "{preset: maven}", AT "unknown preset 'maven'; there are: anthropic, crates, debian, "
				"github-read, github-repo, go, npm, openai" },
	{ "{preset: ../x}", AT "'../x' is not the name of a preset" },
	{ "{preset: 'npm:a/b'}", AT "preset 'npm' takes nothing behind a ':'" },
	{ "{preset: github-repo}", AT "preset 'github-repo' is written 'github-repo:owner/repo'" },
	{ "{preset: 'github-repo:o'}",
	  AT "'o' is not OWNER/NAME of a repository (without '.git')" },
	{ "{preset: 'github-repo:o/..'}",
	  AT "'o/..' is not OWNER/NAME of a repository (without '.git')" },
	{ "{preset: 'github-repo:o/r.git'}",
	  AT "'o/r.git' is not OWNER/NAME of a repository (without '.git')" },
	{ "{preset: 'github-repo:o/r/x'}",
	  AT "'o/r/x' is not OWNER/NAME of a repository (without '.git')" },
	{ "{preset: 'github-repo:-o/r'}",
	  AT "'-o/r' is not OWNER/NAME of a repository (without '.git')" },
	{ "{preset: 'github-repo:o/${owner}'}",
	  AT "'o/${owner}' is not OWNER/NAME of a repository (without '.git')" },
	{ "{preset: npm}, {preset: npm}",
	  AT "preset 'npm' is listed twice, first at bottles/b.md:3" },
	{ "{preset: npm, host: a.example}", AT "'host' cannot stand beside 'preset', whose routes "
					       "are as they are; write a route of your own "
					       "instead" },
	{ "{preset: npm, auth: {scheme: Bearer, token_ref: T}}",
	  AT "preset 'npm' takes no 'auth'" },
	{ "{host: crates.io}, {preset: crates}",
	  AT "preset 'crates' has a route for host 'crates.io', and so has bottles/b.md:3; take "
	     "one of them out" },
	{ "{preset: github-read, auth: {scheme: Bearer, token_ref: A}}, "
	  "{preset: 'github-repo:o/r', auth: {scheme: Bearer, token_ref: B}}",
	  AT "preset 'github-repo' and preset github-read (bottles/b.md:3) both put a credential "
	     "in at host 'api.github.com'; keep one 'auth'" },
};

static void what_is_no_preset_is_refused_with_a_way_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(refused); i++) {
		struct bb_err err = { 0 };
		BB_AUTO(manifest_bottle)
		struct manifest_bottle *b = expand(refused[i].routes, NULL, &err);

		assert_null(b);
		assert_string_equal(err.msg, refused[i].want);
		assert_int_equal(err.code, BB_E_USAGE);
	}
}

static void a_host_without_npm_is_told_so(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_null(expand("{preset: npm}", &err, &err));
	assert_string_equal(err.msg, AT "preset 'npm': no registry is configured");
}

static const struct policy_route *route_of(const struct manifest_bottle *b, const char *host)
{
	for (size_t i = 0; i < b->policy->route_count; i++)
		if (strcmp(b->policy->routes[i].host, host) == 0)
			return &b->policy->routes[i];
	return NULL;
}

static void a_credential_goes_to_the_hosts_that_the_file_names(void **state)
{
	struct bb_err err = { 0 };
	BB_AUTO(manifest_bottle)
	struct manifest_bottle *b =
		expand("{preset: github-read, auth: {scheme: Bearer, token_ref: GH}}", NULL, &err);

	(void)state;
	assert_non_null(b);
	assert_string_equal(route_of(b, "api.github.com")->token_ref, "GH");
	assert_int_equal(route_of(b, "github.com")->auth, POLICY_AUTH_NONE);
	assert_int_equal(route_of(b, "raw.githubusercontent.com")->auth, POLICY_AUTH_NONE);
	assert_string_equal(route_of(b, "github.com")->origin,
			    "preset github-read (bottles/b.md:3)");
}

static void origins_name_the_place_of_an_address_and_never_a_secret_in_it(void **state)
{
	struct bb_err err = { 0 };
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = expand("{preset: npm}", NULL, &err);

	(void)state;
	assert_non_null(b);
	assert_int_equal(b->policy->route_count, 2);
	assert_string_equal(route_of(b, "pkgs.example")->origin,
			    "preset npm (bottles/b.md:3, rc:1)");
}

static void many_presets_on_one_host_stay_one_route(void **state)
{
	BB_AUTO_BUF struct bb_buf routes = { .cap = 65536 };
	struct bb_err err = { 0 };
	BB_AUTO(manifest_bottle) struct manifest_bottle *b = NULL;

	(void)state;
	for (int i = 0; i < 12; i++)
		assert_int_equal(bb_buf_printf(&routes, "%s{preset: 'github-repo:o/r%d'}",
					       i > 0 ? ", " : "", i),
				 0);
	assert_int_equal(bb_buf_append_byte(&routes, 0), 0);
	b = expand((const char *)bb_buf_peek(&routes).p, NULL, &err);
	if (b == NULL)
		fail_msg("%s", err.msg);
	assert_true(is_allowed(b->policy, "GET", "codeload.github.com", 443, "/o/r11/x"));
	assert_false(is_allowed(b->policy, "GET", "codeload.github.com", 443, "/o/r12/x"));
	assert_non_null(strstr(route_of(b, "github.com")->origin, "r0 (bottles/b.md:3), preset"));
	assert_non_null(strstr(route_of(b, "github.com")->origin, ", and more presets"));
}

static const struct {
	const char *url, *want;
} bad_addresses[] = {
	{ "ftp://a.example/", "the address in rc is neither http:// nor https://" },
	{ "https://", "the address in rc is neither http:// nor https://" },
	{ "https://a.example:0/", "the address in rc has a bad port" },
	{ "https://a.example:99999/", "the address in rc has a bad port" },
	{ "https://*.b.example/", "the address in rc names no host" },
};

static void addresses_that_no_route_can_name_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(bad_addresses); i++) {
		struct manifest_sites sites = { 0 };
		struct bb_err err = { 0 };

		assert_error(
			manifest_site_add(&sites, bb_view_str(bad_addresses[i].url), "rc", &err),
			BB_E_USAGE, err);
		assert_string_equal(err.msg, bad_addresses[i].want);
		assert_int_equal(sites.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets_allow_what_their_files_say_and_nothing_beside),
		cmocka_unit_test(what_is_no_preset_is_refused_with_a_way_out),
		cmocka_unit_test(a_host_without_npm_is_told_so),
		cmocka_unit_test(a_credential_goes_to_the_hosts_that_the_file_names),
		cmocka_unit_test(origins_name_the_place_of_an_address_and_never_a_secret_in_it),
		cmocka_unit_test(many_presets_on_one_host_stay_one_route),
		cmocka_unit_test(addresses_that_no_route_can_name_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
