/* Error objects; see err.h for the contract. */
#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const code_names[] = {
	"refused by policy", "usage error",      "missing component", "deadline passed",
	"guest failure",     "bundle part died", "limit reached",
};
_Static_assert(BB_ARRAY_LEN(code_names) == BB_NUM_CODES, "one name for each BB_E_ code");

const char *bb_err_name(int code)
{
	if (code >= BB_E_FIRST && code <= BB_E_LAST)
		return code_names[code - BB_E_FIRST];
	return strerror(-code);
}

__attribute__((format(printf, 3, 0))) static void format_message(char *dst, size_t cap,
								 const char *fmt, va_list ap)
{
	int n = vsnprintf(dst, cap, fmt, ap);

	if (n < 0)
		dst[0] = '\0';
}

int bb_err_set(struct bb_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	assert(code < 0);
	if (err == NULL)
		return code;
	err->code = code;
	va_start(ap, fmt);
	format_message(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return code;
}

int bb_err_errno(struct bb_err *err, const char *fmt, ...)
{
	int saved = errno;
	size_t n;
	va_list ap;

	if (saved == 0)
		saved = EIO; /* a caller without an errno is a bug; still fail */
	if (err == NULL)
		return -saved;
	err->code = -saved;
	va_start(ap, fmt);
	format_message(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", strerror(saved));
	return -saved;
}

int bb_err_wrap(struct bb_err *err, const char *fmt, ...)
{
	char context[BB_ERR_MSG_MAX];
	char whole[2 * BB_ERR_MSG_MAX + 4];
	size_t n;
	va_list ap;

	if (err == NULL)
		return -EIO;
	va_start(ap, fmt);
	format_message(context, sizeof(context), fmt, ap);
	va_end(ap);
	(void)snprintf(whole, sizeof(whole), "%s: %s", context, err->msg);
	n = strnlen(whole, sizeof(err->msg) - 1);
	memcpy(err->msg, whole, n);
	err->msg[n] = '\0';
	assert(err->code < 0);
	return err->code;
}
