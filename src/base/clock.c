/* Clocks; see clock.h. */
#include "base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

uint64_t bb_clock_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail with this clock */
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t bb_clock_ms(void)
{
	return bb_clock_us() / 1000u;
}

int bb_clock_left_ms(uint64_t deadline_ms)
{
	uint64_t now = bb_clock_ms();
	uint64_t left = deadline_ms > now ? deadline_ms - now : 0;

	return left > INT_MAX ? INT_MAX : (int)left;
}

void bb_clock_format_utc(int64_t sec, uint32_t ms, char *dst)
{
	struct tm tm = { 0 };
	time_t t = (time_t)sec;

	(void)gmtime_r(&t, &tm);
	(void)snprintf(dst, BB_CLOCK_UTC_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		       (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
		       (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
		       (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, ms % 1000u);
}

void bb_clock_now_utc(char *dst)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	bb_clock_format_utc(ts.tv_sec, (uint32_t)(ts.tv_nsec / 1000000), dst);
}
