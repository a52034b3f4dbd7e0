/* Shared inside policy/ only. */
#ifndef BB_POLICY_POLICY_IMPL_H
#define BB_POLICY_POLICY_IMPL_H

#include "policy/policy.h"

#define POLICY_HOST_MAX  253 /* RFC 1035 2.3.4: a name's text form, without the root's dot */
#define POLICY_LABEL_MAX 63

/* Lower-case LDH labels of 1..63 bytes, 253 bytes in all: the one form in which names are kept. */
bool policy_is_name(const char *host);
/* The last label is a number in some notation: inet_aton() and URL parsers read an address. */
bool policy_is_numeric(const char *host);

/* RFC 9110 5.6.2 */
bool policy_is_token(const char *s);
bool policy_has_upper(const char *s);

/* rule.c: the alternatives of a route. */
void policy_match_done(struct policy_match *m);
int policy_check_matches(const struct policy_route *r, struct bb_err *err);
/* Appends copies of src's alternatives to dst, with their regexes compiled. dst may be left with
 * some of them: policy_route_done() frees it. */
int policy_copy_matches(struct policy_route *dst, const struct policy_route *src,
			struct bb_err *err);

#endif
