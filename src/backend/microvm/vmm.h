/* Starting QEMU in its jail. */
#ifndef BB_BACKEND_MICROVM_VMM_H
#define BB_BACKEND_MICROVM_VMM_H

#include "backend/microvm/qemu.h"
#include "backend/microvm/shape.h"
#include "sys/jail.h"

struct vmm_plan {
	const char *name; /* for messages and the cgroup */
	const struct qemu *qemu;
	struct shape shape;
	uint64_t disk_bytes; /* the largest file it may write */
	/* Borrowed; -1 where the shape has none. */
	int stream_fd, console_fd, kernel_fd, initrd_fd, disk_fd;
	int layer_fds[IMAGE_LAYERS_MAX];
};

/* Makes QEMU's jail; jail_finish() waits until QEMU was executed in it. It dies with its parent. */
int vmm_begin(const struct vmm_plan *plan, struct jail **ret, struct bb_err *err);

#endif
