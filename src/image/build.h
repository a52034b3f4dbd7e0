/*
 * Building, listing and removing images (`bot-bottle image ...`). A build runs in a temporary
 * directory below the image directory, under one lock, and is renamed into place whole: what is not
 * finished is never an image, and the next build removes what an interrupted one left. Needs
 * mmdebstrap, mkfs.erofs, dpkg-deb, tar and npm on the host, and takes packages only from where the
 * host's own apt and npm are configured to take them from.
 */
#ifndef BB_IMAGE_BUILD_H
#define BB_IMAGE_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What a long step tells its caller. text: "base: installing packages"; percent 0..100 of the
 * whole. */
typedef void image_progress_cb(void *arg, const char *text, int percent);

/* A ready-made one: a bar on a terminal, a plain line a step elsewhere. */
struct image_bar {
	int fd;
	bool is_terminal;
	bool is_drawn; /* a bar stands on the current line */
	char last[128];
};
void image_bar_init(struct image_bar *bar, int fd);
void image_bar_report(void *arg, const char *text,
		      int percent);        /* an image_progress_cb; arg: a bar */
void image_bar_end(struct image_bar *bar); /* leaves the cursor on a fresh line */

/* Names that can be built, NULL-terminated, static: "base", "claude". */
const char *const *image_buildable(void);

/*
 * Builds an image, and first the one it stands on when that is missing. SIGINT and SIGTERM are
 * taken over while it runs: they end the helpers, remove what was begun and give -EINTR. force:
 * build again although it is there. Other failures: BB_E_USAGE (unknown name, with a suggestion),
 * BB_E_MISSING (a program; the message names the package), -EBUSY (another build runs), -ENOSPC, or
 * -EIO with the helper's last words.
 */
int image_build(const char *name, bool force, image_progress_cb *report, void *arg,
		struct bb_err *err);

/*
 * Makes the archive form of a built image, which machines with a kernel of their own start from,
 * unless it is there already (of the same bottle-init, or force). init_path: the bottle-init to put
 * in, absolute. Fails as image_build() does; BB_E_MISSING also when the image is not built.
 */
int image_oci_build(const char *name, const char *init_path, bool force, image_progress_cb *report,
		    void *arg, struct bb_err *err);

/* 0 when every program and right that a build of name needs is there, else BB_E_MISSING: for
 * `doctor`. */
int image_build_check(const char *name, struct bb_err *err);

struct image_info {
	char *name; /* the last name it was built under */
	char *id;
	char *parent;         /* name of the image it is a layer on, or NULL */
	char *kernel_version; /* NULL: no kernel of its own */
	uint64_t built_at;    /* CLOCK_REALTIME seconds */
	uint64_t bytes;       /* on disk */
	size_t package_count;
	bool is_current;   /* its name points to it (an older build does not) */
	bool is_committed; /* a bottle's changes of its parent, not built */
	bool is_used;      /* a bottle holds it now */
};
/* All images, by name then age. Free with image_info_free(). */
int image_list(struct image_info **ret, size_t *ret_count, struct bb_err *err);
void image_info_free(struct image_info *list, size_t count);

/*
 * Committing: an image of what a bottle has changed. The archive comes from the guest and is only
 * stored: nothing here reads it. One at a time, under the build's lock; what is not finished is
 * never an image, and is removed by image_commit_free() or the next build.
 */
struct image_commit;
/* base_id: an image's id, or "host". -EBUSY: a build or another commit runs. */
int image_commit_begin(const char *name, const char *base_id, struct image_commit **ret,
		       struct bb_err *err);
int image_commit_fd(const struct image_commit *c); /* takes the archive; borrowed */
/* The archive is whole: makes the image and gives it its name. *ret_id on the heap. */
int image_commit_finish(struct image_commit *c, char **ret_id, struct bb_err *err);
void image_commit_free(struct image_commit *c); /* NULL is fine */

/* What interrupted builds and commits left, NULL-terminated; NULL: nothing, or one is running. */
char **image_unfinished(void);
/* Removes that. */
void image_sweep(void);

/* Removes the image of that name, or id (at least 8 digits of it). -EBUSY when a bottle uses it or
 * another image is a layer on it; BB_E_MISSING when there is none. */
int image_remove(const char *name, struct bb_err *err);

#endif
