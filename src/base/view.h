/* Borrowed bytes: a pointer and a length. Never owns; its lifetime is the lender's. */
#ifndef BB_BASE_VIEW_H
#define BB_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bb_view {
	const uint8_t *p;
	size_t n;
};

/* A name with its value: a field of a message. */
struct bb_field {
	struct bb_view name, value;
};

/* For printf("%.*s"): the bytes must have been escaped or be known to be plain. */
#define BB_VIEW_ARG(v) (int)(v).n, (const char *)(v).p

static inline struct bb_view bb_view_of(const void *p, size_t n)
{
	return (struct bb_view){ .p = p, .n = n };
}

static inline struct bb_view bb_view_str(const char *s)
{
	return (struct bb_view){ .p = (const uint8_t *)s, .n = s == NULL ? 0 : strlen(s) };
}

static inline bool bb_view_eq(struct bb_view a, struct bb_view b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool bb_view_eq_str(struct bb_view a, const char *s)
{
	return bb_view_eq(a, bb_view_str(s));
}

static inline uint8_t bb_ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* ASCII case only; the locale is never asked. */
static inline bool bb_view_ieq(struct bb_view a, struct bb_view b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (bb_ascii_lower(a.p[i]) != bb_ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool bb_view_ieq_str(struct bb_view a, const char *s)
{
	return bb_view_ieq(a, bb_view_str(s));
}

/* The part from off on; off above the length gives an empty view. */
static inline struct bb_view bb_view_from(struct bb_view v, size_t off)
{
	if (off > v.n)
		off = v.n;
	return off == 0 ? v : bb_view_of(v.p + off, v.n - off);
}

#endif
