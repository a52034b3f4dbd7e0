/* Special-purpose addresses; see address.h. */
#include "role/dialler/address.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct range {
	uint8_t prefix[16];
	unsigned bits;
	const char *what;
	enum policy_private kind; /* NONE: never dialled */
};

#define NEVER   POLICY_PRIVATE_NONE
#define NETWORK POLICY_PRIVATE_NETWORKS
#define HERE    POLICY_PRIVATE_LOOPBACK

/* The first line that matches names the address. */
static const struct range v4_ranges[] = {
	{ { 0 }, 8, "unspecified", NEVER },
	{ { 10 }, 8, "private", NETWORK },
	{ { 100, 100, 100, 200 }, 32, "cloud metadata", NEVER }, /* Alibaba's */
	{ { 100, 64 }, 10, "shared (carrier-grade NAT)", NETWORK },
	{ { 127, 0, 0, 1 }, 32, "loopback", HERE },
	{ { 127 }, 8, "loopback", NEVER },
	{ { 168, 63, 129, 16 }, 32, "cloud metadata", NEVER }, /* Azure's, in public space */
	{ { 169, 254 }, 16, "link-local", NEVER },
	{ { 172, 16 }, 12, "private", NETWORK },
	{ { 192, 0, NEVER }, 24, "reserved for protocols", NEVER },
	{ { 192, 0, 2 }, 24, "documentation", NEVER },
	{ { 192, 31, 196 }, 24, "AS112", NEVER },
	{ { 192, 52, 193 }, 24, "AMT", NEVER },
	{ { 192, 88, 99 }, 24, "6to4 relay", NEVER },
	{ { 192, 168 }, 16, "private", NETWORK },
	{ { 192, 175, 48 }, 24, "AS112", NEVER },
	{ { 198, 18 }, 15, "benchmarking", NEVER },
	{ { 198, 51, 100 }, 24, "documentation", NEVER },
	{ { 203, 0, 113 }, 24, "documentation", NEVER },
	{ { 224 }, 4, "multicast", NEVER },
	{ { 240 }, 4, "reserved or broadcast", NEVER },
};

/* The first line that matches names the address; the last one is everything outside 2000::/3. */
static const struct range v6_ranges[] = {
	{ { [15] = 1 }, 128, "loopback", HERE },
	{ { 0 }, 128, "unspecified", NEVER },
	{ { [10] = 0xff, 0xff }, 96, "v4-mapped", NEVER },
	{ { 0 }, 96, "v4-compatible", NEVER },
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, "NAT64", NEVER },
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, "NAT64", NEVER },
	{ { 0x01, 0x00 }, 64, "discard-only", NEVER },
	{ { 0x20, 0x01, 0x00, 0x00 }, 32, "Teredo", NEVER },
	{ { 0x20, 0x01, 0x00 }, 23, "reserved for protocols", NEVER },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, "documentation", NEVER },
	{ { 0x20, 0x02 }, 16, "6to4", NEVER },
	{ { 0x26, 0x20, 0x00, 0x4f, 0x80, 0x00 }, 48, "AS112", NEVER },
	{ { 0x3f, 0xff, 0x00 }, 20, "documentation", NEVER },
	{ { 0x5f, 0x00 }, 16, "segment routing", NEVER },
	{ { 0xfd, 0x00, 0x0e, 0xc2 }, 32, "cloud metadata", NEVER }, /* Amazon's, in fc00::/7 */
	{ { 0xfd, 0x20, 0x00, 0xce }, 32, "cloud metadata", NEVER }, /* Google's */
	{ { 0xfc }, 7, "private (unique local)", NETWORK },
	{ { 0xfe, 0x80 }, 10, "link-local", NEVER },
	{ { 0xfe, 0xc0 }, 10, "site-local", NEVER },
	{ { 0xff }, 8, "multicast", NEVER },
};

static bool has_prefix(const uint8_t *address, const struct range *r)
{
	unsigned whole = r->bits / 8, rest = r->bits % 8;

	for (unsigned i = 0; i < whole; i++)
		if (address[i] != r->prefix[i])
			return false;
	return rest == 0 || ((address[whole] ^ r->prefix[whole]) >> (8 - rest)) == 0;
}

static const struct range *find(const struct range *ranges, size_t count, const uint8_t *address)
{
	for (size_t i = 0; i < count; i++)
		if (has_prefix(address, &ranges[i]))
			return &ranges[i];
	return NULL;
}

/* NULL: it may be dialled. */
static const char *judge(const struct range *r, enum policy_private admitted)
{
	if (r == NULL || (r->kind != NEVER && r->kind == admitted))
		return NULL;
	return r->what;
}

const char *address_special(const struct sockaddr *address, enum policy_private admitted)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		return judge(find(v4_ranges, BB_ARRAY_LEN(v4_ranges), (const void *)&in->sin_addr),
			     admitted);
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;
		const uint8_t *raw = in6->sin6_addr.s6_addr;
		const struct range *r = find(v6_ranges, BB_ARRAY_LEN(v6_ranges), raw);

		if (r == NULL && (raw[0] & 0xe0) != 0x20)
			return "not global unicast";
		return judge(r, admitted);
	}
	return "of an unknown family";
}
