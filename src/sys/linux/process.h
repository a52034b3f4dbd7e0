/* Processes held by their pidfd: what spawn.c and the jail share. */
#ifndef BB_SYS_LINUX_PROCESS_H
#define BB_SYS_LINUX_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* fork() with namespace flags and the child's pidfd (close-on-exec) in one step: 0 in the child. In
 * the child only system calls may be made, as after any fork. -1 with errno on failure. */
pid_t process_clone(unsigned long flags, int *ret_pidfd);
/* In the child: every signal to its default, empty mask. */
void process_reset_signals(void);
/* Around process_clone(): no handler of ours runs in the child. */
void process_block_signals(sigset_t *ret_old);
/* Reaps: exit code, 128+n for a signal; -EAGAIN while it runs (when not blocking), -errno. */
int process_wait(int pidfd, bool blocks);
/* Waits until fd is readable: 0, -ETIMEDOUT, -errno. Negative time-out: for ever. */
int process_poll(int fd, int timeout_ms);

#endif
