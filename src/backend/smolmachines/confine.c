/* See confine.h. */
#include "backend/smolmachines/confine.h"

#include "backend/smolmachines/statedb.h"
#include "base/cleanup.h"

int confine_before(const struct smolvm *vm, const struct confine_wish *wish, struct bb_err *err)
{
	const struct statepath_env env = smolvm_paths(vm);
	BB_AUTO_FREE char *path = statepath_database(&env, err);

	if (path == NULL)
		return BB_E_USAGE;
	if (wish->cidr != NULL)
		return force_allowlist(path, wish->machine, wish->cidr, STATEDB_BUSY_MS, NULL, err);
	return statedb_check(path, wish->machine, NULL, wish->socket_guest, STATEDB_BUSY_MS, err);
}

int confine_after(const struct smolvm *vm, const struct confine_wish *wish, struct bb_err *err)
{
	const struct statepath_env env = smolvm_paths(vm);
	BB_AUTO_FREE char *path = statepath_database(&env, err);
	BB_AUTO_FREE char *dir = NULL;
	int r;

	if (path == NULL)
		return BB_E_USAGE;
	r = statedb_check(path, wish->machine, wish->cidr, wish->socket_guest, STATEDB_BUSY_MS,
			  err);
	if (r == 0)
		r = smolvm_data_dir(vm, wish->machine, &dir, err);
	if (r == 0)
		r = statedb_check_effective(dir, wish->cidr, err);
	return r < 0 ? bb_err_wrap(err, "machine '%s' was started otherwise than asked",
				   wish->machine)
		     : 0;
}
