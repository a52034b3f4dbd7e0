/* npm's integrity strings: "sha512-" and the digest in base64. */
#ifndef BB_IMAGE_INTEGRITY_H
#define BB_IMAGE_INTEGRITY_H

#include <stdint.h>

#include "base/err.h"
#include "image/sha512.h"

/* "sha512-" and exactly 88 characters of base64. 0 or -EINVAL. */
int integrity_parse(const char *text, uint8_t ret_digest[SHA512_BYTES]);
/* 0 when the file has this digest, else -EBADMSG with a sentence that shows both. */
int integrity_check_file(const char *path, const char *integrity, struct bb_err *err);

#endif
