/*
 * DNS messages of the stub: reading one query, writing one answer. Pure. The input is a guest
 * program's and not trusted; a query that is not understood to its last byte is not answered with
 * data.
 */
#ifndef BB_GUEST_DNS_H
#define BB_GUEST_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"

#define DNS_NAME_MAX   253 /* characters of a dotted name */
#define DNS_ANSWER_MAX 512

enum {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};
enum {
	DNS_A = 1,
	DNS_AAAA = 28,
	DNS_OPT = 41,
};

struct dns_query {
	uint16_t type;
	char name[DNS_NAME_MAX + 1]; /* lower case, dotted, no dot at the end; "": the root */
	size_t question_size;        /* bytes of the question; 0: none was read */
	bool has_edns;
};

/* The response code to answer with: DNS_NOERROR: *ret is a query for a valid name in class IN.
 * Negative: say nothing (too short for an answer, or itself an answer). */
int dns_parse(struct bb_view packet, struct dns_query *ret);

/* Writes the answer to that packet: with an address (4 or 16 bytes) when address_size > 0. dst has
 * DNS_ANSWER_MAX bytes. Returns the size, always enough. */
size_t dns_answer(struct bb_view packet, const struct dns_query *query, int rcode,
		  const uint8_t *address, size_t address_size, uint8_t *dst);

#endif
