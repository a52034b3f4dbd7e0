/*
 * The rows that tables of system calls are written in (jail_calls.c, sandbox_calls.c; no other file
 * includes this: the names are short). An argument is compared in 64 bits: where the kernel looks
 * at 32 of an int, an upper half that is not zero only makes a call fail that would have been
 * allowed. A refusal has to look at the lower half alone (REFUSE_INT), or it would be passed by.
 */
#ifndef BB_SYS_LINUX_FILTER_ROWS_H
#define BB_SYS_LINUX_FILTER_ROWS_H

#include "sys/linux/filter.h"

#define WHEN_EQ(index, number)                                                    \
	{                                                                         \
		.arg = (index), .compare = FILTER_EQ, .value = (uint64_t)(number) \
	}
#define WHEN_BITS(index, bits, number)                                            \
	{                                                                         \
		.arg = (index), .compare = FILTER_BITS, .mask = (uint64_t)(bits), \
		.value = (uint64_t)(number)                                       \
	}

#define ALLOW(name)                                     \
	{                                               \
		.call = (name), .verdict = FILTER_ALLOW \
	}
#define ALLOW_ARG(name, index, number)                                                       \
	{                                                                                    \
		.call = (name), .verdict = FILTER_ALLOW, .when = { WHEN_EQ(index, number) }, \
	}
#define ALLOW_BITS(name, index, bits, number)               \
	{                                                   \
		.call = (name), .verdict = FILTER_ALLOW,    \
		.when = { WHEN_BITS(index, bits, number) }, \
	}
/* The type without SOCK_CLOEXEC and SOCK_NONBLOCK. */
#define ALLOW_SOCKET(family, type)                                       \
	{                                                                \
		.call = "socket", .verdict = FILTER_ALLOW,               \
		.when = { WHEN_EQ(0, family), WHEN_BITS(1, 0xf, type) }, \
	}
#define REFUSE(name, number)                                               \
	{                                                                  \
		.call = (name), .verdict = FILTER_ERRNO, .error = (number) \
	}
#define REFUSE_BITS(name, index, bits, number, errno_number)                      \
	{                                                                         \
		.call = (name), .verdict = FILTER_ERRNO, .error = (errno_number), \
		.when = { WHEN_BITS(index, bits, number) },                       \
	}
#define REFUSE_INT(name, index, number, errno_number) \
	REFUSE_BITS(name, index, 0xffffffffULL, number, errno_number)
#define REFUSE_FLAG(name, index, flag) REFUSE_BITS(name, index, flag, flag, EPERM)
#define KILL(name)                                     \
	{                                              \
		.call = (name), .verdict = FILTER_KILL \
	}
#define ASK(name)                                        \
	{                                                \
		.call = (name), .verdict = FILTER_NOTIFY \
	}
#define END                  \
	{                    \
		.call = NULL \
	}

#endif
