/* One copy in progress: what the files of transfer.h share. */
#ifndef BB_CLI_TRANSFER_IMPL_H
#define BB_CLI_TRANSFER_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/transfer.h"
#include "image/build.h"
#include "sys/spawn.h"

#define TRANSFER_CHUNK 32768

struct transfer {
	int stream; /* to the guest, or the file of kept frames */
	bool is_put;
	int data;           /* the child's tar: its output (put) or input (get); -1: none left */
	bool is_file;       /* data is a file of ours, without a child */
	bool is_kept_whole; /* put of frames: the last one says that the guest sent all */
	bool is_frames;     /* put: it holds FILE frames, not the archive itself */
	int file_error;     /* get: why it takes no more, negative */
	uint64_t most;      /* get: bytes that are taken; 0: no cap */
	int notes;          /* the child's standard error; -1 */
	struct spawn_child child; /* pidfd -1: none */
	struct bb_buf from_stream, to_stream, to_child, words, from_file;
	bool source_ended; /* put: FILE_END is queued; get: FILE_END came */
	bool has_result, stream_ended;
	char failure[512];               /* the guest's */
	uint64_t bytes, total, shown_ms; /* total 0: not known */
	struct image_bar bar;
};

/* stream is taken; -1: not yet opened. */
void transfer_init(struct transfer *t, int stream, bool is_put);
void transfer_done(struct transfer *t);
int transfer_open(struct cli_control *c, uint32_t op, const char *path, uint32_t flags, int *ret,
		  struct bb_err *err);
/* To the end of both sides. */
int transfer_run(struct transfer *t, struct bb_err *err);

#endif
