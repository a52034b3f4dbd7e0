/*
 * Typed binary fields, the body format of every message between our own processes and of the first
 * bytes of every stream: tag (u16), length (u32), value; big-endian; in any order; a tag may repeat
 * where its reader says so. A reader states every tag it knows in a table: unknown tags, wrong
 * lengths, missing or repeated fields and trailing bytes are errors. No allocation.
 */
#ifndef BB_BASE_TLV_H
#define BB_BASE_TLV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/view.h"

#define BB_TLV_HEADER 6

/* Writers: 0 or the buffer's error. */
int bb_tlv_put(struct bb_buf *b, uint16_t tag, const void *p, size_t n);
int bb_tlv_put_view(struct bb_buf *b, uint16_t tag, struct bb_view v);
int bb_tlv_put_str(struct bb_buf *b, uint16_t tag, const char *s);
int bb_tlv_put_u32(struct bb_buf *b, uint16_t tag, uint32_t v);
int bb_tlv_put_u64(struct bb_buf *b, uint16_t tag, uint64_t v);

enum bb_tlv_type {
	BB_TLV_U32,
	BB_TLV_U64,
	BB_TLV_BYTES, /* any bytes, at most max */
	BB_TLV_STR,   /* no NUL inside, at most max bytes */
};

/* One known field. Result: *(uint32_t *), *(uint64_t *) or *(struct bb_view *) at out. */
struct bb_tlv_field {
	uint16_t tag;
	enum bb_tlv_type type;
	size_t max; /* BYTES, STR: longest value */
	bool is_required;
	void *out; /* where the value goes; untouched when the field is absent */
	/* Repeated field: out is an array of struct bb_view; count says how many came, at most
	 * repeat_max. NULL: the field comes at most once. */
	size_t *count;
	size_t repeat_max;
};

/* Reads a whole body. Views point into body. 0, or -EPROTO with a sentence. */
int bb_tlv_read(struct bb_view body, const struct bb_tlv_field *fields, size_t count,
		struct bb_err *err);

/* Low level: the next field of *body, which is advanced. 1, 0 at the end, -EPROTO when broken. */
int bb_tlv_next(struct bb_view *body, uint16_t *ret_tag, struct bb_view *ret_value);

#endif
