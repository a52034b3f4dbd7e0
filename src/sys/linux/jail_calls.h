/* The system calls of jailed programs, as data: the allow-list, and what is refused by argument. */
#ifndef BB_SYS_LINUX_JAIL_CALLS_H
#define BB_SYS_LINUX_JAIL_CALLS_H

#include "sys/jail.h"
#include "sys/linux/filter.h"

#define JAIL_FILTER_NUM_BUILT 3 /* GUEST, VMM and TOOL */
#define JAIL_TABLES_MAX       4 /* the NULL at the end included */

/* Each NULL-terminated. What jail_calls do not name fails with ENOSYS; what jail_refusals do not
 * name they allow. */
extern const struct filter_rule *const jail_calls[JAIL_FILTER_NUM_BUILT][JAIL_TABLES_MAX];
extern const struct filter_rule *const jail_refusals[JAIL_FILTER_NUM_BUILT][JAIL_TABLES_MAX];

#endif
