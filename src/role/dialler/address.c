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
};

static const struct range v4_ranges[] = {
	{ { 0 }, 8, "unspecified" },
	{ { 10 }, 8, "private" },
	{ { 100, 64 }, 10, "shared (carrier-grade NAT)" },
	{ { 127 }, 8, "loopback" },
	{ { 168, 63, 129, 16 }, 32, "cloud metadata" }, /* Azure's, in public space */
	{ { 169, 254 }, 16, "link-local" },
	{ { 172, 16 }, 12, "private" },
	{ { 192, 0, 0 }, 24, "reserved for protocols" },
	{ { 192, 0, 2 }, 24, "documentation" },
	{ { 192, 31, 196 }, 24, "AS112" },
	{ { 192, 52, 193 }, 24, "AMT" },
	{ { 192, 88, 99 }, 24, "6to4 relay" },
	{ { 192, 168 }, 16, "private" },
	{ { 192, 175, 48 }, 24, "AS112" },
	{ { 198, 18 }, 15, "benchmarking" },
	{ { 198, 51, 100 }, 24, "documentation" },
	{ { 203, 0, 113 }, 24, "documentation" },
	{ { 224 }, 4, "multicast" },
	{ { 240 }, 4, "reserved or broadcast" },
};

/* The first line that matches names the address; the last one is everything outside 2000::/3. */
static const struct range v6_ranges[] = {
	{ { [15] = 1 }, 128, "loopback" },
	{ { 0 }, 128, "unspecified" },
	{ { [10] = 0xff, 0xff }, 96, "v4-mapped" },
	{ { 0 }, 96, "v4-compatible" },
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, "NAT64" },
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, "NAT64" },
	{ { 0x01, 0x00 }, 64, "discard-only" },
	{ { 0x20, 0x01, 0x00, 0x00 }, 32, "Teredo" },
	{ { 0x20, 0x01, 0x00 }, 23, "reserved for protocols" },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, "documentation" },
	{ { 0x20, 0x02 }, 16, "6to4" },
	{ { 0x26, 0x20, 0x00, 0x4f, 0x80, 0x00 }, 48, "AS112" },
	{ { 0x3f, 0xff, 0x00 }, 20, "documentation" },
	{ { 0x5f, 0x00 }, 16, "segment routing" },
	{ { 0xfc }, 7, "private (unique local)" },
	{ { 0xfe, 0x80 }, 10, "link-local" },
	{ { 0xfe, 0xc0 }, 10, "site-local" },
	{ { 0xff }, 8, "multicast" },
};

static bool has_prefix(const uint8_t *address, const struct range *r)
{
	unsigned whole = r->bits / 8, rest = r->bits % 8;

	for (unsigned i = 0; i < whole; i++)
		if (address[i] != r->prefix[i])
			return false;
	return rest == 0 || ((address[whole] ^ r->prefix[whole]) >> (8 - rest)) == 0;
}

static const char *find(const struct range *ranges, size_t count, const uint8_t *address)
{
	for (size_t i = 0; i < count; i++)
		if (has_prefix(address, &ranges[i]))
			return ranges[i].what;
	return NULL;
}

const char *address_special(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		return find(v4_ranges, BB_ARRAY_LEN(v4_ranges), (const void *)&in->sin_addr);
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;
		const char *what = find(v6_ranges, BB_ARRAY_LEN(v6_ranges), in6->sin6_addr.s6_addr);

		if (what == NULL && (in6->sin6_addr.s6_addr[0] & 0xe0) != 0x20)
			what = "not global unicast";
		return what;
	}
	return "of an unknown family";
}
