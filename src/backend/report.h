/* How a backend fills its report: a table of checks, each one line of `doctor`. */
#ifndef BB_BACKEND_REPORT_H
#define BB_BACKEND_REPORT_H

#include <stddef.h>

#include "backend/backend.h"

/* One row. The check is given as "ok" with nothing found; it says what it found, and when that is
 * not well, what to do. */
struct report_row {
	const char *name;
	void (*check)(void *arg, struct backend_check *c);
};

/* Fills ret with all rows in their order (at most BACKEND_CHECKS_MAX), also behind one that failed,
 * so that everything missing is seen at once. 0, or BB_E_MISSING with the first that failed. */
int report_run(const struct report_row *rows, size_t n, void *arg, struct backend_report *ret,
	       struct bb_err *err);

/* What was found, cut at the size of the field. */
void report_found(struct backend_check *c, enum backend_check_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What to do about it. */
void report_mend(struct backend_check *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
