/*
 * A keeper that confines nothing; never installed. It does what the first program of this name did
 * on Linux: the machine gets an open network, nothing is patched, nothing is compared. The probe
 * inside the guest must find it; if it does not, the probe proves nothing.
 */
#include <sqlite3.h>

#include "backend/smolmachines/confine.h"
#include "backend/smolmachines/statedb.h"
#include "base/cleanup.h"

int __wrap_confine_before(const struct smolvm *vm, const struct confine_wish *wish,
			  struct bb_err *err);
int __wrap_confine_after(const struct smolvm *vm, const struct confine_wish *wish,
			 struct bb_err *err);

int __wrap_confine_before(const struct smolvm *vm, const struct confine_wish *wish,
			  struct bb_err *err)
{
	static const char sql[] = "UPDATE vms SET data = CAST(json_set(CAST(data AS TEXT), "
				  "'$.network', json('true')) AS BLOB) WHERE name = ?1";
	const struct statepath_env env = smolvm_paths(vm);
	BB_AUTO_FREE char *path = statepath_database(&env, err);
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	bool is_open;

	if (path == NULL)
		return BB_E_USAGE;
	is_open = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
		  sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK &&
		  sqlite3_bind_text(s, 1, wish->machine, -1, SQLITE_STATIC) == SQLITE_OK &&
		  sqlite3_step(s) == SQLITE_DONE && sqlite3_changes(db) == 1;
	(void)sqlite3_finalize(s);
	(void)sqlite3_close(db);
	return is_open ? 0 : bb_err_set(err, -EIO, "the test's keeper could not open the network");
}

int __wrap_confine_after(const struct smolvm *vm, const struct confine_wish *wish,
			 struct bb_err *err)
{
	(void)vm;
	(void)wish;
	(void)err;
	return 0;
}
