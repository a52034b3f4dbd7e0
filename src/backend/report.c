/* The report of a preflight; see report.h. */
#include "backend/report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

int report_run(const struct report_row *rows, size_t n, void *arg, struct backend_report *ret,
	       struct bb_err *err)
{
	const struct backend_check *failed = NULL;

	assert(n <= BACKEND_CHECKS_MAX);
	*ret = (struct backend_report){ 0 };
	for (size_t i = 0; i < n; i++) {
		struct backend_check *c = &ret->checks[ret->count++];

		c->name = rows[i].name;
		rows[i].check(arg, c);
		if (c->state == BACKEND_CHECK_FAIL && failed == NULL)
			failed = c;
	}
	if (failed == NULL)
		return 0;
	return bb_err_set(err, BB_E_MISSING, "%s%s%s", failed->text,
			  failed->mend[0] == '\0' ? "" : "; ", failed->mend);
}

void report_found(struct backend_check *c, enum backend_check_state state, const char *format, ...)
{
	va_list args;

	c->state = state;
	va_start(args, format);
	(void)vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
}

void report_mend(struct backend_check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(c->mend, sizeof(c->mend), format, args);
	va_end(args);
}
