/*
 * Copies between host and guest: FILE frames on one side, a tar stream from or to the confined
 * archive child on the other. This process never reads the tar: it wraps and unwraps.
 */
#ifndef BB_CLI_TRANSFER_H
#define BB_CLI_TRANSFER_H

#include "base/err.h"
#include "cli/control.h"
#include "provider/provider.h"

/* Packs entry `name` of the directory (or "." for its content), named as_name in the stream, and
 * unpacks it below guest_path. */
int cli_transfer_put(struct cli_control *c, int dir_fd, const char *name, const char *as_name,
		     const char *guest_path, struct bb_err *err);
/* The directory's content as guest_path, and nothing else there. */
int cli_transfer_put_tree(struct cli_control *c, int dir_fd, const char *guest_path,
			  struct bb_err *err);
/* What a list names: NUL-terminated paths below the directory (tree_pack_list()), each below
 * as_name in the stream. total_bytes: for the bar. */
struct cli_transfer_list {
	int dir_fd;
	struct bb_view paths;
	uint64_t total_bytes;
	const char *as_name;
};
int cli_transfer_put_list(struct cli_control *c, const struct cli_transfer_list *list,
			  const char *guest_path, struct bb_err *err);
/* Small files of our own, below guest_path. */
int cli_transfer_put_files(struct cli_control *c, const struct provider_file *files, size_t count,
			   const char *guest_path, struct bb_err *err);
/* Fetches guest_path into the directory under as_name; with is_content, what is in it. */
int cli_transfer_get(struct cli_control *c, const char *guest_path, bool is_content, int dir_fd,
		     const char *as_name, struct bb_err *err);
/* The same from the frames kept of an ended bottle; inner is the path below the kept workspace. */
int cli_transfer_get_kept(int frames_fd, const char *inner, int dir_fd, const char *as_name,
			  struct bb_err *err);

/* Gives back what was kept of an ended bottle: the frames, whole or an error. is_replacing: what is
 * in guest_path goes first. */
int cli_transfer_put_kept(struct cli_control *c, int frames_fd, const char *guest_path,
			  bool is_replacing, struct bb_err *err);
/* What the bottle has changed of its file system, to fd as an archive of at most that many bytes;
 * and what another had changed, to this one. */
int cli_transfer_get_changes(struct cli_control *c, int fd, uint64_t most, struct bb_err *err);
int cli_transfer_put_changes(struct cli_control *c, int fd, struct bb_err *err);
/* The content of guest_path for a review: into an empty directory of our own, links as they are, no
 * special file. c NULL: from the frames kept of an ended bottle, frames_fd. */
int cli_transfer_review(struct cli_control *c, const char *guest_path, int frames_fd, int dir_fd,
			struct bb_err *err);

#endif
