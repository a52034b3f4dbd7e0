/* QEMU on this host: where it is and which files it needs, so that its jail holds those and nothing
 * else. */
#ifndef BB_BACKEND_MICROVM_QEMU_H
#define BB_BACKEND_MICROVM_QEMU_H

#include "base/err.h"

struct qemu {
	char *path;   /* the program */
	char **files; /* it, its libraries and the loader, its accelerator module: absolute,
			 NULL-terminated */
	char **trees; /* directories with its firmware, NULL-terminated */
};

/* BB_E_MISSING with the package to install when it is not there. The list of libraries is
 * remembered in the cache directory for as long as the program stays the same. */
int qemu_find(struct qemu **ret, struct bb_err *err);
void qemu_free(struct qemu *q);

#endif
