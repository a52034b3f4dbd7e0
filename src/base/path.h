/* Files and directories of our own (state, caches, configuration). Guest-written trees are handled
 * by role/archive only. */
#ifndef BB_BASE_PATH_H
#define BB_BASE_PATH_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Makes the directory and its parents (each new one with mode); existing ones stay as they are. */
int bb_path_mkdirs(const char *path, mode_t mode, struct bb_err *err);
/* Whole file into b (whose cap is the limit). Regular files only; no symlink in the last component
 * when nofollow. */
int bb_path_read(const char *path, int nofollow, struct bb_buf *b, struct bb_err *err);
/* Writes beside, fsyncs, renames over: readers see the old or the new content. */
int bb_path_write_atomic(const char *path, const void *p, size_t n, mode_t mode,
			 struct bb_err *err);
/* The same, but -EEXIST when there is something of that name, whatever it is: nothing is replaced.
 */
int bb_path_write_new(const char *path, const void *p, size_t n, mode_t mode, struct bb_err *err);
/* Removes a tree; symlinks are removed, not followed; file systems are not crossed. Missing:
 * success. */
int bb_path_remove_tree(const char *path, struct bb_err *err);
/* The directory of /proc/self/exe without a trailing slash, on the heap, or NULL. */
char *bb_path_self_dir(void);
/* Another of our programs: beside this one in the build tree and in libexec/bot-bottle, in
 * ../libexec/bot-bottle when this one is installed in bin. On the heap; NULL with err set when it
 * is not there. */
char *bb_path_sibling(const char *program, struct bb_err *err);
/* A file or folder of what is installed beside the programs to be read:
 * PREFIX/share/bot-bottle/NAME, in the build tree data/NAME. On the heap; NULL with err set when it
 * is not there. */
char *bb_path_data(const char *name, struct bb_err *err);

#endif
