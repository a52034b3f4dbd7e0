/* Numbers: strict parsing, checked products, big-endian loads and stores. */
#ifndef BB_BASE_NUM_H
#define BB_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"

/* Decimal digits only: no sign, no space, no leading zero (but "0"), nothing behind. 0, or -EINVAL
 * / -ERANGE when above max. */
int bb_num_parse_u64(struct bb_view text, uint64_t max, uint64_t *ret);

/* "512M", "2G", "64K", "123" (bytes). 0, -EINVAL, -ERANGE. */
int bb_num_parse_size(struct bb_view text, uint64_t max, uint64_t *ret);

/* Value of a hexadecimal digit in either case, or -1. */
static inline int bb_hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = bb_ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that two hexadecimal digits make, or -1. */
static inline int bb_hex_byte(const uint8_t *two)
{
	int high = bb_hex_digit(two[0]), low = bb_hex_digit(two[1]);

	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* False when a*b overflows. */
static inline bool bb_mul_size(size_t a, size_t b, size_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

static inline uint16_t bb_be16(const uint8_t *p)
{
	return (uint16_t)((uint16_t)p[0] << 8 | p[1]);
}

static inline uint32_t bb_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t bb_be64(const uint8_t *p)
{
	return (uint64_t)bb_be32(p) << 32 | bb_be32(p + 4);
}

static inline void bb_put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void bb_put_be32(uint8_t *p, uint32_t v)
{
	bb_put_be16(p, (uint16_t)(v >> 16));
	bb_put_be16(p + 2, (uint16_t)v);
}

static inline void bb_put_be64(uint8_t *p, uint64_t v)
{
	bb_put_be32(p, (uint32_t)(v >> 32));
	bb_put_be32(p + 4, (uint32_t)v);
}

#endif
