/* Shared inside image/: where an image's parts lie and what its record says. */
#ifndef BB_IMAGE_IMAGE_IMPL_H
#define BB_IMAGE_IMAGE_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IMAGE_RECORD_FORMAT 1
#define IMAGE_ID_DIGITS     40
#define IMAGE_RECORD_MAX    (1024 * 1024) /* bytes of image.json: a few hundred packages */

/* image.json. Strings are owned. */
struct image_record {
	char *name;
	char *parent_id;      /* NULL: stands alone */
	char *kernel_version; /* NULL: no kernel */
	uint64_t built_at;
	char **packages; /* "name version", NULL-terminated */
};

int image_record_read(const char *dir, struct image_record *ret, struct bb_err *err);
int image_record_write(const char *dir, const struct image_record *r, struct bb_err *err);
void image_record_done(struct image_record *r);

/* True for a name an image may have: a slug, so that it is never mistaken for an id or a path. */
bool image_is_name(const char *s);
bool image_is_id(const char *s);

/* The id that a name stands for now, on the heap; NULL: none. */
char *image_current_id(const char *images, const char *name);

/* Takes the lock of an image directory: LOCK_SH while it is used, LOCK_EX | LOCK_NB to remove it.
 * The descriptor, or -errno. */
int image_lock(const char *dir, int operation);

#endif
