/* Clocks. Deadlines use the monotonic clock; only records show wall time. */
#ifndef BB_BASE_CLOCK_H
#define BB_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t bb_clock_ms(void); /* CLOCK_MONOTONIC */
uint64_t bb_clock_us(void);
/* Milliseconds left until deadline_ms (bb_clock_ms() units), 0 when past, at most INT_MAX: for
 * poll. */
int bb_clock_left_ms(uint64_t deadline_ms);

#define BB_CLOCK_UTC_MAX 32
/* "2026-01-31T23:59:59.123Z" for a CLOCK_REALTIME instant; dst has BB_CLOCK_UTC_MAX bytes. */
void bb_clock_format_utc(int64_t sec, uint32_t ms, char *dst);
void bb_clock_now_utc(char *dst);

#endif
