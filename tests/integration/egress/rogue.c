/*
 * bot-bottle-egress-rogue: what somebody who took over egress could do. The linker puts these
 * functions in the place of the policy's (--wrap), so that every host is allowed and every name is
 * normal; all else is the real program. The dialler must refuse what it asks for.
 */
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"
#include "role/egress/egress.h"

enum policy_reason __wrap_policy_decide_host(const struct policy *p, const char *host,
					     uint16_t port, bool is_tls,
					     const struct policy_route **ret_route);
enum policy_reason __wrap_policy_normalise_host(struct bb_view text, char *dst);

enum policy_reason __wrap_policy_decide_host(const struct policy *p, const char *host,
					     uint16_t port, bool is_tls,
					     const struct policy_route **ret_route)
{
	static struct policy_route everything;

	(void)p;
	(void)host;
	(void)port;
	(void)is_tls;
	if (ret_route != NULL)
		*ret_route = &everything;
	return POLICY_ALLOWED;
}

enum policy_reason __wrap_policy_normalise_host(struct bb_view text, char *dst)
{
	(void)snprintf(dst, 254, "%.*s", BB_VIEW_ARG(text));
	return POLICY_ALLOWED;
}

int main(void)
{
	return egress_main();
}
