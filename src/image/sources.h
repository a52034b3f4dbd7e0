/* Which of the host's apt sources an image may be built from: the release's own archive and nothing
 * else. */
#ifndef BB_IMAGE_SOURCES_H
#define BB_IMAGE_SOURCES_H

#include "base/buf.h"
#include "base/err.h"

enum sources_form {
	SOURCES_ONE_LINE, /* *.list */
	SOURCES_DEB822,   /* *.sources */
};

/*
 * Appends those entries of one configuration file that are the release's own, in deb822 form. Kept
 * are, of enabled binary entries, the suites CODENAME, CODENAME-updates and CODENAME-security, of
 * these the component main, and of the addresses those that are a Debian archive: signed by
 * Debian's keyring, or with a path component "debian" or "debian-security" as every mirror has (a
 * mirror may have a key of its own). "Trusted" is never carried over. How many stanzas were
 * appended, or a negative error.
 */
int sources_filter(struct bb_view text, enum sources_form form, const char *codename,
		   struct bb_buf *out);

/* The same for all of the host's files. BB_E_MISSING when nothing is left. ret_codename is on the
 * heap. */
int sources_of_host(struct bb_buf *out, char **ret_codename, struct bb_err *err);

#endif
