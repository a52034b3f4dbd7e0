/* One image as one file: an OCI layout in a tar archive that 'docker load' understands as well.
 * Private to the builder. */
#ifndef BB_IMAGE_OCI_H
#define BB_IMAGE_OCI_H

#include "base/err.h"
#include "image/image.h"
#include "image/job.h"

/* Writes the archive of img with the bottle-init at init_path into job->dir and puts it beside the
 * image's other forms. */
int oci_make(struct image_job *job, const struct image *img, const char *init_path,
	     struct bb_err *err);
/* Removes archives of other bottle-inits, unless a bottle uses the image: it may still start its
 * machine from one. The caller holds the build lock, and no lock of the image. */
void oci_sweep(const char *images, const char *id);
/* Has the image an archive, and is it of this bottle-init? */
bool oci_is_current(const struct image *img, const char *init_path);

#endif
