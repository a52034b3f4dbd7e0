/*
 * seccomp filters from tables. A filter is one allow-list (what is not named fails with an error
 * number) and, where an argument decides, a second list that only refuses: the kernel runs both
 * and the stricter verdict holds. Only filter.c includes <seccomp.h>; programs link what it made at
 * build time (filters.h), not it.
 */
#ifndef BB_SYS_LINUX_FILTER_H
#define BB_SYS_LINUX_FILTER_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum filter_compare {
	FILTER_ANY,   /* no condition */
	FILTER_EQ,    /* argument == value */
	FILTER_NE,    /* argument != value */
	FILTER_ABOVE, /* argument > value */
	FILTER_BITS,  /* (argument & mask) == value */
};

enum filter_verdict {
	FILTER_ALLOW,
	FILTER_ERRNO,  /* rule.error */
	FILTER_KILL,   /* the process, loudly */
	FILTER_NOTIFY, /* ask the holder of the listener */
};

struct filter_condition {
	uint8_t arg;
	enum filter_compare compare;
	uint64_t value, mask;
};

/* One line of a table. Conditions are joined by "and"; of several lines for a call one must match.
 */
struct filter_rule {
	const char *call; /* NULL ends a table; a name this libseccomp does not know is skipped */
	enum filter_verdict verdict;
	int error;
	struct filter_condition when[2];
};

struct filter_program {
	const struct sock_filter *code; /* owned where it was built */
	unsigned short count;
};

/* filter.c, with libseccomp: builds one program from tables (NULL-terminated array); `otherwise`
 * and its error are the verdict for calls no rule matches. Another architecture, x32 included,
 * kills the process. */
int filter_build(const struct filter_rule *const *tables, enum filter_verdict otherwise, int error,
		 struct filter_program *ret, struct bb_err *err);
void filter_done(struct filter_program *program);

/* filter_load.c. Loads; needs no_new_privs. No allocation: may be called between fork and exec. 0
 * or -errno. */
int filter_load(const struct filter_program *program);
/* Loads with a listener for FILTER_NOTIFY; its descriptor or -errno. */
int filter_load_listener(const struct filter_program *program);

#define FILTER_AUTO_PROGRAM __attribute__((cleanup(filter_done)))

#endif
