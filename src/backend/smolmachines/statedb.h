/*
 * smolvm's state database: the one place where the policy of a machine can be set (0.8.x has no
 * working flag for it) and can be read back (no smolvm shows it). The database is smolvm's: one row
 * is read and one member of it is changed, in one transaction, nothing else.
 *
 * Everything fails closed: what is missing, of another type, busy or different is an error that
 * says what was expected and what was found. The caller deletes the machine then.
 */
#ifndef BB_BACKEND_SMOLMACHINES_STATEDB_H
#define BB_BACKEND_SMOLMACHINES_STATEDB_H

#include <stdbool.h>

#include "base/err.h"

struct statedb_outcome {
	bool was_written; /* false: it was right already */
};

/*
 * Makes allowed_cidrs of machine `name` exactly ["<cidr>"], every other member kept, network as it
 * is; then re-reads on a new connection and compares. cidr must be one loopback /32. ret may be
 * NULL. busy_ms: how long to wait for smolvm's own transactions.
 */
int force_allowlist(const char *path, const char *name, const char *cidr, int busy_ms,
		    struct statedb_outcome *ret, struct bb_err *err);
#define STATEDB_BUSY_MS 15000 /* smolvm's own */

/* The row says exactly: network false, allowed_cidrs ["<cidr>"] (cidr NULL: null or absent, and no
 * ports, no host names, and of sockets only `socket_guest`). For machines that are stopped or
 * running. */
int statedb_check(const char *path, const char *name, const char *cidr, const char *socket_guest,
		  int busy_ms, struct bb_err *err);

/* The effective configuration, <data-dir>/agent.config.json, which smolvm writes at start: the same
 * comparison. cidr NULL: allowed_cidrs must be null or absent. */
int statedb_check_effective(const char *data_dir, const char *cidr, struct bb_err *err);

#endif
