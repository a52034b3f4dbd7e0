/* Packing a file or tree into an archive. */
#ifndef BB_GUEST_PACK_H
#define BB_GUEST_PACK_H

#include "base/err.h"
#include "guest/tar.h"

struct pack_plan {
	const char *path; /* absolute */
	int root_fd;      /* > 0: this directory in place of path, borrowed; with contents */
	bool contents;    /* names begin with "." instead of the path's last component */
	const char *const *excludes; /* NULL-terminated: relative to the path; their trees too */
	const char *const *only; /* NULL, or NULL-terminated names: no other entry of the path */
	bool is_layer; /* owners, what an overlay's upper directory says was removed or replaced */
};

/* Follows no symbolic link below path and not in its last component. Files that change while they
 * are read keep the size they had; those that vanish are left out; sockets, pipes and devices too.
 * What cannot be read is left out and makes the result an error, after everything else was written.
 */
int pack(const struct pack_plan *plan, tar_write_cb *write, void *arg, struct bb_err *err);

#endif
