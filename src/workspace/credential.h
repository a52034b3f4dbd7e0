/* Files that look as if they held a credential: by name, some only when their text says so too. */
#ifndef BB_WORKSPACE_CREDENTIAL_H
#define BB_WORKSPACE_CREDENTIAL_H

#include <stdbool.h>

#include "base/view.h"

#define CREDENTIAL_LOOK_BYTES 65536 /* of a file whose text decides */

struct credential_rule {
	const char *pattern; /* see pattern.h */
	const char *what;
	const char
		*texts[4]; /* one of them has to be in the file; none named: the name is enough */
};

/* The rule for a path, or NULL. Names are compared without case. */
const struct credential_rule *credential_find(const char *path);
/* Does the rule ask for the text? */
bool credential_needs_text(const struct credential_rule *rule);
bool credential_holds(const struct credential_rule *rule, struct bb_view text);

/* Length of the "user:password@" or "token@" of a URL behind its "//", 0: none. git@host:path and
 * ssh://git@host have a user without a password, which is no secret: 0. */
size_t credential_in_url(const char *url, size_t *ret_at);

#endif
