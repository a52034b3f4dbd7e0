/*
 * Attacks on a bottle, one function each, as data. An attack says what happened: 0, it succeeded;
 * else the errno that refused it. The same list runs with no defence, with one defence, and in a
 * whole bottle, so that a refusal can be told from an attack that never works.
 */
#ifndef BB_TESTS_ESCAPE_ATTACKS_H
#define BB_TESTS_ESCAPE_ATTACKS_H

#include <stdbool.h>
#include <stddef.h>

/* What the attacked host has that a bottle must not reach; handed over in the environment. */
#define MARKER_NAME "escape-marker"

enum attack_defence {
	BY_FILTER, /* seccomp refuses it even to a process with all capabilities */
	BY_JAIL,   /* namespaces, mounts, ids or capabilities do */
};

enum attack_control {
	CONTROL_ISOLATED, /* succeeds for root of a fresh user, mount, net, ipc and uts namespace */
	CONTROL_PLAIN,    /* succeeds for the caller as it is */
	CONTROL_ROOT,     /* succeeds for the host's root only */
	CONTROL_NONE,     /* cannot be let succeed (why is said at the attack) */
};

struct attack {
	const char *name;
	int (*run)(void);
	enum attack_defence defence;
	enum attack_control control;
};

extern const struct attack attacks[];
extern const size_t attack_count;

/* What legitimately works in a bottle: 0, or the errno. */
struct deed {
	const char *name;
	int (*run)(void);
};
extern const struct deed deeds[];
extern const size_t deed_count;

#endif
