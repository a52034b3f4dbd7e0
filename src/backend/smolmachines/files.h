/* What a machine is made from: the image's archive, and what smolvm makes of it. */
#ifndef BB_BACKEND_SMOLMACHINES_FILES_H
#define BB_BACKEND_SMOLMACHINES_FILES_H

#include "backend/smolmachines/keeper.h"
#include "backend/smolmachines/smolvm.h"

/* Fills in plan->archive, and plan->pack in TSI mode. May take long. BB_E_MISSING with what to
 * build. */
int files_find(const struct smolvm *vm, struct keeper_plan *plan, struct bb_err *err);

#endif
