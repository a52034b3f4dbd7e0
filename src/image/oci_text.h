/*
 * The small files of an OCI image: configuration, manifest, index, and docker's own manifest. Pure:
 * equal input gives equal bytes, so equal images have equal digests. Private to the builder.
 */
#ifndef BB_IMAGE_OCI_TEXT_H
#define BB_IMAGE_OCI_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "image/image.h"
#include "image/sha256.h"

#define OCI_LAYERS_MAX (IMAGE_LAYERS_MAX + 1) /* the image's and bottle-init's */
#define OCI_TEXT_MAX   8192
#define OCI_LAYOUT     "{\"imageLayoutVersion\":\"1.0.0\"}"

struct oci_blob {
	char digest[SHA256_DIGITS + 1];
	uint64_t bytes;
};

struct oci_image {
	const char *name;         /* "claude": an image's name, so nothing in it needs escaping */
	const char *id;           /* hexadecimal */
	const char *architecture; /* as Go names it */
	struct oci_blob layers[OCI_LAYERS_MAX]; /* lowest first, not compressed */
	size_t layer_count;
	struct oci_blob config, manifest; /* known once their texts are */
};

/* "amd64", "arm64", or NULL: this program runs on something else. */
const char *oci_architecture(void);

/* Appended to out: 0 or the buffer's error. Each needs the blobs of the ones before it. */
int oci_put_config(struct bb_buf *out, const struct oci_image *o);
int oci_put_manifest(struct bb_buf *out, const struct oci_image *o);
int oci_put_index(struct bb_buf *out, const struct oci_image *o);
int oci_put_docker(struct bb_buf *out, const struct oci_image *o);

/* A tar header (ustar) for a regular file or, with a name that ends in '/', a directory; owned by
 * root, without a time. -EINVAL: the name is too long; -EFBIG. */
#define OCI_TAR_BLOCK 512
int oci_tar_header(const char *name, uint64_t bytes, uint8_t ret[OCI_TAR_BLOCK]);

#endif
