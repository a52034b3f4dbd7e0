/* The guest's initramfs: bottle-init and the kernel's modules, packed at start. */
#ifndef BB_BACKEND_MICROVM_INITRAMFS_H
#define BB_BACKEND_MICROVM_INITRAMFS_H

#include "base/err.h"

/* A sealed memfd. init: path of bottle-init; modules: directory with *.ko and "order", NULL: none
 * (a probe needs none). The descriptor, or negative. */
int initramfs_pack(const char *init, const char *modules, struct bb_err *err);

#endif
