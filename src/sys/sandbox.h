/*
 * What confines a role after its start. Two calls, in this order:
 *
 *   sandbox_early()  at the top of main(): undumpable, no core, no new privileges, PDEATHSIG (and
 * check that the parent still lives), descriptors above `keep_fds` closed, ambient and inheritable
 * capabilities emptied. Must not yet: restrict calls the set-up needs. sandbox_lock()   after the
 * last descriptor was handed out: all capabilities dropped, Landlock to nothing (or the few
 * read-only paths a profile names), seccomp allow-list of the profile. After it: no open, no exec,
 * no new socket except what the profile says.
 *
 * Fail closed: what a kernel cannot do (Landlock before 5.13) is compensated where a profile says
 * so or is an error. Sanitizer builds get a wider seccomp list; the release list is proved by
 * tests/escape.
 */
#ifndef BB_SYS_SANDBOX_H
#define BB_SYS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum sandbox_profile {
	SANDBOX_CHANNEL, /* read, write, poll; AF_UNIX socketpair; sendmsg/recvmsg with descriptors
			  */
	SANDBOX_EGRESS, /* as channel without socketpair; getrandom; mlock; no socket, no connect */
	SANDBOX_DIALLER,  /* adds socket/connect/getsockopt for AF_INET, AF_INET6 (TCP, and UDP for
			   * DNS); may  read /etc/resolv.conf and /etc/hosts through Landlock */
	SANDBOX_RECORDER, /* write, fdatasync */
	SANDBOX_MONITOR,  /* once all parts and the guest are started: files, AF_UNIX, signals; no
			   * exec, no fork, no namespaces (its filter would be inherited) */
	SANDBOX_ARCHIVE, /* pack or unpack below one directory given as a descriptor; Landlock to it
			  */
	SANDBOX_CHANNEL_ACCEPT, /* as channel, and accept: only when it was given a listener */
	SANDBOX_EGRESS_ACCEPT,  /* as egress, and accept: the same */
};
#define SANDBOX_NUM_PROFILES 8

int sandbox_early(int keep_fds, struct bb_err *err);
/* dir_fd: the directory SANDBOX_ARCHIVE may use, else -1. */
int sandbox_lock(enum sandbox_profile profile, int dir_fd, struct bb_err *err);

/* What a tool may reach: an open directory with all below it, or one file. */
struct sandbox_tree {
	int fd; /* borrowed */
	bool may_write;
};
#define SANDBOX_TREES_MAX 8

/*
 * For a process that executes a program of the host (git) over bytes that a guest wrote. From here
 * on it and whatever it starts reach: the host's programs and libraries, to read and to execute;
 * `trees`; /dev/null and /dev/urandom. No socket can be made, nobody else be signalled or traced,
 * no capability come back, no file of `trees` be executed. Needs Landlock.
 */
int sandbox_lock_tool(const struct sandbox_tree *trees, size_t count, struct bb_err *err);

#endif
