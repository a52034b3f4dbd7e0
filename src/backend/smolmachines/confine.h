/*
 * What stands between a machine and the network: made between create and start, compared before and
 * after the start. A failure means that the machine must go.
 */
#ifndef BB_BACKEND_SMOLMACHINES_CONFINE_H
#define BB_BACKEND_SMOLMACHINES_CONFINE_H

#include "backend/smolmachines/smolvm.h"
#include "base/err.h"

struct confine_wish {
	const char *machine;
	const char *cidr;         /* the one address, TSI mode; NULL: no network at all */
	const char *socket_guest; /* the one mounted socket, socket mode; else NULL */
};

int confine_before(const struct smolvm *vm, const struct confine_wish *wish, struct bb_err *err);
int confine_after(const struct smolvm *vm, const struct confine_wish *wish, struct bb_err *err);

#endif
