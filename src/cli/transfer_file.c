/* Copies between a guest and files of ours that hold an archive as the guest wrote it: they are
 * stored and given back, and never read. */
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/transfer_impl.h"

static int begin(struct transfer *t, struct cli_control *c, uint32_t op, const char *path,
		 uint32_t flags, int fd, struct bb_err *err)
{
	int stream = -1, r;

	t->is_file = true;
	t->data = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (t->data < 0)
		return bb_err_errno(err, "cannot use a file");
	r = transfer_open(c, op, path, flags, &stream, err);
	t->stream = stream;
	return r < 0 ? r : transfer_run(t, err);
}

int cli_transfer_put_kept(struct cli_control *c, int frames_fd, const char *guest_path,
			  bool is_replacing, struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;

	transfer_init(&t, -1, true);
	t.is_frames = true;
	return begin(&t, c, FILE_PUT, guest_path, is_replacing ? FILE_FLAG_REPLACE : 0, frames_fd,
		     err);
}

int cli_transfer_put_changes(struct cli_control *c, int fd, struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;

	transfer_init(&t, -1, true);
	return begin(&t, c, FILE_PUT, "/", FILE_FLAG_LAYER, fd, err);
}

int cli_transfer_get_changes(struct cli_control *c, int fd, uint64_t most, struct bb_err *err)
{
	__attribute__((cleanup(transfer_done))) struct transfer t;

	transfer_init(&t, -1, false);
	t.most = most;
	return begin(&t, c, FILE_GET, "/", FILE_FLAG_LAYER, fd, err);
}
