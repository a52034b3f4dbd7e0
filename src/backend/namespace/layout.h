/*
 * What a namespace bottle sees: the list of mounts for its jail, from the image (or the host's own
 * /usr), the sized file systems, /dev and the small files of /etc.
 *
 * /dev has eight nodes: null, zero, full, random, urandom, tty, ptmx (the link into pts) and pts;
 * beside them the directory shm and the links fd, stdin, stdout and stderr, which are names in
 * /proc. There is no /sys.
 */
#ifndef BB_BACKEND_NAMESPACE_LAYOUT_H
#define BB_BACKEND_NAMESPACE_LAYOUT_H

#include "backend/backend.h"
#include "base/buf.h"
#include "sys/jail.h"

#define LAYOUT_MOUNTS_MAX 64
#define LAYOUT_FILES_MAX  8
#define LAYOUT_INIT_PATH  "/.bottle-init"
#define LAYOUT_UID        1000
/* The host's certificate file is a quarter of this today. */
#define LAYOUT_FILE_MAX (1024 * 1024)

struct layout {
	struct jail_mount mounts[LAYOUT_MOUNTS_MAX];
	size_t count;
	struct bb_buf files[LAYOUT_FILES_MAX]; /* contents the mounts point to */
	size_t file_count;
	struct bb_buf layers; /* "a:b", of the overlay */
	char links[8][256];   /* texts of the host's top-level symlinks */
};

/* init_path: the host's bottle-init. Strings of image and plan are borrowed until layout_done(). */
int layout_build(struct layout *l, const struct image *image,
		 const struct backend_resources *resources, const char *init_path,
		 struct bb_err *err);
void layout_done(struct layout *l);

#endif
