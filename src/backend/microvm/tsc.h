/* The rate of the CPU's time stamp counter: under emulation the guest's counter is the host's. */
#ifndef BB_BACKEND_MICROVM_TSC_H
#define BB_BACKEND_MICROVM_TSC_H

#include <stdint.h>

/* kHz, or 0 when the counter does not run evenly against the clock. Takes about 15 ms. */
uint32_t tsc_measure_khz(void);

#endif
