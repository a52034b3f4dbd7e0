/* `rate` of a route: how many requests, and how many bytes of them, may leave in an hour. Counted
 * is what has passed every other check. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "policy/meter.h"
#include "role/egress/egress_impl.h"

static bool has_rate(const struct policy_route *r)
{
	return r->rate.requests > 0 || r->rate.bytes_out > 0;
}

int rate_prepare(struct egress *e, struct bb_err *err)
{
	e->meters = calloc(e->policy->route_count + 1, sizeof(struct policy_meter *));
	if (e->meters == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < e->policy->route_count; i++) {
		if (!has_rate(&e->policy->routes[i]))
			continue;
		e->meters[i] = calloc(1, sizeof(*e->meters[i]));
		if (e->meters[i] == NULL)
			return bb_err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

void rate_forget(struct egress *e)
{
	for (size_t i = 0; e->meters != NULL && i < e->policy->route_count; i++)
		free(e->meters[i]);
	free(bb_take_ptr(&e->meters));
}

static struct policy_meter *meter_of(const struct tunnel *t)
{
	const struct policy_route *r = t->request.route;

	return has_rate(r) ? t->egress->meters[r - t->egress->policy->routes] : NULL;
}

static void refuse(struct tunnel *t, const struct policy_meter *m)
{
	const struct policy_rate *rate = &t->request.route->rate;
	char requests[48] = "", bytes[64] = "";

	if (rate->requests > 0)
		(void)snprintf(requests, sizeof(requests), "%u requests", rate->requests);
	if (rate->bytes_out > 0)
		(void)snprintf(bytes, sizeof(bytes), "%s%llu bytes of requests",
			       requests[0] != '\0' ? " and " : "",
			       (unsigned long long)rate->bytes_out);
	t->retry_after = policy_meter_wait(m, bb_clock_ms());
	answer_refuse(t, 429, "rate_limited",
		      "host '%s' may get %s%s an hour, and this would be more; try again in %u "
		      "seconds",
		      t->request.host, requests, bytes, t->retry_after);
}

bool rate_admits(struct tunnel *t, uint64_t bytes)
{
	struct policy_meter *m = meter_of(t);

	if (m == NULL || policy_meter_take(m, &t->request.route->rate, bb_clock_ms(), bytes))
		return true;
	refuse(t, m);
	return false;
}

bool rate_admits_more(struct tunnel *t, uint64_t bytes)
{
	struct policy_meter *m = meter_of(t);

	return m == NULL || policy_meter_add(m, &t->request.route->rate, bb_clock_ms(), bytes);
}

void rate_cut(struct tunnel *t)
{
	refuse(t, meter_of(t));
}
