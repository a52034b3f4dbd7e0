/* The 12-byte frame header of the stream (yamux): pure encoding and decoding, no allocation. */
#ifndef BB_MUX_CODEC_H
#define BB_MUX_CODEC_H

#include <stdint.h>

#include "base/err.h"
#include "mux/mux.h"

enum mux_type {
	MUX_DATA,    /* length bytes follow */
	MUX_WINDOW,  /* length: credit added */
	MUX_PING,    /* length: opaque value; SYN asks, ACK answers */
	MUX_GO_AWAY, /* length: reason */
};
#define MUX_NUM_TYPES 4

#define MUX_SYN   1u
#define MUX_ACK   2u
#define MUX_FIN   4u
#define MUX_RST   8u
#define MUX_FLAGS 15u

struct mux_header {
	enum mux_type type;
	uint16_t flags;
	uint32_t id, length;
};

void mux_codec_put(uint8_t *dst, const struct mux_header *h); /* MUX_HEADER bytes */
/* 0, or -EPROTO: bad version, type or flags; data above LIMIT_MUX_FRAME; id 0 where a stream is
 * needed and the other way round. */
int mux_codec_get(const uint8_t *src, struct mux_header *ret, struct bb_err *err);

#endif
