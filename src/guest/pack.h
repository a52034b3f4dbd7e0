/* Packing a file or tree into an archive. */
#ifndef BB_GUEST_PACK_H
#define BB_GUEST_PACK_H

#include "base/err.h"
#include "guest/tar.h"

struct pack_plan {
	const char *path;            /* absolute */
	bool contents;               /* names begin with "." instead of the path's last component */
	const char *const *excludes; /* NULL-terminated: relative to the path; their trees too */
};

/* Follows no symbolic link below path and not in its last component. Files that change while they
 * are read keep the size they had; those that vanish are left out; sockets, pipes and devices too.
 * What cannot be read is left out and makes the result an error, after everything else was written.
 */
int pack(const struct pack_plan *plan, tar_write_cb *write, void *arg, struct bb_err *err);

#endif
