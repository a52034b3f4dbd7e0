/*
 * A growing byte buffer with a hard cap given at creation. Invariants: off <= len <= alloc <= cap;
 * bytes [off, len) are the content. Consuming moves off; appending may move the content, so a view
 * of it lives until the next append only.
 */
#ifndef BB_BASE_BUF_H
#define BB_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/view.h"

struct bb_buf {
	uint8_t *p;
	size_t off, len, alloc, cap;
};

/* Caller's memory; nothing is allocated before the first append. */
void bb_buf_init(struct bb_buf *b, size_t cap);
/* Frees the content; the struct may be initialised again. Zeroed struct: no-op. */
void bb_buf_done(struct bb_buf *b);
/* Same, but overwrites the content first (secrets, request bodies). */
void bb_buf_wipe(struct bb_buf *b);
/* Drops the content, keeps the memory. */
void bb_buf_reset(struct bb_buf *b);

size_t bb_buf_size(const struct bb_buf *b); /* bytes of content */
size_t bb_buf_room(const struct bb_buf *b); /* bytes that may still be appended before the cap */
struct bb_view bb_buf_peek(const struct bb_buf *b);

/* 0, or -EMSGSIZE when the cap would be passed, or -ENOMEM; the buffer is then unchanged. */
int bb_buf_append(struct bb_buf *b, const void *p, size_t n);
int bb_buf_append_view(struct bb_buf *b, struct bb_view v);
int bb_buf_append_str(struct bb_buf *b, const char *s);
int bb_buf_append_byte(struct bb_buf *b, uint8_t c);
int bb_buf_printf(struct bb_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for n bytes and returns where to write them; bb_buf_commit() adds what was written.
 * NULL: cap or memory. */
uint8_t *bb_buf_reserve(struct bb_buf *b, size_t n);
void bb_buf_commit(struct bb_buf *b, size_t n);

/* Drops the first n bytes; n above the content is a bug. */
void bb_buf_consume(struct bb_buf *b, size_t n);

/* A NUL-terminated copy on the heap, or NULL. */
char *bb_buf_dup_str(const struct bb_buf *b);

#define BB_AUTO_BUF  __attribute__((cleanup(bb_buf_done)))
#define BB_AUTO_WIPE __attribute__((cleanup(bb_buf_wipe))) /* of a buffer with a secret */

#endif
