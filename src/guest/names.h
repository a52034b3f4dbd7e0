/*
 * The DNS stub's memory: which name stands behind which synthetic address. Addresses are given out
 * in turn, so that one is used again as late as possible: a program that keeps an old answer must
 * not reach another name by it. Bounded; the name that was unused longest is forgotten.
 */
#ifndef BB_GUEST_NAMES_H
#define BB_GUEST_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/* 198.18.0.0/15 and fd00:b0b::/96: number n is the n-th address. */
#define NAMES_NUMBERS 131071U /* 1 .. NAMES_NUMBERS-1 are given out */

struct names;

struct names *names_new(void); /* NULL: out of memory */
void names_free(struct names *t);
/* The number of a name (at most DNS_NAME_MAX characters), new where needed. */
uint32_t names_assign(struct names *t, const char *name);
/* The name of a number, or NULL; valid until the next names_assign(). */
const char *names_find(struct names *t, uint32_t number);

void names_address(uint32_t number, int family, uint8_t *dst); /* 4 or 16 bytes */
/* The number of an address, or 0 when it is not a synthetic one. */
uint32_t names_number(int family, const uint8_t *address);

#endif
