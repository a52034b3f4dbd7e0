/* Single fields of HTTP: characters, lists, which fields concern one connection only. Pure. */
#ifndef BB_HTTP_FIELD_H
#define BB_HTTP_FIELD_H

#include "http/head.h"

bool http_is_token(struct bb_view v);       /* RFC 9110 5.6.2 */
bool http_is_field_value(struct bb_view v); /* visible, space, tab, bytes above 0x7f */
struct bb_view http_trim(struct bb_view v); /* without SP and HT around it */

/* The next member of a comma-separated list; *list is advanced. False at the end. Empty members
 * are skipped. */
bool http_next_member(struct bb_view *list, struct bb_view *ret);

/*
 * Fields that are never forwarded: hop-by-hop ones (RFC 9110 7.6.1), those that a Connection field
 * names, and those that the writer writes anew (Host, Content-Length).
 */
bool http_is_hop_field(const struct http_head *h, struct bb_view name);

/*
 * Fields that carry a credential: on a host with a bound credential only ours may leave
 * ("credential pinning"). By name, '_' taken for '-' as servers do that hand fields on as
 * variables.
 */
bool http_is_credential_field(struct bb_view name);
/* By value, whatever the name: "Bearer TOKEN" and its like. */
bool http_is_credential_value(struct bb_view value);

#endif
