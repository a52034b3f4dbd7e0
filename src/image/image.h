/*
 * Guest images: content-addressed below the image directory (store_image_dir()):
 *   NAME -> ID      symlink: the image that a name stands for now
 *   ID/image.json   name, parent's id, kernel version, package list
 *   ID/root/        directory form (namespace backend)
 *   ID/root.erofs   erofs form (microvm backend)
 *   ID/changes.tar  instead of the two: what a bottle had changed of its parent's file system when
 *                   it was committed; as the guest wrote it, and read by guests only
 *   ID/oci -> oci-DIGEST-INIT.tar   archive form, layers below included; made when first wanted
 *   ID/vmlinuz, ID/modules/order, ID/modules/NAME.ko   guest kernel (base image only)
 * "claude" is a layer on "base": an image is a list of layers, top first. "host" is not built: it
 * stands for the host's own /usr (namespace only). A build happens in a temporary directory and is
 * renamed into place whole; a shared lock keeps a running bottle's image from being removed.
 */
#ifndef BB_IMAGE_IMAGE_H
#define BB_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define IMAGE_LAYERS_MAX 8

struct image {
	char *name;    /* "base", "claude", "host" */
	char *id;      /* hex digest; "host" for the host */
	char *base_id; /* of what boots: id, or for a committed image its parent's */
	char *changes; /* of a committed image: the archive that a guest of base_id is to apply */
	int changes_lock; /* as lock_fds */
	bool is_host;
	char *dirs[IMAGE_LAYERS_MAX];  /* directory layers, top first */
	char *erofs[IMAGE_LAYERS_MAX]; /* erofs layers, top first */
	size_t layer_count;
	char *kernel;  /* vmlinuz of the lowest layer that has one; NULL: none */
	char *modules; /* directory of the kernel's *.ko, with a file "order"; NULL: none */
	char *kernel_version;
	char *oci;                      /* the archive form of the whole image; NULL: not made */
	char *oci_digest;               /* of its OCI manifest, in hexadecimal: names its content */
	char *oci_init;                 /* the beginning of the digest of the bottle-init in it */
	int lock_fds[IMAGE_LAYERS_MAX]; /* the layers stay while these are open; -1 */
};

/* Finds a built image by its name, or a committed or built one by its id (or 8 and more digits of
 * it). BB_E_MISSING: "image 'claude' is not built; run: bot-bottle image build
 * claude". */
int image_find(const char *name, struct image **ret, struct bb_err *err);
void image_free(struct image *img);

#endif
