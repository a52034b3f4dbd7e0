/*
 * Loopback addresses for bottles, 127.0.0.16 to .31: one a bottle, the lowest free one, held by an
 * open lock, so that it is free again however its holder ends.
 */
#ifndef BB_BACKEND_SMOLMACHINES_ALIAS_H
#define BB_BACKEND_SMOLMACHINES_ALIAS_H

#include <stddef.h>

#include "base/err.h"

#define ALIAS_FIRST    16
#define ALIAS_LAST     31
#define ALIAS_POOL     (ALIAS_LAST - ALIAS_FIRST + 1)
#define ALIAS_TEXT_MAX 16 /* "127.0.0.31" */

struct loopback_alias {
	char address[ALIAS_TEXT_MAX]; /* "127.0.0.16" */
	char cidr[ALIAS_TEXT_MAX + 3];
	int lock_fd; /* owned; the address is taken while it is open */
};

/* dir (made if missing, 0700) holds one lock file an address; slug is written into it for people.
 * BB_E_LIMIT with the holders when the pool is full. */
int loopback_allocate(const char *dir, const char *slug, struct loopback_alias *ret,
		      struct bb_err *err);
void loopback_release(struct loopback_alias *a); /* { .lock_fd = -1 } and twice are fine */

/*
 * macOS has 127.0.0.1 only: adds the missing addresses to lo0. list gives the output of `ifconfig
 * lo0`, add runs one argument vector; both injected, so that this is tested anywhere. Linux needs
 * none of it: all of 127/8 is loopback.
 */
struct bb_buf;
struct loopback_runner {
	int (*list)(void *arg, struct bb_buf *out, struct bb_err *err);
	int (*add)(void *arg, char *const *argv, struct bb_err *err);
	void *arg;
};
int loopback_ensure_pool(const struct loopback_runner *runner, struct bb_err *err);

#endif
