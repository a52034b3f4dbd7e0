/*
 * Errors: a negative code and one sentence. The struct lives on the caller's stack. The function
 * that fails writes it, each level that knows more puts its context in front, the top prints it
 * once. Messages are lower case without a full stop; names in ' '; outsider bytes escaped (text.h);
 * no secret ever. A NULL err is allowed everywhere: the code alone is then returned.
 */
#ifndef BB_BASE_ERR_H
#define BB_BASE_ERR_H

#include <errno.h>

#define BB_ERR_MSG_MAX 1024

struct bb_err {
	int code; /* 0: no error; negative errno or BB_E_* */
	char msg[BB_ERR_MSG_MAX];
};

/* Our own codes, below every errno. err.c has the string table. */
enum bb_code {
	BB_E_FIRST = -4200,
	BB_E_REFUSED = -4200, /* policy says no */
	BB_E_USAGE,           /* the operator's command or manifest is wrong */
	BB_E_MISSING,  /* a component of the host is not there; the message says which package */
	BB_E_DEADLINE, /* something did not happen in time */
	BB_E_GUEST,    /* the guest broke the protocol or died */
	BB_E_PART,     /* one of our own processes died or misbehaved */
	BB_E_LIMIT,    /* a named limit (limit.h) was hit */
	BB_E_LAST = BB_E_LIMIT,
};
#define BB_NUM_CODES (BB_E_LAST - BB_E_FIRST + 1)

/* Sets code (negative) and message; returns code. */
int bb_err_set(struct bb_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Same with the current errno; ": strerror" is appended. Returns -errno. */
int bb_err_errno(struct bb_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " in front of the message; returns err->code. */
int bb_err_wrap(struct bb_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The name of a code: strerror for errno values, a word for BB_E_*. Never NULL. */
const char *bb_err_name(int code);

#endif
