/*
 * What must be there before a machine may be started. The checks are pure functions from what was
 * seen on the host to one line of `doctor`; looking is apart.
 */
#ifndef BB_BACKEND_SMOLMACHINES_PREFLIGHT_H
#define BB_BACKEND_SMOLMACHINES_PREFLIGHT_H

#include <stdbool.h>

#include "backend/backend.h"

/* The preflight member of struct backend. */
int smolmachines_preflight(bool deep, struct backend_report *ret, struct bb_err *err);

#endif
