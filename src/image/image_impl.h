/* Shared inside image/: where an image's parts lie and what its record says. */
#ifndef BB_IMAGE_IMAGE_IMPL_H
#define BB_IMAGE_IMAGE_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IMAGE_RECORD_FORMAT 1
#define IMAGE_ID_DIGITS     40
#define IMAGE_ID_HINT       8 /* fewest digits of an id that name an image */
#define IMAGE_NAME_MAX      60
#define IMAGE_CHANGES       "changes.tar"
#define IMAGE_RECORD_MAX    (1024 * 1024) /* bytes of image.json: a few hundred packages */

/* image.json. Strings are owned. */
struct image_record {
	char *name;
	char *parent_id;   /* NULL: stands alone; "host": changes of a bottle that had no image */
	bool is_committed; /* has changes.tar in place of a root */
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

/* The same for a name, an id, or the beginning of one. */
char *image_resolve_id(const char *images, const char *name);

/* The archive form, ID/oci -> oci-DIGEST-INIT.tar: the digest of the OCI manifest (64 digits), and
 * the beginning of that of the bottle-init in it. */
#define IMAGE_OCI_LINK        "oci"
#define IMAGE_OCI_NAME        "oci-%s-%s.tar"
#define IMAGE_OCI_DIGITS      64
#define IMAGE_OCI_INIT_DIGITS 16
#define IMAGE_OCI_NAME_MAX    128
struct image_oci_name {
	char digest[IMAGE_OCI_DIGITS + 1], init[IMAGE_OCI_INIT_DIGITS + 1];
};
bool image_oci_parse(const char *file, struct image_oci_name *ret);

/* Takes the lock of an image directory: LOCK_SH while it is used, LOCK_EX | LOCK_NB to remove it.
 * The descriptor, or -errno. */
int image_lock(const char *dir, int operation);

#endif
