/*
 * What smolvm 0.8.x starts a machine from: it reads no archive, only packs, and makes a pack only
 * of what a registry serves. So a registry runs on loopback for the time that takes.
 */
#ifndef BB_BACKEND_SMOLMACHINES_PACK_H
#define BB_BACKEND_SMOLMACHINES_PACK_H

#include "backend/smolmachines/smolvm.h"

/* 0 when skopeo and docker-registry are there, else BB_E_MISSING with the package's name. */
int smolpack_check(const struct smolvm *vm, struct bb_err *err);

/*
 * The pack of an OCI archive, made when there is none of this content (content_id: digits of its
 * digest) for this version of smolvm; may take minutes then. *ret_pack: its path, on the heap.
 *
 * enter: moves a process into a network namespace of its own, so that nobody else reaches the
 * registry; NULL: not on this system. vm->interrupt_fd is heeded. A failure leaves no registry,
 * process or half a pack.
 */
int smolpack_find(const struct smolvm *vm, const char *oci_path, const char *content_id,
		  int (*enter)(struct bb_err *err), char **ret_pack, struct bb_err *err);

#endif
