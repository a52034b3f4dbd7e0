/*
 * A network namespace for programs that are not ours: what they dial and what they listen on ends
 * in it, whatever they or we get wrong. Nothing is in it but loopback, on which all of 127/8
 * answers.
 */
#ifndef BB_SYS_NETNS_H
#define BB_SYS_NETNS_H

#include "base/err.h"

/*
 * Moves the calling process, which must have one thread, into a new network namespace whose lo is
 * up; its later children are in it too. Files, HOME, /dev/kvm and the supplementary groups stay
 * what they are.
 *
 * Root: nothing else changes. Ordinary user: a user namespace comes with it. Where newuidmap and a
 * subuid range exist it has 65536 ids, and the caller is 0 in it; else it has the caller's own id
 * alone, unchanged. Must come before PR_SET_NO_NEW_PRIVS for the former. The process itself keeps
 * the capabilities of a new user namespace until it executes something.
 *
 * BB_E_MISSING with one sentence on what to allow where the host forbids it.
 */
int netns_enter(struct bb_err *err);
/* Whether netns_enter() would succeed, proved in a child; changes nothing. */
int netns_probe(struct bb_err *err);

#endif
