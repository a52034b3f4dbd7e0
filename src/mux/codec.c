/* The stream's frame header; see codec.h. */
#include "mux/codec.h"

#include "base/limit.h"
#include "base/num.h"

void mux_codec_put(uint8_t *dst, const struct mux_header *h)
{
	dst[0] = 0;
	dst[1] = (uint8_t)h->type;
	bb_put_be16(dst + 2, h->flags);
	bb_put_be32(dst + 4, h->id);
	bb_put_be32(dst + 8, h->length);
}

int mux_codec_get(const uint8_t *src, struct mux_header *ret, struct bb_err *err)
{
	struct mux_header h;

	if (src[0] != 0)
		return bb_err_set(err, -EPROTO, "stream frame version %u is unknown", src[0]);
	if (src[1] >= MUX_NUM_TYPES)
		return bb_err_set(err, -EPROTO, "stream frame type %u is unknown", src[1]);
	h.type = (enum mux_type)src[1];
	h.flags = bb_be16(src + 2);
	h.id = bb_be32(src + 4);
	h.length = bb_be32(src + 8);
	if ((h.flags & ~MUX_FLAGS) != 0)
		return bb_err_set(err, -EPROTO, "stream frame flags 0x%x are unknown", h.flags);
	if ((h.type == MUX_PING || h.type == MUX_GO_AWAY) != (h.id == 0))
		return bb_err_set(err, -EPROTO, "a frame of type %d carries stream id %u",
				  (int)h.type, h.id);
	if (h.type == MUX_DATA && h.length > LIMIT_MUX_FRAME)
		return bb_err_set(err, -EPROTO, "a data frame has %u bytes, limit %d", h.length,
				  LIMIT_MUX_FRAME);
	*ret = h;
	return 0;
}
