/*
 * Three samples of 5 ms or more against CLOCK_MONOTONIC_RAW, the middle one counts: one sample in
 * three was seen to be off by 100 ppm when something else ran between the two readings. They have
 * neighbouring beginnings and ends, and what the caller does between takes no further time.
 */
#include "backend/microvm/tsc.h"

#include <stddef.h>
#include <time.h>
#include <x86intrin.h>

#define TSC_SPAN_NS 5000000
#define TSC_KHZ_MIN 100000 /* 0.1 GHz: below it the measurement is wrong, not the CPU slow */
#define TSC_KHZ_MAX 20000000

static uint64_t raw_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &t); /* cannot fail for this clock */
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A pair of readings taken close together: the tightest of a few tries. */
static void tsc_pair(uint64_t *ret_ns, uint64_t *ret_tsc)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 8; i++) {
		uint64_t before = __rdtsc(), ns = raw_ns(), after = __rdtsc();

		if (after - before >= best)
			continue;
		best = after - before;
		*ret_ns = ns;
		*ret_tsc = before + best / 2;
	}
}

void tsc_begin(struct tsc_span *ret)
{
	for (size_t i = 0; i < TSC_SAMPLES; i++)
		tsc_pair(&ret->ns[i], &ret->tsc[i]);
}

static uint64_t tsc_sample_khz(uint64_t ns0, uint64_t tsc0)
{
	uint64_t ns1 = 0, tsc1 = 0;

	tsc_pair(&ns1, &tsc1);
	if (ns1 <= ns0 || tsc1 <= tsc0)
		return 0;
	return (uint64_t)((unsigned __int128)(tsc1 - tsc0) * 1000000 / (ns1 - ns0));
}

uint32_t tsc_end_khz(const struct tsc_span *span)
{
	uint64_t v[TSC_SAMPLES] = { 0 }, gone = raw_ns() - span->ns[0];

	if (gone < TSC_SPAN_NS) {
		const struct timespec rest = { .tv_nsec = (long)(TSC_SPAN_NS - gone) };

		(void)nanosleep(&rest, NULL); /* a shorter sleep is only a shorter span */
	}
	for (size_t i = 0; i < TSC_SAMPLES; i++) {
		uint64_t khz = tsc_sample_khz(span->ns[i], span->tsc[i]);
		size_t k = i;

		for (; k > 0 && v[k - 1] > khz; k--)
			v[k] = v[k - 1];
		v[k] = khz;
	}
	if (v[TSC_SAMPLES / 2] < TSC_KHZ_MIN || v[TSC_SAMPLES / 2] > TSC_KHZ_MAX)
		return 0;
	return (uint32_t)v[TSC_SAMPLES / 2];
}
