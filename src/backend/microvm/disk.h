/* The bottle's own disk: a sparse file with an empty ext4. */
#ifndef BB_BACKEND_MICROVM_DISK_H
#define BB_BACKEND_MICROVM_DISK_H

#include <stdint.h>

#include "base/err.h"

/* Makes a file of that size with an empty ext4 in state_dir, opens it for reading and writing and
 * takes its name away: it lives as long as somebody holds it. The descriptor, or negative; -ENOSPC
 * and BB_E_MISSING (mkfs.ext4) with a sentence. */
int disk_make(const char *state_dir, uint64_t bytes, struct bb_err *err);

#endif
