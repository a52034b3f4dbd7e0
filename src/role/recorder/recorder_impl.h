/* Shared inside role/recorder only. */
#ifndef BB_ROLE_RECORDER_RECORDER_IMPL_H
#define BB_ROLE_RECORDER_RECORDER_IMPL_H

#include "base/limit.h"
#include "role/link/link.h"
#include "role/link/role.h"
#include "role/recorder/recorder.h"

#define RECORDER_WRITERS 4
#define RECORDER_BATCH   64 /* records that share one fdatasync() */

struct recorder;

struct writer {
	struct recorder *recorder;
	int fd;            /* until the sandbox is locked */
	struct link *link; /* NULL: gone, or not yet there */
};

struct pending {
	struct writer *writer;
	uint32_t id;
};

struct recorder {
	struct role role;
	int audit_fd; /* -1 before set-up */
	uint64_t size;
	struct writer writers[RECORDER_WRITERS];
	size_t writer_count;
	struct bb_buf batch; /* lines not yet written */
	struct pending pending[RECORDER_BATCH];
	size_t pending_count;
	bool is_flush_due;
	struct loop_timer *ending; /* how long a shutdown waits for writers */
};

extern const struct ipc_op recorder_ops[];
extern const size_t recorder_op_count;

int recorder_start(struct recorder *r, struct bb_err *err);
/* Ends when the last writer has gone, or after a second. */
void recorder_shut_down(struct recorder *r);

#endif
