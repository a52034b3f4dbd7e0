/* What must be there before a microVM may be tried. */
#ifndef BB_BACKEND_MICROVM_PREFLIGHT_H
#define BB_BACKEND_MICROVM_PREFLIGHT_H

#include "backend/backend.h"

/* The preflight member of struct backend. */
int microvm_preflight(bool deep, struct backend_report *ret, struct bb_err *err);

#endif
