/* Booting a microVM: from the kernel's empty root to the open stream. */
#ifndef BB_GUEST_BOOT_H
#define BB_GUEST_BOOT_H

#include "base/err.h"

/* Mounts, modules, disks, root, network, and the port to the host. 0 and *ret_fd, or the step that
 * failed: the caller says it on the console and calls boot_end(). Never hangs: every wait has a
 * limit. */
int boot_machine(int *ret_fd, struct bb_err *err);
/* The directory in which the machine's changes to its image are, borrowed; -1 where boot_machine()
 * did not run. */
int boot_changes(void);
/* Ends the machine: reboot, which with -no-reboot is the end of QEMU. */
_Noreturn void boot_end(void);

#endif
