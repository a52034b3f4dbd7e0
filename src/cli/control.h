/* The CLI's end of a bottle's control.sock. */
#ifndef BB_CLI_CONTROL_H
#define BB_CLI_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/view.h"
#include "ipc/ipc.h"
#include "mux/proto.h"

struct cli_control {
	int fd; /* -1: not connected, or the monitor is gone */
	uint32_t last_id;
	bool has_ended; /* the bottle is over; the rest is what its monitor said */
	bool workspace_kept;
	bool is_resumable;
	uint32_t exit_code;
	bool is_stopping; /* a word that the bottle stays alive is the answer */
	char reason[512];
	char problem[1024];
	uint8_t buffer[LIMIT_IPC_BODY + 64];
};

struct cli_status {
	uint32_t phase;
	uint64_t started_at;
	bool is_held;
	uint64_t disk_bytes; /* what the guest's files may take */
	char backend[256];   /* with the accelerator */
	char problem[1024];
	char parts[16][64];
	size_t part_count;
};

/* BB_E_USAGE when there is no such living bottle (with the nearest name). Free with
 * cli_control_free(). */
int cli_control_connect(const char *identity, struct cli_control **ret, struct bb_err *err);
void cli_control_free(struct cli_control *c);
BB_DEFINE_AUTO(cli_control, cli_control_free)

/* Asks for a stream to the guest; first may be empty. *ret_fd is a blocking stream socket. */
int cli_control_open(struct cli_control *c, enum proto_service service, struct bb_view fields,
		     struct bb_view first, int *ret_fd, struct bb_err *err);
/* IPC_CONTROL_HOLD, _WATCH: no answer comes. */
int cli_control_tell(struct cli_control *c, uint16_t type, struct bb_err *err);
int cli_control_workspace(struct cli_control *c, const char *path, struct bb_err *err);
/* An image was made of it. */
int cli_control_committed(struct cli_control *c, const char *image_id, struct bb_err *err);
/* What the monitor has written down, without waking it: for who asks many. It may lack for a moment
 * after the launch: ask it then. */
int cli_control_published_status(const char *identity, struct cli_status *ret, struct bb_err *err);
int cli_control_status(struct cli_control *c, struct cli_status *ret, struct bb_err *err);

/* Takes what has come on its own; call when fd is readable. Notes are printed. 0, or negative when
 * the monitor is gone without a word (has_ended stays false then). fd is -1 afterwards. */
int cli_control_take(struct cli_control *c, struct bb_err *err);
/* Asks to end the bottle and waits until it has, or timeout_ms. */
int cli_control_stop(struct cli_control *c, int timeout_ms, struct bb_err *err);
/* Waits until the bottle has ended; -EINTR when interrupted, BB_E_PART when the monitor is gone. */
int cli_control_wait_end(struct cli_control *c, int timeout_ms, struct bb_err *err);

/* Finds a bottle by the label of a living one, else by identity. Heap; NULL with err set. */
char *cli_control_resolve(const char *name, struct bb_err *err);

#endif
