/*
 * For tests only (meson -Dbroken_allowlist=true, refused in a release build): what the first
 * program of this name did on Linux. The machine gets an open network, nothing is patched, nothing
 * is compared. The probe inside the guest must find it; if it does not, it proves nothing.
 */
#include "backend/smolmachines/confine.h"

#include <sqlite3.h>

#include "backend/smolmachines/statedb.h"
#include "base/cleanup.h"

int confine_before(const struct smolvm *vm, const struct confine_wish *wish, struct bb_err *err)
{
	const struct statepath_env env = smolvm_paths(vm);
	BB_AUTO_FREE char *path = statepath_database(&env, err);
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	bool is_open;

	if (path == NULL)
		return BB_E_USAGE;
	is_open = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
		  sqlite3_prepare_v2(db,
				     "UPDATE vms SET data = CAST(json_set(CAST(data AS TEXT), "
				     "'$.network', json('true')) AS BLOB) WHERE name = ?1",
				     -1, &s, NULL) == SQLITE_OK &&
		  sqlite3_bind_text(s, 1, wish->machine, -1, SQLITE_STATIC) == SQLITE_OK &&
		  sqlite3_step(s) == SQLITE_DONE;
	(void)sqlite3_finalize(s);
	(void)sqlite3_close(db);
	return is_open ? 0 : bb_err_set(err, -EIO, "the test build could not open the network");
}

int confine_after(const struct smolvm *vm, const struct confine_wish *wish, struct bb_err *err)
{
	(void)vm;
	(void)wish;
	(void)err;
	return 0;
}
