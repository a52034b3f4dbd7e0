/* A jail with the layout of a real namespace bottle, but with the probe as its program. */
#ifndef BB_TESTS_ESCAPE_ARENA_H
#define BB_TESTS_ESCAPE_ARENA_H

#include "../unit/unit.h"

#include "base/buf.h"
#include "sys/jail.h"

#define ARENA_TIMEOUT_MS 60000
#define ARENA_OUTPUT_MAX (256 * 1024)

struct arena_run {
	enum jail_filter filter;
	struct jail_limits limits;
	uint64_t disk;     /* 0: 64 MiB */
	char *const *argv; /* of the probe; NULL: all attacks */
	char *const *envp;
	bool wants_uid_range;
};

/* The path of the static probe beside this test. */
const char *arena_probe(void);
/* Starts the probe in a jail; its output comes from *ret_fd, and descriptor 3 inside is a copy of
 * hold_fd (or the null device for -1). Fails the test when the jail cannot be made. */
struct jail *arena_start(const struct arena_run *run, int hold_fd, int *ret_fd);
/* arena_start(), all output into out (NUL-terminated), the end of the jail; its exit code. */
int arena_finish(const struct arena_run *run, struct bb_buf *out);
/* The number after "word " at the start of a line of out, or -1. */
long arena_number(const struct bb_buf *out, const char *word);
/* Reads fd to its end within the time-out. */
void arena_collect(int fd, struct bb_buf *out);
/* Ends the calling test as skipped, with the reason. */
_Noreturn void arena_skip(const char *why);

#endif
