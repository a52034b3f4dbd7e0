/* The system calls of each sandbox profile, as data; sandbox.c applies them. */
#ifndef BB_SYS_LINUX_SANDBOX_CALLS_H
#define BB_SYS_LINUX_SANDBOX_CALLS_H

#include "sys/linux/filter.h"
#include "sys/sandbox.h"

#define SANDBOX_TABLES_MAX 10 /* the NULL at the end included */

/* The tables of a profile, NULL-terminated. What none of them names fails with EPERM. */
extern const struct filter_rule *const sandbox_calls[SANDBOX_NUM_PROFILES][SANDBOX_TABLES_MAX];

/* Refuses every open with EACCES; added where a profile's Landlock is missing. */
extern const struct filter_rule sandbox_no_open[];

#endif
