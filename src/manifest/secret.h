/* Does a text look like a credential? For warnings only: neither answer proves anything. */
#ifndef BB_MANIFEST_SECRET_H
#define BB_MANIFEST_SECRET_H

#include <stdbool.h>

/* By the name of the variable that holds it, or by how the value is written. */
bool manifest_is_secret_name(const char *name);
bool manifest_is_secret_value(const char *value);

#endif
