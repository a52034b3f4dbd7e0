/* See confine.h. What a test build breaks to see the probe catch it is this file
 * (confine_broken.c).
 */
#include "backend/smolmachines/confine.h"

#include <pwd.h>

#include "backend/smolmachines/statedb.h"
#include "base/cleanup.h"

static char *database(const struct smolvm *vm, struct bb_err *err)
{
	const struct passwd *pw = getpwuid(getuid());
	const struct statedb_env env = {
		.os = STATEDB_HERE,
		.home = smolvm_variable(vm, "HOME"),
		.xdg_data_home = smolvm_variable(vm, "XDG_DATA_HOME"),
		.passwd_home = pw == NULL ? NULL : pw->pw_dir,
	};

	return statedb_path(&env, err);
}

int confine_before(const struct smolvm *vm, const struct confine_wish *wish, struct bb_err *err)
{
	BB_AUTO_FREE char *path = database(vm, err);

	if (path == NULL)
		return BB_E_USAGE;
	if (wish->cidr != NULL)
		return force_allowlist(path, wish->machine, wish->cidr, STATEDB_BUSY_MS, NULL, err);
	return statedb_check(path, wish->machine, NULL, wish->socket_guest, STATEDB_BUSY_MS, err);
}

int confine_after(const struct smolvm *vm, const struct confine_wish *wish, struct bb_err *err)
{
	BB_AUTO_FREE char *path = database(vm, err);
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
