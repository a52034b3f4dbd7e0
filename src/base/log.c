/* One line per message, one write per line; see log.h. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char *const level_names[] = { "error", "warning", "info", "debug" };
_Static_assert(BB_ARRAY_LEN(level_names) == BB_NUM_LOG_LEVELS, "one name for each level");

static const char *log_program = "bot-bottle";
static enum bb_log_level log_level = BB_LOG_WARN;

void bb_log_init(const char *program)
{
	const char *wanted = getenv("BOT_BOTTLE_LOG");

	log_program = program;
	for (int i = 0; wanted != NULL && i < BB_NUM_LOG_LEVELS; i++)
		if (strcmp(wanted, level_names[i]) == 0 ||
		    (i == BB_LOG_WARN && strcmp(wanted, "warn") == 0))
			log_level = (enum bb_log_level)i;
}

/* level NULL: none is said. */
static void write_line(const char *level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void write_line(const char *level, const char *fmt, va_list ap)
{
	char line[2048];
	int saved = errno;
	int n = snprintf(line, sizeof(line) - 1, "%s: %s%s", log_program,
			 level == NULL ? "" : level, level == NULL ? "" : ": ");
	int m = vsnprintf(line + n, sizeof(line) - 1 - (size_t)n, fmt, ap);

	if (m > 0)
		n += m;
	if ((size_t)n > sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0) {
		/* standard error is gone: there is nobody left to tell */
	}
	errno = saved;
}

void bb_log(enum bb_log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_level)
		return;
	va_start(ap, fmt);
	write_line(level_names[level], fmt, ap);
	va_end(ap);
}

void bb_log_show(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(NULL, fmt, ap);
	va_end(ap);
}
