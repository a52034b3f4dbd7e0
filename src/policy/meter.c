/* See meter.h. */
#include "policy/meter.h"

#define MINUTE_MS 60000

/* Drops what is more than an hour old. */
static void turn(struct policy_meter *m, uint64_t now_ms)
{
	uint64_t minute = now_ms / MINUTE_MS;

	if (minute < m->minute) /* the clock is monotonic; a new meter begins at 0 */
		return;
	if (minute - m->minute >= POLICY_METER_MINUTES) {
		*m = (struct policy_meter){ .minute = minute };
		return;
	}
	while (m->minute < minute) {
		size_t slot = (size_t)(++m->minute % POLICY_METER_MINUTES);

		m->requests[slot] = m->bytes[slot] = 0;
	}
}

static uint64_t sum(const uint64_t *slots)
{
	uint64_t total = 0;

	for (size_t i = 0; i < POLICY_METER_MINUTES; i++)
		total += slots[i];
	return total;
}

static bool has_room(const uint64_t *slots, uint64_t limit, uint64_t more)
{
	uint64_t used = sum(slots);

	return limit == 0 || (used <= limit && more <= limit - used);
}

bool policy_meter_take(struct policy_meter *m, const struct policy_rate *rate, uint64_t now_ms,
		       uint64_t bytes)
{
	turn(m, now_ms);
	if (!has_room(m->requests, rate->requests, 1) ||
	    !has_room(m->bytes, rate->bytes_out, bytes))
		return false;
	m->requests[m->minute % POLICY_METER_MINUTES]++;
	m->bytes[m->minute % POLICY_METER_MINUTES] += bytes;
	return true;
}

bool policy_meter_add(struct policy_meter *m, const struct policy_rate *rate, uint64_t now_ms,
		      uint64_t bytes)
{
	turn(m, now_ms);
	if (!has_room(m->bytes, rate->bytes_out, bytes))
		return false;
	m->bytes[m->minute % POLICY_METER_MINUTES] += bytes;
	return true;
}

unsigned policy_meter_wait(const struct policy_meter *m, uint64_t now_ms)
{
	uint64_t minute = now_ms / MINUTE_MS, age = POLICY_METER_MINUTES - 1;

	for (; age > 0; age--) {
		size_t slot =
			(size_t)((minute + POLICY_METER_MINUTES - age) % POLICY_METER_MINUTES);

		if (m->requests[slot] > 0 || m->bytes[slot] > 0)
			break;
	}
	return (unsigned)(((POLICY_METER_MINUTES - age) * MINUTE_MS - now_ms % MINUTE_MS + 999) /
			  1000);
}
