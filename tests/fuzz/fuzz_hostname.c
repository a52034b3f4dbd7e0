/*
 * Names and patterns. Oracles: a normalised name is its own normal form and holds only LDH labels;
 * a pattern that is accepted matches a name made from it, and never a name outside it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/policy.h"

BB_DEFINE_AUTO(policy, policy_free)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct bb_view text)
{
	char once[254], twice[254];
	enum policy_reason r = policy_normalise_host(text, once);

	assert(memchr(once, '\0', sizeof(once)) != NULL);
	if (r == POLICY_HOST_INVALID) {
		assert(once[0] == '\0');
		return;
	}
	assert(once[0] != '\0');
	assert(policy_normalise_host(bb_view_str(once), twice) == r);
	assert(strcmp(once, twice) == 0);
	assert(once[strspn(once, "abcdefghijklmnopqrstuvwxyz0123456789-.:")] == '\0');
	if (r == POLICY_ALLOWED)
		assert(strchr(once, ':') == NULL && strstr(once, "..") == NULL && once[0] != '.');
}

static void check_pattern(struct bb_view text)
{
	BB_AUTO(policy) struct policy *p = policy_new();
	BB_AUTO_FREE char *host = NULL;
	struct policy_route route = { 0 };
	struct bb_err err = { 0 };
	bool is_wildcard = false;
	char name[300], evil[600];

	if (policy_parse_host(text, &host, &is_wildcard, &err) < 0) {
		assert(err.msg[0] != '\0' && host == NULL);
		return;
	}
	route.host = host;
	route.is_wildcard = is_wildcard;
	assert(policy_add(p, &route, &err) == 0);
	(void)snprintf(name, sizeof(name), "%s%s", is_wildcard ? "a." : "", host);
	if (strlen(name) <= 253)
		assert(policy_decide_host(p, name, 443, true, NULL) == POLICY_ALLOWED);
	(void)snprintf(evil, sizeof(evil), "evil%s", host);
	assert(policy_decide_host(p, evil, 443, true, NULL) != POLICY_ALLOWED);
	(void)snprintf(evil, sizeof(evil), "%s.evil.test", host);
	assert(policy_decide_host(p, evil, 443, true, NULL) != POLICY_ALLOWED);
	if (is_wildcard)
		assert(policy_decide_host(p, host, 443, true, NULL) != POLICY_ALLOWED);
	assert(policy_decide_host(p, name, 444, true, NULL) != POLICY_ALLOWED);
	assert(policy_decide_host(p, name, 443, false, NULL) != POLICY_ALLOWED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_name(bb_view_of(data, size));
	check_pattern(bb_view_of(data, size));
	return 0;
}
