/*
 * What is left of a machine when one of smolvm's commands was killed half way: a process that runs
 * and of which no row speaks yet (`start`), a directory without a row (`create`).
 */
#ifndef BB_BACKEND_SMOLMACHINES_VMDIR_H
#define BB_BACKEND_SMOLMACHINES_VMDIR_H

#include "base/err.h"

/* Kills the machine processes that belong to this directory: named as smolvm names them ("libkrun
 * VM", "VM:..."; "_boot-vm" before that), and with the directory in their arguments or their number
 * in its agent.pid. Returns how many there were, or BB_E_DEADLINE when one does not die. */
int vmdir_end_processes(const char *dir, struct bb_err *err);

/* Removes the directory when the file `name` in it says that it is this machine's. Missing, or
 * somebody else's: success. */
int vmdir_discard(const char *dir, const char *machine, struct bb_err *err);

#endif
