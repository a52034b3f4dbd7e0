/*
 * Secrets: bytes in memory that is locked, left out of core dumps and wiped on release. There is no
 * function that prints one. Comparison takes time that depends on the lengths only.
 */
#ifndef BB_BASE_SECRET_H
#define BB_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/view.h"

struct bb_secret; /* opaque, heap: its pages are its own */

/* Copies n bytes (1 byte to 1 MiB). NULL: out of memory, or the lock limit (RLIMIT_MEMLOCK) is used
 * up.
 */
struct bb_secret *bb_secret_new(const void *p, size_t n);
/* Wipes and unmaps; NULL is fine. */
void bb_secret_free(struct bb_secret *s);
/* Borrowed; valid until bb_secret_free(). */
struct bb_view bb_secret_peek(const struct bb_secret *s);
bool bb_secret_eq(struct bb_view a, struct bb_view b);

/* No core dump, no ptrace by the same user: PR_SET_DUMPABLE 0 and RLIMIT_CORE 0. */
int bb_secret_harden_process(struct bb_err *err);

#endif
