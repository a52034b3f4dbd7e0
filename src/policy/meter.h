/*
 * What a route has let out in the last hour, minute by minute: in no 60 minutes more than its rate
 * allows. Pure: the caller has the clock.
 */
#ifndef BB_POLICY_METER_H
#define BB_POLICY_METER_H

#include "policy/policy.h"

#define POLICY_METER_MINUTES 61 /* an hour, and the minute that runs */

struct policy_meter {
	uint64_t minute; /* of the newest slot */
	uint64_t requests[POLICY_METER_MINUTES], bytes[POLICY_METER_MINUTES];
};

/* One more request with so many bytes: counted, unless it would pass the rate; then false. */
bool policy_meter_take(struct policy_meter *m, const struct policy_rate *rate, uint64_t now_ms,
		       uint64_t bytes);
/* More of a body whose length was not announced. */
bool policy_meter_add(struct policy_meter *m, const struct policy_rate *rate, uint64_t now_ms,
		      uint64_t bytes);
/* Seconds until something is forgotten: when it is worth to ask again. */
unsigned policy_meter_wait(const struct policy_meter *m, uint64_t now_ms);

#endif
