/*
 * The real keeper, but for a pause behind the messages in which it says where it is. $HOME/hold has
 * the text of such a message (or "started"): when it is sent, $HOME/held is made and the keeper
 * waits until $HOME/hold is gone, or the monitor is.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tlv.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"

#define LOOK_MS 5

int __real_ipc_send(int fd, uint16_t type, uint32_t id, struct bb_view body, const int *fds,
		    int fd_count);
int __wrap_ipc_send(int fd, uint16_t type, uint32_t id, struct bb_view body, const int *fds,
		    int fd_count);

static bool is_wanted(const char *path, uint16_t type, struct bb_view body)
{
	BB_AUTO_BUF struct bb_buf want = { .cap = 256 };
	struct bb_view text;
	uint16_t tag;

	if (bb_path_read(path, 1, &want, NULL) < 0)
		return false;
	if (type == IPC_KEEPER_STARTED)
		return bb_view_eq_str(bb_buf_peek(&want), "started");
	return type == IPC_KEEPER_STEP && bb_tlv_next(&body, &tag, &text) > 0 &&
	       bb_view_eq(bb_buf_peek(&want), text);
}

static void hold(int link_fd, const char *path, const char *held)
{
	struct pollfd p = { .fd = link_fd };
	int fd = open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	while (access(path, F_OK) == 0 && poll(&p, 1, LOOK_MS) == 0)
		;
}

int __wrap_ipc_send(int fd, uint16_t type, uint32_t id, struct bb_view body, const int *fds,
		    int fd_count)
{
	const char *home = getenv("HOME");
	BB_AUTO_FREE char *path = bb_text_printf("%s/hold", home == NULL ? "" : home);
	BB_AUTO_FREE char *held = bb_text_printf("%s/held", home == NULL ? "" : home);
	int r = __real_ipc_send(fd, type, id, body, fds, fd_count);

	if (r == 0 && path != NULL && held != NULL && is_wanted(path, type, body))
		hold(fd, path, held);
	return r;
}
