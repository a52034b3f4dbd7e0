/* KVM or emulation: which one a guest gets, and why. */
#ifndef BB_BACKEND_MICROVM_ACCEL_H
#define BB_BACKEND_MICROVM_ACCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/microvm/kvm.h"
#include "backend/microvm/qemu.h"
#include "image/image.h"

#define ACCEL_PROOF_MS 5000 /* a guest that says hello under KVM does so in under two seconds */

struct accel {
	bool uses_kvm;
	uint64_t proof_ms; /* how long the proof's guest took; only with uses_kvm */
	char note[256];    /* "kvm", "tcg (no /dev/kvm)" */
};

enum accel_wish {
	ACCEL_ANY,
	ACCEL_TCG, /* BOT_BOTTLE_ACCEL=tcg */
	ACCEL_KVM, /* BOT_BOTTLE_ACCEL=kvm: an error instead of emulation */
};

/* What was remembered about KVM for this boot, CPU and kernel. */
enum accel_memory {
	ACCEL_UNKNOWN,
	ACCEL_PROVED,
	ACCEL_FAILED,
};
enum accel_memory accel_recall(const struct image *img, uint64_t *ret_ms, char *ret_why,
			       size_t cap);

/* Boots a guest under KVM when nothing is remembered (up to ACCEL_PROOF_MS, or
 * BOT_BOTTLE_KVM_SECONDS), and remembers the outcome. 0, or with ACCEL_KVM an error that says why
 * KVM cannot be had. */
int accel_choose(enum accel_wish wish, const struct qemu *q, const struct image *img,
		 struct accel *ret, struct bb_err *err);

#endif
