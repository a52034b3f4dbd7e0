/* What building and committing share: the lock, the temporary directory, the last step. */
#ifndef BB_IMAGE_BUILD_IMPL_H
#define BB_IMAGE_BUILD_IMPL_H

#include "image/build.h"
#include "image/job.h"

#define BUILD_TEMP_PREFIX "tmp-"
#define BUILD_DISK_FULL \
	"the disk that holds '%s' is full; free some space or move it with XDG_CACHE_HOME"

/* The lock of the image directory, for the life of *ret; -EBUSY with a sentence. */
int build_lock(const char *images, int *ret, struct bb_err *err);
/* What an interrupted build left. The caller holds the lock. */
void build_sweep(const char *images);
int build_remove(const char *path, struct bb_err *err);
/* The temporary directory is complete: makes it an image, and names it. */
int build_finish(struct image_job *job, const struct image_record *r, char id[IMAGE_ID_DIGITS + 1],
		 struct bb_err *err);

#endif
