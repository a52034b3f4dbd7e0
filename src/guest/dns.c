/*
 * RFC 1035 with RFC 6891's OPT record, as much as a stub resolver sends: one question, no answers,
 * at most one OPT. Names are letters, digits, hyphens and underscores; anything else does not
 * exist. A last label of digits only does not either: such a "name" would be read as an address
 * later on.
 */
#include "guest/dns.h"

#include "base/num.h"

#define DNS_HEAD  12
#define DNS_TTL   60 /* seconds: short, so that a forgotten name is asked for again */
#define DNS_IN    1
#define DNS_WIRE  255 /* bytes of a name on the wire */
#define DNS_LABEL 63

static bool dns_is_name_char(uint8_t c)
{
	c = bb_ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Reads a name without compression into dotted form. Bytes used, or negative when broken;
 * *ret_valid is false when a label has characters that no host name has. */
static int dns_read_name(struct bb_view in, char *dst, bool *ret_valid)
{
	size_t off = 0, out = 0;
	bool is_numeric = false;

	*ret_valid = true;
	for (;;) {
		uint8_t n;

		if (off >= in.n || off >= DNS_WIRE)
			return -1;
		n = in.p[off++];
		if (n == 0)
			break;
		if (n > DNS_LABEL || n > in.n - off || off + n >= DNS_WIRE)
			return -1;
		if (out > 0)
			dst[out++] = '.';
		is_numeric = true;
		for (size_t i = 0; i < n; i++) {
			uint8_t c = in.p[off + i];

			if (!dns_is_name_char(c)) {
				*ret_valid = false;
				c = '?';
			}
			if (c < '0' || c > '9')
				is_numeric = false;
			dst[out++] = (char)bb_ascii_lower(c);
		}
		off += n;
	}
	dst[out] = '\0';
	if (is_numeric)
		*ret_valid = false;
	return (int)off;
}

/* The one record that may follow the question. */
static bool dns_is_opt(struct bb_view in)
{
	return in.n >= 11 && in.p[0] == 0 && bb_be16(in.p + 1) == DNS_OPT &&
	       in.n - 11 == bb_be16(in.p + 9);
}

int dns_parse(struct bb_view packet, struct dns_query *ret)
{
	struct bb_view rest;
	uint16_t flags, more;
	bool is_valid;
	int n;

	*ret = (struct dns_query){ 0 };
	if (packet.n < DNS_HEAD)
		return -1;
	flags = bb_be16(packet.p + 2);
	more = bb_be16(packet.p + 10);
	if (flags & 0x8000)
		return -1; /* an answer: answering it could go on for ever */
	if ((flags >> 11 & 15) != 0)
		return DNS_NOTIMP;
	if ((flags & 0x0200) != 0 || bb_be16(packet.p + 4) != 1 || bb_be16(packet.p + 6) != 0 ||
	    bb_be16(packet.p + 8) != 0 || more > 1)
		return DNS_FORMERR;

	rest = bb_view_from(packet, DNS_HEAD);
	n = dns_read_name(rest, ret->name, &is_valid);
	if (n < 0 || rest.n - (size_t)n < 4)
		return DNS_FORMERR;
	ret->type = bb_be16(rest.p + n);
	rest = bb_view_from(rest, (size_t)n);
	ret->has_edns = more == 1;
	if (more == 1 ? !dns_is_opt(bb_view_from(rest, 4)) : rest.n != 4) {
		ret->has_edns = false;
		return DNS_FORMERR;
	}
	ret->question_size = (size_t)n + 4;
	if (bb_be16(rest.p + 2) != DNS_IN)
		return DNS_REFUSED;
	return is_valid ? DNS_NOERROR : DNS_NXDOMAIN;
}

static size_t dns_put_address(uint8_t *p, const uint8_t *address, size_t size)
{
	bb_put_be16(p, 0xC000 | DNS_HEAD); /* the question's name */
	bb_put_be16(p + 2, size == 4 ? DNS_A : DNS_AAAA);
	bb_put_be16(p + 4, DNS_IN);
	bb_put_be32(p + 6, DNS_TTL);
	bb_put_be16(p + 10, (uint16_t)size);
	memcpy(p + 12, address, size);
	return 12 + size;
}

static size_t dns_put_opt(uint8_t *p)
{
	static const uint8_t opt[11] = { 0, 0, DNS_OPT, 1232 >> 8, 1232 & 255 };

	memcpy(p, opt, sizeof(opt));
	return sizeof(opt);
}

/* Largest: head 12, question 259, address 28, OPT 11. */
size_t dns_answer(struct bb_view packet, const struct dns_query *query, int rcode,
		  const uint8_t *address, size_t address_size, uint8_t *dst)
{
	size_t n = DNS_HEAD + query->question_size;
	uint16_t asked = bb_be16(packet.p + 2);

	memcpy(dst, packet.p, n);
	/* QR, opcode and RD as asked, RA. */
	bb_put_be16(dst + 2, (uint16_t)(0x8080 | (asked & 0x7900) | rcode));
	bb_put_be16(dst + 4, query->question_size > 0 ? 1 : 0);
	bb_put_be16(dst + 6, address_size > 0 ? 1 : 0);
	bb_put_be16(dst + 8, 0);
	bb_put_be16(dst + 10, query->has_edns ? 1 : 0);
	if (address_size > 0)
		n += dns_put_address(dst + n, address, address_size);
	if (query->has_edns)
		n += dns_put_opt(dst + n);
	return n;
}
