/*
 * All filters, compiled when bot-bottle is built (generate_filters.c): compiling one takes a
 * millisecond or more, every start of a bottle needs six, and a role need not carry the compiler.
 */
#ifndef BB_SYS_LINUX_FILTERS_H
#define BB_SYS_LINUX_FILTERS_H

#include "sys/linux/filter.h"
#include "sys/linux/jail_calls.h"
#include "sys/sandbox.h"

extern const struct filter_program filters_sandbox[SANDBOX_NUM_PROFILES];
/* Refuses every open: for a profile that needs a Landlock that is not there. */
extern const struct filter_program filters_no_open;
extern const struct filter_program filters_jail_calls[JAIL_FILTER_NUM_BUILT];
extern const struct filter_program filters_jail_refusals[JAIL_FILTER_NUM_BUILT];

#endif
