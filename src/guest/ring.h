/*
 * The output a session keeps for those who read slowly or attach later: encoded EXEC frames in a
 * ring, addressed by positions that only grow. Readers keep their own position. Only whole frames
 * are dropped, the oldest first, and never one that a reader has not passed.
 *
 * Invariants: tail <= every reader's position <= head; head - tail <= LIMIT_EXEC_RING; tail is a
 * frame boundary.
 */
#ifndef BB_GUEST_RING_H
#define BB_GUEST_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

/* Bytes of one appended frame's body at most: a ring holds at least fifteen. */
#define RING_CHUNK 16384

struct ring {
	uint8_t *p; /* LIMIT_EXEC_RING bytes, or NULL before the first append */
	uint64_t tail, head;
	uint64_t last; /* start of the newest frame; == head: none to extend */
};

void ring_init(struct ring *r);
void ring_done(struct ring *r);

/* Drops frames until one of `n` body bytes (<= RING_CHUNK) fits; floor is the lowest position that
 * a reader still needs (UINT64_MAX: none). False: it does not fit without passing floor. */
bool ring_make_room(struct ring *r, size_t n, uint64_t floor);
/* Appends a frame after ring_make_room() said true for n. Joined to the newest frame when that has
 * the same type and no reader has begun it (ceiling: the highest position of a reader, 0: none). 0
 * or -ENOMEM. */
int ring_append(struct ring *r, uint8_t type, const void *body, size_t n, uint64_t ceiling);
/* The contiguous bytes from position on; empty at head. */
struct bb_view ring_peek(const struct ring *r, uint64_t position);

#endif
