/*
 * What macOS has to be asked before a virtual machine may be confined on it. The programs are run
 * by an injected runner, so the argument lists and the reading of answers are compiled and tested
 * on every system; only a Mac shows what the programs really answer (docs/macos.md).
 */
#ifndef BB_SYS_DARWIN_HOST_H
#define BB_SYS_DARWIN_HOST_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Runs one program to its end; standard output is appended to out. Exit code, or negative. */
struct darwin_runner {
	int (*run)(void *arg, char *const *argv, struct bb_buf *out, struct bb_err *err);
	void *arg;
};

/* 0 when the processor and the system can run virtual machines, BB_E_MISSING with what to do, or
 * another error when that cannot be found out. */
int darwin_check_hypervisor(const struct darwin_runner *runner, struct bb_err *err);

/* A program that listens where a guest confined to one loopback address could reach it. */
struct darwin_listener {
	char program[64]; /* as the system names it, escaped */
	uint32_t pid;
	uint16_t port;
	bool is_wildcard; /* on all addresses; else on the guest's one */
};
#define DARWIN_LISTENERS_MAX 256

/*
 * The TCP listeners that answer on address ("127.0.0.16"), at most DARWIN_LISTENERS_MAX into ret;
 * their number, or negative. There is no network namespace to hide them from the guest: the
 * operator is shown the list and asked. BB_E_LIMIT when there are more than can be shown: not
 * asked, refused.
 */
int darwin_listeners(const struct darwin_runner *runner, const char *address,
		     struct darwin_listener ret[DARWIN_LISTENERS_MAX], struct bb_err *err);

#endif
