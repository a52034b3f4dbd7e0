/* SHA-256 as FIPS 180-4 writes it: one block at a time, plain C. Proved against the standard's
 * vectors in the unit tests, and against other programs wherever an archive is read. */
#include "image/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

/* First 32 bits of the fractional parts of the square roots of the first 8 primes. */
static const uint32_t sha256_start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static inline uint32_t rotate(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static void sha256_schedule(const uint8_t *block, uint32_t w[64])
{
	for (size_t i = 0; i < 16; i++)
		w[i] = bb_be32(block + i * 4);
	for (size_t i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
}

static void sha256_block(uint32_t state[8], const uint8_t *block)
{
	uint32_t w[64], v[8];

	sha256_schedule(block, w);
	memcpy(v, state, sizeof(v));
	for (size_t i = 0; i < 64; i++) {
		uint32_t t1 = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
			      ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha256_k[i] + w[i];
		uint32_t t2 = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
			      ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, sizeof(v) - sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (size_t i = 0; i < 8; i++)
		state[i] += v[i];
}

void sha256_init(struct sha256 *s)
{
	memcpy(s->state, sha256_start, sizeof(s->state));
	s->bytes = 0;
}

void sha256_update(struct sha256 *s, const void *p, size_t n)
{
	const uint8_t *from = p;

	while (n > 0) {
		size_t filled = s->bytes % sizeof(s->block);
		size_t take = sizeof(s->block) - filled;

		if (take > n)
			take = n;
		if (take == sizeof(s->block)) {
			sha256_block(s->state, from);
		} else {
			memcpy(s->block + filled, from, take);
			if (filled + take == sizeof(s->block))
				sha256_block(s->state, s->block);
		}
		s->bytes += take;
		from += take;
		n -= take;
	}
}

void sha256_final_hex(struct sha256 *s, char ret[SHA256_DIGITS + 1])
{
	static const uint8_t zeros[64];
	uint8_t length[8];
	size_t filled;

	bb_put_be64(length, s->bytes * 8);
	sha256_update(s, "\x80", 1);
	filled = s->bytes % sizeof(s->block);
	sha256_update(s, zeros, (filled <= 56 ? 56 : 120) - filled);
	sha256_update(s, length, sizeof(length));
	for (size_t i = 0; i < 8; i++)
		(void)snprintf(ret + i * 8, 9, "%08x", s->state[i]); /* eight digits each */
}

int sha256_region_hex(int fd, uint64_t offset, uint64_t n, char ret[SHA256_DIGITS + 1])
{
	uint8_t chunk[65536];
	struct sha256 s;

	sha256_init(&s);
	while (n > 0) {
		size_t most = n < sizeof(chunk) ? (size_t)n : sizeof(chunk);
		ssize_t got = pread(fd, chunk, most, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ENODATA;
		sha256_update(&s, chunk, (size_t)got);
		offset += (size_t)got;
		n -= (size_t)got;
	}
	sha256_final_hex(&s, ret);
	return 0;
}
