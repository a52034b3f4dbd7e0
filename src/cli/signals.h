/* Signals of the operator as a descriptor, so that every wait can end on Ctrl-C and undo its work.
 */
#ifndef BB_CLI_SIGNALS_H
#define BB_CLI_SIGNALS_H

#include "base/err.h"

/* From here on SIGINT, SIGTERM, SIGHUP and SIGWINCH no longer interrupt; the descriptor (the
 * process's own, never closed) becomes readable instead. Child processes must be started through
 * sys/spawn.h, which gives them an empty mask. */
int cli_signals_open(struct bb_err *err);
/* The descriptor, or -1 before cli_signals_open(). */
int cli_signals_fd(void);
/* The next pending signal, or 0. */
int cli_signals_next(void);
/* Waits for events on fd, at most timeout_ms (-1: for ever). 1; 0 at the time-out; -EINTR with a
 * sentence when the operator interrupts (SIGWINCH is passed over). */
int cli_signals_wait(int fd, short events, int timeout_ms, struct bb_err *err);

#endif
