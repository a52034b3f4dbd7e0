/* The bounded buffer; see buf.h for the contract. */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_ALLOC 256

void bb_buf_init(struct bb_buf *b, size_t cap)
{
	*b = (struct bb_buf){ .cap = cap };
}

void bb_buf_done(struct bb_buf *b)
{
	size_t cap = b->cap;

	free(b->p);
	*b = (struct bb_buf){ .cap = cap };
}

void bb_buf_wipe(struct bb_buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->alloc);
	bb_buf_done(b);
}

void bb_buf_reset(struct bb_buf *b)
{
	b->off = 0;
	b->len = 0;
}

size_t bb_buf_size(const struct bb_buf *b)
{
	return b->len - b->off;
}

size_t bb_buf_room(const struct bb_buf *b)
{
	return b->cap - bb_buf_size(b);
}

struct bb_view bb_buf_peek(const struct bb_buf *b)
{
	return bb_view_of(b->p == NULL ? NULL : b->p + b->off, bb_buf_size(b));
}

static void move_to_front(struct bb_buf *b)
{
	if (b->off == 0)
		return;
	memmove(b->p, b->p + b->off, b->len - b->off);
	b->len -= b->off;
	b->off = 0;
}

uint8_t *bb_buf_reserve(struct bb_buf *b, size_t n)
{
	size_t want, grown;
	uint8_t *p;

	assert(b->off <= b->len && b->len <= b->alloc && b->alloc <= b->cap);
	if (n > bb_buf_room(b))
		return NULL;
	if (n <= b->alloc - b->len && b->p != NULL)
		return b->p + b->len;
	if (b->p != NULL && b->off >= b->alloc / 2)
		move_to_front(b);
	if (b->p != NULL && n <= b->alloc - b->len)
		return b->p + b->len;

	if (b->p != NULL)
		move_to_front(b);
	want = b->len + n; /* cannot overflow: n <= cap - content */
	grown = b->alloc < BUF_FIRST_ALLOC ? BUF_FIRST_ALLOC : b->alloc;
	while (grown < want)
		grown = grown > SIZE_MAX / 2 ? want : grown * 2;
	if (grown > b->cap)
		grown = b->cap;
	p = realloc(b->p, grown == 0 ? 1 : grown);
	if (p == NULL)
		return NULL;
	b->p = p;
	b->alloc = grown;
	return b->p + b->len;
}

void bb_buf_commit(struct bb_buf *b, size_t n)
{
	assert(n <= b->alloc - b->len);
	b->len += n;
}

int bb_buf_append(struct bb_buf *b, const void *p, size_t n)
{
	uint8_t *dst;

	if (n == 0)
		return 0;
	if (n > bb_buf_room(b))
		return -EMSGSIZE;
	dst = bb_buf_reserve(b, n);
	if (dst == NULL)
		return -ENOMEM;
	memcpy(dst, p, n);
	bb_buf_commit(b, n);
	return 0;
}

int bb_buf_append_view(struct bb_buf *b, struct bb_view v)
{
	return bb_buf_append(b, v.p, v.n);
}

int bb_buf_append_str(struct bb_buf *b, const char *s)
{
	return bb_buf_append(b, s, strlen(s));
}

int bb_buf_append_byte(struct bb_buf *b, uint8_t c)
{
	return bb_buf_append(b, &c, 1);
}

static __attribute__((format(printf, 2, 0))) int print(struct bb_buf *b, const char *fmt,
						       va_list ap)
{
	va_list again;
	uint8_t *dst;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return -EINVAL;
	if ((size_t)n >= bb_buf_room(b))
		return -EMSGSIZE; /* vsnprintf's NUL needs one more byte of room */
	dst = bb_buf_reserve(b, (size_t)n + 1);
	if (dst == NULL)
		return -ENOMEM;
	(void)vsnprintf((char *)dst, (size_t)n + 1, fmt, ap);
	bb_buf_commit(b, (size_t)n);
	return 0;
}

int bb_buf_printf(struct bb_buf *b, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = print(b, fmt, ap);
	va_end(ap);
	return r;
}

void bb_buf_consume(struct bb_buf *b, size_t n)
{
	assert(n <= bb_buf_size(b));
	b->off += n;
	if (b->off == b->len)
		bb_buf_reset(b);
}

char *bb_buf_dup_str(const struct bb_buf *b)
{
	struct bb_view v = bb_buf_peek(b);
	char *s = malloc(v.n + 1);

	if (s == NULL)
		return NULL;
	if (v.p != NULL)
		memcpy(s, v.p, v.n);
	s[v.n] = '\0';
	return s;
}
