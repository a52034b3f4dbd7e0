/*
 * What a microVM looks like to QEMU: pure functions from a description to the kernel's and QEMU's
 * arguments. Every file reaches QEMU as a descriptor with a number fixed here; no argument names a
 * path of the host.
 */
#ifndef BB_BACKEND_MICROVM_SHAPE_H
#define BB_BACKEND_MICROVM_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

/* Descriptors in QEMU's process. */
enum shape_fd {
	SHAPE_FD_STREAM = 3,  /* one end of the bottle's socketpair */
	SHAPE_FD_CONSOLE = 4, /* write end of a pipe */
	SHAPE_FD_KERNEL = 5,
	SHAPE_FD_INITRD = 6,
	SHAPE_FD_DISK = 7,   /* the bottle's own disk, read and write */
	SHAPE_FD_LAYER = 10, /* and up: one erofs layer each, top first, read only */
};

struct shape {
	bool uses_kvm;
	uint32_t cpus;
	uint64_t memory_bytes;
	size_t layers; /* at most IMAGE_LAYERS_MAX */
	bool has_disk; /* else what is written lives in the guest's memory */
	bool has_stream;
	bool is_probe;    /* the guest only says hello on its console and ends */
	uint32_t tsc_khz; /* emulation only: what the guest's time stamp counter runs at; 0: not
			     known */
};

/* The kernel's command line on the heap; guest/boot.c documents the bb.* words. NULL: out of
 * memory. */
char *shape_kernel_args(const struct shape *s);
/* QEMU's argument vector, argv[0] first, or NULL: out of memory. Free with bb_strv_free(). */
char **shape_argv(const struct shape *s, const char *qemu);

#endif
