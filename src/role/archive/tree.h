/*
 * The archive process: packs a tree into a tar stream, or unpacks one that a guest wrote, below one
 * directory given as a descriptor. It runs confined to that directory and is the only place where
 * host code reads an archive of a guest.
 *
 * Held when unpacking, whatever the stream says: every path is walked component by component from
 * the directory without following a link; absolute paths and ".." end the copy; links stay inside
 * the tree by construction; no device, FIFO or socket is made; no set-user-id, set-group-id or
 * sticky bit is set and none that lets others write; an existing file is replaced, never written
 * through. A stream that does not end as an archive ends is an error.
 */
#ifndef BB_ROLE_ARCHIVE_TREE_H
#define BB_ROLE_ARCHIVE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Entry `name` of the directory ("." for its content) as `as` ("." for no name of its own) to
 * out_fd. */
int tree_pack(int dir_fd, const char *name, const char *as, int out_fd, struct bb_err *err);
/* Only what list_fd names: NUL-terminated relative paths, files, links and empty directories (a
 * directory's own entry, not what is in it), each below as. One that is gone meanwhile is passed
 * over. */
int tree_pack_list(int dir_fd, int list_fd, const char *as, int out_fd, struct bb_err *err);

/*
 * What is at or below `only` in the stream ("." for all), as `as` in the directory ("." for its
 * content). Nothing there: an error. for_review: into a directory of our own where nobody follows a
 * link, so that a link is kept whatever it says (pull compares it), and a device, FIFO or socket
 * ends the copy.
 */
int tree_unpack(int in_fd, const char *only, const char *as, int dir_fd, bool for_review,
		struct bb_err *err);

/*
 * A path of the stream made canonical: "a/b", or "." for the root. NULL: absolute, holds "..", an
 * empty or over-long component, or is over-long itself; why (static text) then says which.
 */
char *tree_path(const char *path, const char **ret_why);
/* "a/b" below only and as: the path in the destination on the heap. NULL with *ret_outside set when
 * it is not at or below only. */
char *tree_place(const char *path, const char *only, const char *as, bool *ret_outside);
/* One line to standard error about something left out; after the first ones only counted. */
void tree_note(const char *path, const char *why);
void tree_note_end(void);

#endif
