/* policy/git.c: git over HTTPS in all its spellings, and what only looks like it. */
#include "../unit.h"

#include "base/cleanup.h"
#include "policy/policy.h"

BB_DEFINE_AUTO(policy, policy_free)

static const struct {
	const char *path, *query;
	enum policy_git want;
} table[] = {
	{ "/a/b.git/info/refs", "service=git-upload-pack", POLICY_GIT_FETCH },
	{ "/a/b/info/refs", "service=git-upload-pack", POLICY_GIT_FETCH },
	{ "/a/b.git/info/refs", "", POLICY_GIT_FETCH }, /* the older protocol */
	{ "/a/b.git/git-upload-pack", "", POLICY_GIT_FETCH },
	{ "/a/b.git/objects/info/packs", "", POLICY_GIT_FETCH },
	{ "/a/b.git/objects/pack/pack-1.pack", "", POLICY_GIT_FETCH },
	{ "/a/b.git/info/refs", "service=git-receive-pack", POLICY_GIT_PUSH },
	{ "/a/b.git/git-receive-pack", "", POLICY_GIT_PUSH },
	{ "/git-receive-pack", "", POLICY_GIT_PUSH },
	{ "/a/b.git/info/lfs/objects/batch", "", POLICY_GIT_PUSH },
	/* As lenient servers read it. */
	{ "/a/b.git%2Fgit-receive-pack", "", POLICY_GIT_PUSH },
	{ "/a/b.git/git%2Dreceive%2Dpack", "", POLICY_GIT_PUSH },
	{ "/a/b.git/git-receive-pack/", "", POLICY_GIT_PUSH },
	{ "/a/b.git/git-receive-pack;x=1", "", POLICY_GIT_PUSH },
	{ "/a/b.git;y/git-receive-pack;x=1/", "", POLICY_GIT_PUSH },
	{ "/a/b.git//git-receive-pack", "", POLICY_GIT_PUSH },
	{ "/a/b.git/GIT-RECEIVE-PACK", "", POLICY_GIT_PUSH },
	{ "/a/b.git/info//refs", "service=git-receive-pack", POLICY_GIT_PUSH },
	/* A service that cannot be told for sure counts as the worse one. */
	{ "/a/b.git/info/refs", "service=git%2Dreceive-pack", POLICY_GIT_PUSH },
	{ "/a/b.git/info/refs", "service=git-upload-pack&service=git-receive-pack",
	  POLICY_GIT_PUSH },
	{ "/a/b.git/info/refs", "a=b", POLICY_GIT_PUSH },
	/* No git. */
	{ "/", "", POLICY_GIT_NONE },
	{ "/repos/a/b/git/refs", "", POLICY_GIT_NONE },
	{ "/info/refs.html", "", POLICY_GIT_NONE },
	{ "/a/my-git-receive-pack", "", POLICY_GIT_NONE },
	{ "/docs/git-receive-pack.html", "", POLICY_GIT_NONE },
	{ "/x", "service=git-receive-pack", POLICY_GIT_NONE },
};

static void git_is_known_in_all_its_spellings(void **state)
{
	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		const struct policy_request q = { .method = bb_view_str("GET"),
						  .path = bb_view_str(table[i].path),
						  .query = bb_view_str(table[i].query) };

		if (policy_git_of(&q) != table[i].want)
			fail_msg("%s?%s: %d", table[i].path, table[i].query, policy_git_of(&q));
	}
}

static void the_end_of_a_long_path_tells(void **state)
{
	static char path[20000];
	struct policy_request q = { .method = bb_view_str("POST") };

	(void)state;
	for (size_t n = 1; n < sizeof(path) - 32; n += 61) {
		memset(path, 'a', n);
		path[0] = '/';
		memcpy(path + n, "/git-receive-pack", 18);
		q.path = bb_view_str(path);
		assert_int_equal(policy_git_of(&q), POLICY_GIT_PUSH);
	}
}

static void a_route_fetches_when_it_says_so_and_never_pushes(void **state)
{
	static char host[] = "a.test";
	BB_AUTO(policy) struct policy *p = policy_new();
	BB_AUTO(policy) struct policy *open = policy_new();
	const struct policy_route closed = { .host = host };
	const struct policy_route fetching = { .host = host, .may_git_fetch = true };

	(void)state;
	assert_int_equal(policy_add(p, &closed, NULL), 0);
	assert_int_equal(policy_add(open, &fetching, NULL), 0);
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		const struct policy_request q = { .method = bb_view_str("GET"),
						  .path = bb_view_str(table[i].path),
						  .query = bb_view_str(table[i].query) };
		enum policy_reason want =
			table[i].want == POLICY_GIT_PUSH ? POLICY_GIT_PUSH_REFUSED : POLICY_ALLOWED;

		assert_int_equal(policy_decide_request(&open->routes[0], &q), want);
		if (table[i].want == POLICY_GIT_FETCH)
			want = POLICY_GIT_FETCH_NOT_ALLOWED;
		assert_int_equal(policy_decide_request(&p->routes[0], &q), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(git_is_known_in_all_its_spellings),
		cmocka_unit_test(the_end_of_a_long_path_tells),
		cmocka_unit_test(a_route_fetches_when_it_says_so_and_never_pushes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
