/* SHA-512 (FIPS 180-4), for image ids and for checking what npm brought. No library is linked for
 * it: the command line starts in milliseconds and this is all it would need one for. Not for
 * secrets. */
#ifndef BB_IMAGE_SHA512_H
#define BB_IMAGE_SHA512_H

#include <stddef.h>
#include <stdint.h>

#define SHA512_BYTES 64

struct sha512 {
	uint64_t state[8];
	uint64_t bytes;     /* hashed so far: below 2^61, so one word of length is enough */
	uint8_t block[128]; /* its first bytes % 128 are filled */
};

void sha512_init(struct sha512 *s);
void sha512_update(struct sha512 *s, const void *p, size_t n);
void sha512_final(struct sha512 *s, uint8_t ret_digest[SHA512_BYTES]);
/* The whole content of a descriptor from its current position; 0 or -errno. */
int sha512_fd(struct sha512 *s, int fd);

#endif
