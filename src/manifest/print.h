/*
 * Manifests as text: YAML of this format again, with where each line was written as its comment.
 * What is printed can be read back and gives the same structs. Everything goes into one buffer,
 * whose cap bounds it; the first failure is kept and ends the printing.
 */
#ifndef BB_MANIFEST_PRINT_H
#define BB_MANIFEST_PRINT_H

#include "base/buf.h"
#include "manifest/manifest.h"

struct manifest_page {
	struct bb_buf *out;
	int result; /* 0, or the buffer's first error */
};

/* "KEY: VALUE  # NOTE" behind indent spaces; value NULL: a block begins; note NULL: none. */
void manifest_put(struct manifest_page *p, unsigned indent, const char *key, const char *value,
		  const char *note);
/* The same with where it was written, and behind that the note. */
void manifest_put_at(struct manifest_page *p, unsigned indent, const char *key, const char *value,
		     const struct manifest_origin *at, const char *note);
/* "KEY: [A, B]  # ..."; nothing when list is NULL. */
void manifest_put_list(struct manifest_page *p, unsigned indent, const char *key, char *const *list,
		       const struct manifest_origin *at);
/* The value alone: plain when it is plainly a word, quoted and escaped otherwise. */
void manifest_put_value(struct manifest_page *p, const char *value);
/* printf for what is safe as it is. */
void manifest_put_raw(struct manifest_page *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "2G", "512M" or bytes, at least 32 bytes in dst. */
const char *manifest_size_text(uint64_t bytes, char *dst);
/* "8h", "90m" or "30s", the same. */
const char *manifest_time_text(uint32_t seconds, char *dst);

/* Whole blocks at the left margin; nothing when they say nothing. */
/* notes: NULL, or one for each entry, NULL for none. */
void manifest_put_env(struct manifest_page *p, const struct manifest_bottle *b, char *const *notes);
void manifest_put_provider(struct manifest_page *p, const struct manifest_bottle *b);
void manifest_put_git(struct manifest_page *p, const struct manifest_git_user *user,
		      const struct manifest_git *git);
void manifest_put_workspace(struct manifest_page *p, const struct manifest_workspace *w);
/* One entry of `egress.routes`; from NULL: it is not of a manifest. */
void manifest_put_route(struct manifest_page *p, unsigned indent, const struct policy_route *r,
			const struct manifest_route *from);

/* A whole bottle's front matter without the two "---". 0 or the buffer's error. */
int manifest_print_bottle(const struct manifest_bottle *b, struct bb_buf *out);

#endif
