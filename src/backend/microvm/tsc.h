/* The rate of the CPU's time stamp counter: under emulation the guest's counter is the host's. */
#ifndef BB_BACKEND_MICROVM_TSC_H
#define BB_BACKEND_MICROVM_TSC_H

#include <stdint.h>

#define TSC_SAMPLES 3

struct tsc_span {
	uint64_t ns[TSC_SAMPLES], tsc[TSC_SAMPLES];
};

void tsc_begin(struct tsc_span *ret);
/* kHz, or 0 when the counter does not run evenly against the clock. Waits until 5 ms have passed
 * since tsc_begin(). */
uint32_t tsc_end_khz(const struct tsc_span *span);

#endif
