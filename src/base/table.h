/* Name tables: enum values to words and back, and "did you mean". */
#ifndef BB_BASE_TABLE_H
#define BB_BASE_TABLE_H

#include <stddef.h>

#include "base/view.h"

/* Index of the name, or -EINVAL. */
int bb_table_index(const char *const *names, size_t count, struct bb_view name);

/* The closest of names within two edits (or a third of the length), else NULL. For hints only. */
const char *bb_table_suggest(const char *const *names, size_t count, struct bb_view name);

#endif
