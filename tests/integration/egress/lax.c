/*
 * bot-bottle-egress-lax: the control of the tests of rules. Its judge of requests allows every
 * request to an allowed host; all else is the real program. What the rules refuse must then arrive,
 * or the tests prove nothing.
 */
#include "policy/policy.h"
#include "role/egress/egress.h"

enum policy_reason __wrap_policy_decide_request(const struct policy_route *route,
						const struct policy_request *q);

enum policy_reason __wrap_policy_decide_request(const struct policy_route *route,
						const struct policy_request *q)
{
	(void)route;
	(void)q;
	return POLICY_ALLOWED;
}

int main(void)
{
	return egress_main();
}
