/* Text helpers; see text.h. */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

char *bb_text_escape(char *dst, size_t cap, struct bb_view v, size_t max_shown)
{
	static const char hex[] = "0123456789abcdef";
	size_t used = 0;
	size_t i;

	if (cap == 0)
		return dst;
	for (i = 0; i < v.n && i < max_shown; i++) {
		uint8_t c = v.p[i];

		if (cap - used < 8) /* 4 for this byte, 3 dots, NUL */
			break;
		if (c >= 0x20 && c < 0x7f && c != '\\') {
			dst[used++] = (char)c;
			continue;
		}
		dst[used++] = '\\';
		dst[used++] = 'x';
		dst[used++] = hex[c >> 4];
		dst[used++] = hex[c & 15];
	}
	for (int dots = 0; i < v.n && dots < 3 && cap - used > 1; dots++)
		dst[used++] = '.';
	dst[used] = '\0';
	return dst;
}

char *bb_text_printf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

size_t bb_strv_len(char *const *strv)
{
	size_t n = 0;

	while (strv != NULL && strv[n] != NULL)
		n++;
	return n;
}

int bb_strv_push(char ***strv, char *s)
{
	size_t n = bb_strv_len(*strv);
	char **grown;

	if (s == NULL)
		return -ENOMEM;
	grown = reallocarray(*strv, n + 2, sizeof(char *));
	if (grown == NULL) {
		free(s);
		return -ENOMEM;
	}
	grown[n] = s;
	grown[n + 1] = NULL;
	*strv = grown;
	return 0;
}

void bb_strv_free(char **strv)
{
	for (size_t i = 0; strv != NULL && strv[i] != NULL; i++)
		free(strv[i]);
	free(strv);
}

const char bb_base64_digits[65] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int bb_base64(struct bb_view v, char *dst, size_t cap)
{
	size_t n = 0;

	if (v.n > cap / 4 * 3 || (v.n + 2) / 3 * 4 >= cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < v.n; i += 3) {
		uint32_t b = i + 1 < v.n ? v.p[i + 1] : 0;
		uint32_t c = i + 2 < v.n ? v.p[i + 2] : 0;
		uint32_t bits = (uint32_t)v.p[i] << 16 | b << 8 | c;

		for (unsigned k = 0; k < 4; k++)
			dst[n++] = i + k > v.n ? '=' : bb_base64_digits[bits >> (18 - 6 * k) & 63];
	}
	dst[n] = '\0';
	return 0;
}
