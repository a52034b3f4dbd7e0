/* Typed fields; see tlv.h. */
#include "base/tlv.h"

#include "base/num.h"

int bb_tlv_put(struct bb_buf *b, uint16_t tag, const void *p, size_t n)
{
	uint8_t head[BB_TLV_HEADER];

	if (n > UINT32_MAX || n > bb_buf_room(b) || sizeof(head) > bb_buf_room(b) - n)
		return -EMSGSIZE;
	bb_put_be16(head, tag);
	bb_put_be32(head + 2, (uint32_t)n);
	if (bb_buf_reserve(b, sizeof(head) + n) == NULL)
		return -ENOMEM;
	(void)bb_buf_append(b, head, sizeof(head)); /* room was reserved */
	(void)bb_buf_append(b, p, n);
	return 0;
}

int bb_tlv_put_view(struct bb_buf *b, uint16_t tag, struct bb_view v)
{
	return bb_tlv_put(b, tag, v.p, v.n);
}

int bb_tlv_put_str(struct bb_buf *b, uint16_t tag, const char *s)
{
	return bb_tlv_put(b, tag, s, strlen(s));
}

int bb_tlv_put_u32(struct bb_buf *b, uint16_t tag, uint32_t v)
{
	uint8_t raw[4];

	bb_put_be32(raw, v);
	return bb_tlv_put(b, tag, raw, sizeof(raw));
}

int bb_tlv_put_u64(struct bb_buf *b, uint16_t tag, uint64_t v)
{
	uint8_t raw[8];

	bb_put_be64(raw, v);
	return bb_tlv_put(b, tag, raw, sizeof(raw));
}

int bb_tlv_next(struct bb_view *body, uint16_t *ret_tag, struct bb_view *ret_value)
{
	uint32_t n;

	if (body->n == 0)
		return 0;
	if (body->n < BB_TLV_HEADER)
		return -EPROTO;
	n = bb_be32(body->p + 2);
	if (n > body->n - BB_TLV_HEADER)
		return -EPROTO;
	*ret_tag = bb_be16(body->p);
	*ret_value = bb_view_of(body->p + BB_TLV_HEADER, n);
	*body = bb_view_from(*body, BB_TLV_HEADER + (size_t)n);
	return 1;
}

static int store_value(const struct bb_tlv_field *f, struct bb_view value, bool is_repeat,
		       struct bb_err *err)
{
	switch (f->type) {
	case BB_TLV_U32:
		if (value.n != 4)
			return bb_err_set(err, -EPROTO, "field %u has %zu bytes instead of 4",
					  f->tag, value.n);
		*(uint32_t *)f->out = bb_be32(value.p);
		return 0;
	case BB_TLV_U64:
		if (value.n != 8)
			return bb_err_set(err, -EPROTO, "field %u has %zu bytes instead of 8",
					  f->tag, value.n);
		*(uint64_t *)f->out = bb_be64(value.p);
		return 0;
	case BB_TLV_STR:
		if (value.n > 0 && memchr(value.p, '\0', value.n) != NULL)
			return bb_err_set(err, -EPROTO, "field %u holds a NUL byte", f->tag);
		break;
	case BB_TLV_BYTES:
		break;
	}
	if (value.n > f->max)
		return bb_err_set(err, -EPROTO, "field %u has %zu bytes, limit %zu", f->tag,
				  value.n, f->max);
	if (!is_repeat) {
		*(struct bb_view *)f->out = value;
		return 0;
	}
	if (*f->count >= f->repeat_max)
		return bb_err_set(err, -EPROTO, "field %u comes more than %zu times", f->tag,
				  f->repeat_max);
	((struct bb_view *)f->out)[(*f->count)++] = value;
	return 0;
}

int bb_tlv_read(struct bb_view body, const struct bb_tlv_field *fields, size_t count,
		struct bb_err *err)
{
	uint64_t seen = 0;
	struct bb_view value;
	uint16_t tag;
	int r;

	if (count > 64)
		return bb_err_set(err, -EINVAL, "a message has at most 64 kinds of field");
	for (size_t i = 0; i < count; i++)
		if (fields[i].count != NULL)
			*fields[i].count = 0;
	while ((r = bb_tlv_next(&body, &tag, &value)) > 0) {
		size_t i = 0;

		while (i < count && fields[i].tag != tag)
			i++;
		if (i == count)
			return bb_err_set(err, -EPROTO, "field %u is unknown", tag);
		if ((seen >> i & 1) != 0 && fields[i].count == NULL)
			return bb_err_set(err, -EPROTO, "field %u comes twice", tag);
		seen |= (uint64_t)1 << i;
		r = store_value(&fields[i], value, fields[i].count != NULL, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return bb_err_set(err, -EPROTO, "a field is cut off");
	for (size_t i = 0; i < count; i++)
		if (fields[i].is_required && (seen >> i & 1) == 0)
			return bb_err_set(err, -EPROTO, "field %u is missing", fields[i].tag);
	return 0;
}
