/* SHA-256 (FIPS 180-4): the digests that OCI images are named by. For the same reason as
 * image/sha512.h no library is linked for it. Not for secrets. */
#ifndef BB_IMAGE_SHA256_H
#define BB_IMAGE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES  32
#define SHA256_DIGITS 64

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;    /* hashed so far */
	uint8_t block[64]; /* its first bytes % 64 are filled */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *p, size_t n);
/* The digest in lower-case hexadecimal, terminated. */
void sha256_final_hex(struct sha256 *s, char ret[SHA256_DIGITS + 1]);
/* n bytes of a descriptor from offset on, whatever its position; 0, -ENODATA when it ends before,
 * or -errno. */
int sha256_region_hex(int fd, uint64_t offset, uint64_t n, char ret[SHA256_DIGITS + 1]);

#endif
