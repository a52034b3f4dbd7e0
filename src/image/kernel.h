/* The kernel of the base image and its modules. */
#ifndef BB_IMAGE_KERNEL_H
#define BB_IMAGE_KERNEL_H

#include "image/job.h"

#define KERNEL_DROP ".bot-bottle" /* where the hook leaves the kernel package in the root */

/* A shell script for mmdebstrap's --customize-hook, run with the root as its argument. */
extern const char kernel_hook[];

/* Takes the package that the hook left: vmlinuz and modules/ in job->dir, name and version in r. */
int kernel_take(struct image_job *job, const char *root, struct image_record *r,
		struct bb_err *err);

#endif
