/* Queries of request targets, where a credential may stand. Pure. */
#ifndef BB_HTTP_QUERY_H
#define BB_HTTP_QUERY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/view.h"

/* query: without its '?'. Does a parameter carry a credential, by its name (field.h)? One named
 * except (may be NULL) does not count. */
bool http_has_credential_query(struct bb_view query, const char *except);

/* Appends the query, '?' in front unless it is empty, without every parameter of that name. 0 or
 * the buffer's error. */
int http_put_query_without(struct bb_buf *out, struct bb_view query, const char *name);

#endif
