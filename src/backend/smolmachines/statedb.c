/*
 * The steps of a patch, in the order that makes it safe: one IMMEDIATE transaction reads the row,
 * checks and changes it; a new connection re-reads it and compares. Journal mode and all other
 * tables are left alone. smolvm's own process may write at any time: what it does to the row after
 * the comparison is caught by the comparison after the start.
 */
#include "backend/smolmachines/statedb.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/smolmachines/vmrow.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#define CONFIG     "agent.config.json"
#define CONFIG_MAX (256 * 1024)

static inline void db_close(sqlite3 **db)
{
	(void)sqlite3_close(*db); /* an open transaction is rolled back */
}
#define AUTO_DB __attribute__((cleanup(db_close)))

static inline void stmt_done(sqlite3_stmt **s)
{
	(void)sqlite3_finalize(*s); /* the failure was seen by step */
}
#define AUTO_STMT __attribute__((cleanup(stmt_done)))

static int db_error(sqlite3 *db, struct bb_err *err, const char *doing)
{
	int code = sqlite3_errcode(db) & 0xff;

	if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		return bb_err_set(err, -EBUSY,
				  "%s: the database is busy: another program holds it; expected it "
				  "to be free",
				  doing);
	return bb_err_set(err, -EIO, "%s: %s", doing, BB_ESCAPED(bb_view_str(sqlite3_errmsg(db))));
}

static int db_open(const char *path, int flags, int busy_ms, sqlite3 **ret, struct bb_err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return bb_err_errno(err, "expected the database file");
	if (!S_ISREG(st.st_mode))
		return bb_err_set(err, -EINVAL, "expected a database file, found something else");
	/* Without CREATE: an empty database would hold no machine, and be taken for smolvm's. */
	if (sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_PRIVATECACHE, NULL) != SQLITE_OK)
		return db_error(*ret, err, "cannot open it");
	(void)sqlite3_busy_timeout(*ret, busy_ms);
	return 0;
}

static int db_exec(sqlite3 *db, const char *sql, struct bb_err *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db, err, sql);
}

/* The row's bytes into out: exactly one row, a BLOB. */
static int read_row(sqlite3 *db, const char *name, struct bb_buf *out, struct bb_err *err)
{
	AUTO_STMT sqlite3_stmt *s = NULL;
	int step, size;

	if (sqlite3_prepare_v2(db, "SELECT data FROM vms WHERE name = ?1", -1, &s, NULL) !=
		    SQLITE_OK ||
	    sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC) != SQLITE_OK)
		return db_error(db, err, "cannot look for the machine's row");
	step = sqlite3_step(s);
	if (step == SQLITE_DONE)
		return bb_err_set(err, -ENOENT, "expected one row for machine '%s', found none",
				  name);
	if (step != SQLITE_ROW)
		return db_error(db, err, "cannot read the machine's row");
	if (sqlite3_column_type(s, 0) != SQLITE_BLOB)
		return bb_err_set(err, BB_E_REFUSED,
				  "row of machine '%s': expected its data to be a BLOB, found "
				  "another type",
				  name);
	size = sqlite3_column_bytes(s, 0);
	if (bb_buf_append(out, sqlite3_column_blob(s, 0), (size_t)size) < 0)
		return bb_err_set(err, -EMSGSIZE,
				  "row of machine '%s': expected at most %d bytes, found %d", name,
				  VMROW_MAX, size);
	if (sqlite3_step(s) != SQLITE_DONE)
		return bb_err_set(err, BB_E_REFUSED,
				  "expected one row for machine '%s', found more", name);
	return 0;
}

static int write_row(sqlite3 *db, const char *name, const struct bb_buf *row, struct bb_err *err)
{
	AUTO_STMT sqlite3_stmt *s = NULL;
	struct bb_view v = bb_buf_peek(row);

	if (sqlite3_prepare_v2(db, "UPDATE vms SET data = ?2 WHERE name = ?1", -1, &s, NULL) !=
		    SQLITE_OK ||
	    sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_blob(s, 2, v.p, (int)v.n, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_DONE)
		return db_error(db, err, "cannot write the machine's row");
	if (sqlite3_changes(db) != 1)
		return bb_err_set(
			err, BB_E_REFUSED,
			"expected the patch to change one row for machine '%s', it changed "
			"%d",
			name, sqlite3_changes(db));
	return 0;
}

static int patch(const char *path, const char *name, const char *cidr, int busy_ms,
		 bool *ret_written, struct bb_err *err)
{
	AUTO_DB sqlite3 *db = NULL;
	BB_AUTO_BUF struct bb_buf old, fresh;
	int r;

	bb_buf_init(&old, VMROW_MAX);
	bb_buf_init(&fresh, VMROW_MAX);
	r = db_open(path, SQLITE_OPEN_READWRITE, busy_ms, &db, err);
	if (r == 0)
		r = db_exec(db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = read_row(db, name, &old, err);
	if (r == 0)
		r = vmrow_patch(bb_buf_peek(&old), name, cidr, &fresh, ret_written, err);
	if (r < 0 || !*ret_written)
		return r; /* closing rolls back */
	r = write_row(db, name, &fresh, err);
	return r < 0 ? r : db_exec(db, "COMMIT", err);
}

int statedb_check(const char *path, const char *name, const char *cidr, const char *socket_guest,
		  int busy_ms, struct bb_err *err)
{
	AUTO_DB sqlite3 *db = NULL;
	BB_AUTO_BUF struct bb_buf row;
	int r;

	bb_buf_init(&row, VMROW_MAX);
	r = db_open(path, SQLITE_OPEN_READWRITE, busy_ms, &db, err);
	if (r == 0)
		r = read_row(db, name, &row, err);
	if (r == 0)
		r = vmrow_check(bb_buf_peek(&row), name, cidr, socket_guest, err);
	return r < 0 ? bb_err_wrap(err, "smolvm's state database '%s'", path) : 0;
}

int force_allowlist(const char *path, const char *name, const char *cidr, int busy_ms,
		    struct statedb_outcome *ret, struct bb_err *err)
{
	bool was_written = false;
	int r = patch(path, name, cidr, busy_ms, &was_written, err);

	if (r < 0)
		return bb_err_wrap(err, "smolvm's state database '%s'", path);
	r = statedb_check(path, name, cidr, NULL, busy_ms, err);
	if (r < 0)
		return bb_err_wrap(err, "the allow-list did not take");
	if (ret != NULL)
		*ret = (struct statedb_outcome){ .was_written = was_written };
	return 0;
}

int statedb_check_effective(const char *data_dir, const char *cidr, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/" CONFIG, data_dir);
	BB_AUTO_BUF struct bb_buf text;
	int r;

	bb_buf_init(&text, CONFIG_MAX);
	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = bb_path_read(path, 1, &text, err);
	return r < 0 ? bb_err_wrap(err, "the machine's effective configuration")
		     : vmrow_check_effective(bb_buf_peek(&text), cidr, err);
}
