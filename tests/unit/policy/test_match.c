/* policy/match.c: the verdict on requests. */
#include "../unit.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "policy/policy.h"

BB_DEFINE_AUTO(policy, policy_free)

/* What a test asks: "METHOD PATH?QUERY", and headers as "name: value" up to a NULL. */
struct question {
	const char *method, *target;
	const char *headers[4];
	enum policy_reason want;
};

static struct bb_field field_of(const char *line)
{
	const char *colon = strstr(line, ": ");

	return (struct bb_field){ bb_view_of(line, (size_t)(colon - line)),
				  bb_view_str(colon + 2) };
}

static void ask(const struct policy_route *route, const struct question *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *mark = strchr(table[i].target, '?');
		struct bb_field fields[4];
		struct policy_request q = { .method = bb_view_str(table[i].method),
					    .path = bb_view_str(table[i].target),
					    .headers = fields };
		enum policy_reason got;

		if (mark != NULL) {
			q.path.n = (size_t)(mark - table[i].target);
			q.query = bb_view_str(mark + 1);
		}
		for (; q.header_count < 4 && table[i].headers[q.header_count] != NULL;
		     q.header_count++)
			fields[q.header_count] = field_of(table[i].headers[q.header_count]);
		got = policy_decide_request(route, &q);
		if (got != table[i].want)
			fail_msg("row %zu, %s %s: %s", i, table[i].method, table[i].target,
				 policy_reason_word(got));
	}
}

static void add(struct policy_values *list, enum policy_compare how, const char *name,
		const char *text)
{
	assert_non_null(policy_value_add(list, how, name, text));
}

static void add_method(struct policy_match *m, const char *method)
{
	assert_int_equal(bb_strv_push(&m->methods, strdup(method)), 0);
}

/* The route as a policy holds it: with its regexes compiled. */
static struct policy *policy_of(struct policy_route *route)
{
	struct policy *p = policy_new();
	struct bb_err err = { 0 };

	route->host = strdup("a.test");
	if (policy_add(p, route, &err) < 0)
		fail_msg("%s", err.msg);
	policy_route_done(route);
	return p;
}

static void a_route_without_rules_allows_every_request_with_a_path(void **state)
{
	static const struct question table[] = {
		{ "GET", "/", { NULL }, POLICY_ALLOWED },
		{ "BREW", "/any?x=1", { "a: b" }, POLICY_ALLOWED },
		{ "GET", "*", { NULL }, POLICY_PATH_INVALID },
		{ "GET", "", { NULL }, POLICY_PATH_INVALID },
		{ "GET", "any", { NULL }, POLICY_PATH_INVALID },
	};
	struct policy_route route = { 0 };
	BB_AUTO(policy) struct policy *p = policy_of(&route);

	(void)state;
	ask(&p->routes[0], table, BB_ARRAY_LEN(table));
}

static void alternatives_are_ored_and_what_one_says_is_anded(void **state)
{
	static const struct question table[] = {
		{ "GET", "/ok", { NULL }, POLICY_ALLOWED },
		{ "HEAD", "/ok", { NULL }, POLICY_ALLOWED },
		{ "GET", "/ok/", { NULL }, POLICY_ALLOWED },
		{ "GET", "/ok/deep/er", { NULL }, POLICY_ALLOWED },
		{ "GET", "/also", { NULL }, POLICY_ALLOWED },
		{ "GET", "/also/", { NULL }, POLICY_PATH_NOT_ALLOWED }, /* exact */
		{ "GET", "/okay", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "GET", "/secret", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "GET", "/OK", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "GET", "/", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "POST", "/ok", { NULL }, POLICY_METHOD_NOT_ALLOWED },
		{ "get", "/ok", { NULL }, POLICY_METHOD_NOT_ALLOWED },
		{ "POST", "/v1/messages", { NULL }, POLICY_ALLOWED },
		{ "POST", "/v1/messages/batches", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "GET", "/v1/messages", { NULL }, POLICY_METHOD_NOT_ALLOWED },
		{ "PUT", "/dir/a", { NULL }, POLICY_ALLOWED }, /* a prefix with its '/' */
		{ "PUT", "/dir/", { NULL }, POLICY_ALLOWED },
		{ "PUT", "/dir", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "PUT", "/directory", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "PATCH", "/repos/a/b/pulls/1", { NULL }, POLICY_ALLOWED },
		{ "PATCH", "/repos/a/b/c/pulls/1", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "PATCH", "/repos/a/b/pulls/1x", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "DELETE", "/repos/a/b/pulls/1", { NULL }, POLICY_METHOD_NOT_ALLOWED },
	};
	struct policy_route route = { 0 };
	struct policy_match *m = policy_match_add(&route);
	BB_AUTO(policy) struct policy *p = NULL;

	(void)state;
	add(&m->paths, POLICY_PREFIX, NULL, "/ok");
	add(&m->paths, POLICY_EXACT, NULL, "/also");
	add_method(m, "GET");
	add_method(m, "HEAD");
	m = policy_match_add(&route);
	add(&m->paths, POLICY_EXACT, NULL, "/v1/messages");
	add_method(m, "POST");
	m = policy_match_add(&route);
	add(&m->paths, POLICY_PREFIX, NULL, "/dir/");
	m = policy_match_add(&route);
	add(&m->paths, POLICY_REGEX, NULL, "/repos/[^/]+/[^/]+/pulls/[0-9]+");
	add_method(m, "PATCH");
	p = policy_of(&route);
	ask(&p->routes[0], table, BB_ARRAY_LEN(table));
}

static void headers_must_be_there_and_fit_each_time(void **state)
{
	static const struct question table[] = {
		{ "GET", "/", { "accept: application/json", "x-version: 12" }, POLICY_ALLOWED },
		{ "GET", "/", { "Accept: application/json", "X-Version: 2" }, POLICY_ALLOWED },
		{ "GET", "/", { NULL }, POLICY_HEADER_NOT_ALLOWED },
		{ "GET", "/", { "accept: application/json" }, POLICY_HEADER_NOT_ALLOWED },
		{ "GET", "/", { "accept: */*", "x-version: 1" }, POLICY_HEADER_NOT_ALLOWED },
		{ "GET",
		  "/",
		  { "accept: APPLICATION/JSON", "x-version: 1" },
		  POLICY_HEADER_NOT_ALLOWED },
		{ "GET",
		  "/",
		  { "accept: application/json", "x-version: 1x" },
		  POLICY_HEADER_NOT_ALLOWED },
		/* Which of two does the server take? */
		{ "GET",
		  "/",
		  { "accept: application/json", "x-version: 1", "x-version: 9999" },
		  POLICY_HEADER_NOT_ALLOWED },
		{ "GET",
		  "/",
		  { "accept: text/html", "accept: application/json", "x-version: 1" },
		  POLICY_HEADER_NOT_ALLOWED },
		{ "GET",
		  "/",
		  { "accept: application/json", "x-version: 1", "x-version: 12" },
		  POLICY_ALLOWED },
		/* CGI reads both as HTTP_X_VERSION. */
		{ "GET",
		  "/",
		  { "accept: application/json", "x-version: 1", "X_Version: 9999" },
		  POLICY_HEADER_NOT_ALLOWED },
		{ "GET",
		  "/",
		  { "accept: application/json", "x_version: 1" },
		  POLICY_HEADER_NOT_ALLOWED },
		{ "GET",
		  "/",
		  { "accept: application/json", "x-version: 1", "x-other: 1" },
		  POLICY_ALLOWED },
	};
	struct policy_route route = { 0 };
	struct policy_match *m = policy_match_add(&route);
	BB_AUTO(policy) struct policy *p = NULL;

	(void)state;
	add(&m->headers, POLICY_EXACT, "accept", "application/json");
	add(&m->headers, POLICY_REGEX, "x-version", "[0-9]{1,2}");
	p = policy_of(&route);
	ask(&p->routes[0], table, BB_ARRAY_LEN(table));
}

static void query_parameters_are_judged_as_servers_read_them(void **state)
{
	static const struct question table[] = {
		{ "GET", "/?state=open", { NULL }, POLICY_ALLOWED },
		{ "GET", "/?a=1&state=open&b", { NULL }, POLICY_ALLOWED },
		{ "GET", "/?st%61te=%6Fpen", { NULL }, POLICY_ALLOWED },
		{ "GET", "/?state=open&state=open", { NULL }, POLICY_ALLOWED },
		{ "GET", "/?&&state=open&", { NULL }, POLICY_ALLOWED },
		{ "GET", "/", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=closed", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open%20", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?states=open", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		/* Which of two does the server take? */
		{ "GET", "/?state=open&state=closed", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=closed&state=open", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open&STATE=closed", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open&%73tate=closed", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open&state[]=closed", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open&state%5B0%5D=x", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open&+state=closed", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		/* ';' separates for some readers. */
		{ "GET", "/?state=open;state=closed", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open&a=b;state=closed", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		/* What cannot be decoded, or would end a string. */
		{ "GET", "/?state=open&a=%zz", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open&a=%4", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state=open%00", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?state%00=closed&state=open", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		/* The second alternative. */
		{ "GET", "/?page.no=17", { NULL }, POLICY_ALLOWED },
		{ "GET", "/?page.no=17&page_no=999", { NULL }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/?page.no=17x", { NULL }, POLICY_QUERY_NOT_ALLOWED },
	};
	struct policy_route route = { 0 };
	struct policy_match *m = policy_match_add(&route);
	BB_AUTO(policy) struct policy *p = NULL;

	(void)state;
	add(&m->query, POLICY_EXACT, "state", "open");
	m = policy_match_add(&route);
	add(&m->query, POLICY_REGEX, "page.no", "\\d+");
	p = policy_of(&route);
	ask(&p->routes[0], table, BB_ARRAY_LEN(table));
}

static void the_reason_is_that_of_the_alternative_that_came_furthest(void **state)
{
	static const struct question table[] = {
		{ "GET", "/x", { NULL }, POLICY_PATH_NOT_ALLOWED },
		{ "POST", "/a", { NULL }, POLICY_METHOD_NOT_ALLOWED },
		{ "GET", "/a?q=1", { NULL }, POLICY_HEADER_NOT_ALLOWED },
		{ "GET", "/a", { "h: 1" }, POLICY_QUERY_NOT_ALLOWED },
		{ "GET", "/a?q=1", { "h: 1" }, POLICY_ALLOWED },
	};
	struct policy_route route = { 0 };
	struct policy_match *m = policy_match_add(&route);
	BB_AUTO(policy) struct policy *p = NULL;

	(void)state;
	add(&m->paths, POLICY_EXACT, NULL, "/a");
	add_method(m, "GET");
	add(&m->headers, POLICY_EXACT, "h", "1");
	add(&m->query, POLICY_EXACT, "q", "1");
	m = policy_match_add(&route);
	add(&m->paths, POLICY_EXACT, NULL, "/b");
	p = policy_of(&route);
	ask(&p->routes[0], table, BB_ARRAY_LEN(table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_route_without_rules_allows_every_request_with_a_path),
		cmocka_unit_test(alternatives_are_ored_and_what_one_says_is_anded),
		cmocka_unit_test(headers_must_be_there_and_fit_each_time),
		cmocka_unit_test(query_parameters_are_judged_as_servers_read_them),
		cmocka_unit_test(the_reason_is_that_of_the_alternative_that_came_furthest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
