/* Text that people read: escaping of outsider bytes, small string helpers. */
#ifndef BB_BASE_TEXT_H
#define BB_BASE_TEXT_H

#include <stddef.h>

#include "base/view.h"

/*
 * Printable ASCII stays; every other byte and the backslash become \xNN. At most max_shown bytes of
 * v are shown, "..." follows when there are more. dst is always terminated; returns dst.
 */
char *bb_text_escape(char *dst, size_t cap, struct bb_view v, size_t max_shown);

/* The same with a short-lived buffer of the enclosing block: for one error message. */
#define BB_ESCAPED(v) bb_text_escape((char[512]){ 0 }, 512, (v), 120)

/* asprintf that returns the string or NULL. */
char *bb_text_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Appends to a NULL-terminated heap vector; takes ownership of s. 0 or -ENOMEM (s is freed then).
 */
int bb_strv_push(char ***strv, char *s);
void bb_strv_free(char **strv);
size_t bb_strv_len(char *const *strv);

static inline void bb_cleanup_strv(char ***strv)
{
	bb_strv_free(*strv);
}
#define BB_AUTO_STRV __attribute__((cleanup(bb_cleanup_strv)))

/* Base64 with its padding (RFC 4648, 4), NUL-terminated. 0, or -EMSGSIZE. */
int bb_base64(struct bb_view v, char *dst, size_t cap);
extern const char bb_base64_digits[65];

#endif
