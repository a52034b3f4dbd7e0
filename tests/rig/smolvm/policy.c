/* allowed_cidrs as TSI enforces them: by destination address alone, IPv4 and IPv6, no ports. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "guest.h"

#define V4_PREFIX_BITS 96

static void map_v4(struct in6_addr *dst, const struct in_addr *src)
{
	memset(dst, 0, sizeof(*dst));
	dst->s6_addr[10] = dst->s6_addr[11] = 0xff;
	memcpy(&dst->s6_addr[12], src, sizeof(*src));
}

int policy_add(struct guest *g, const char *cidr, struct bb_err *err)
{
	char text[INET6_ADDRSTRLEN + 8];
	struct guest_cidr *c = &g->cidrs[g->cidr_count];
	struct in_addr v4;
	uint64_t bits;
	bool is_v4;
	char *slash;

	if (g->cidr_count == GUEST_CIDRS_MAX)
		return bb_err_set(err, -E2BIG, "more than %d allowed networks", GUEST_CIDRS_MAX);
	(void)snprintf(text, sizeof(text), "%s", cidr);
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash++ = '\0';
	is_v4 = inet_pton(AF_INET, text, &v4) == 1;
	if (is_v4)
		map_v4(&c->net, &v4);
	else if (inet_pton(AF_INET6, text, &c->net) != 1)
		return bb_err_set(err, -EINVAL, "'%s' is not a network", cidr);
	bits = is_v4 ? 32 : 128;
	if (slash != NULL && bb_num_parse_u64(bb_view_str(slash), bits, &bits) < 0)
		return bb_err_set(err, -EINVAL, "'%s' has no usable prefix length", cidr);
	c->bits = (int)bits + (is_v4 ? V4_PREFIX_BITS : 0);
	g->cidr_count++;
	return 0;
}

static bool is_in(const struct guest_cidr *c, const struct in6_addr *a)
{
	int whole = c->bits / 8, rest = c->bits % 8;

	if (memcmp(&c->net, a, (size_t)whole) != 0)
		return false;
	return rest == 0 || ((c->net.s6_addr[whole] ^ a->s6_addr[whole]) >> (8 - rest)) == 0;
}

bool policy_allows(const struct guest *g, const struct in6_addr *address)
{
	if (!g->has_policy)
		return true;
	for (size_t i = 0; i < g->cidr_count; i++) {
		if (is_in(&g->cidrs[i], address))
			return true;
	}
	return false;
}
