/* JSON Schema (draft 7, which editors read) of the front matter, from the parser's own tables. */
#ifndef BB_MANIFEST_SCHEMA_H
#define BB_MANIFEST_SCHEMA_H

#include "base/buf.h"
#include "manifest/keys.h"

/* 0, or the buffer's error. */
int manifest_put_schema(const struct manifest_block *block, struct bb_buf *out);

#endif
