/* The erofs form of an image's root. */
#ifndef BB_IMAGE_EROFS_H
#define BB_IMAGE_EROFS_H

#include "image/job.h"

/* Makes DIR/root.erofs of DIR/root: every file owned by root, times kept, lz4hc. */
int erofs_make(struct image_job *job, struct bb_err *err);

#endif
