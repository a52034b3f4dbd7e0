/*
 * backend/smolmachines/statedb.c on real databases, laid out as smolvm's: WAL, BLOB. Each fault is
 * made in the file itself; what is told is read, and the file is looked at afterwards.
 */
#include "../../unit.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/smolmachines/statedb.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "row.h"

#define BUSY_MS 50

static char root[32];
static char *db_path;

static sqlite3 *db_open(void)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 20000);
	return db;
}

static void run_on(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
}

static void run(const char *sql)
{
	sqlite3 *db = db_open();

	run_on(db, sql);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void insert(const char *name, const char *data)
{
	sqlite3 *db = db_open();
	sqlite3_stmt *s = NULL;

	assert_int_equal(
		sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO vms VALUES(?1, ?2)", -1, &s, NULL),
		SQLITE_OK);
	sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(s, 2, data, (int)strlen(data), SQLITE_STATIC);
	assert_int_equal(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
	sqlite3_close(db);
}

/* A one-value query's answer on the heap. */
static char *ask(const char *sql)
{
	sqlite3 *db = db_open();
	sqlite3_stmt *s = NULL;
	char *text;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	text = strdup((const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	sqlite3_close(db);
	return text;
}

static void assert_answer(const char *sql, const char *want)
{
	char *text = ask(sql);

	assert_string_equal(text, want);
	free(text);
}

#define SELECT_CIDRS "SELECT json_extract(CAST(data AS TEXT), '$.allowed_cidrs') FROM vms "

static int set_up(void **state)
{
	sqlite3 *keeps_wal;

	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/bb-statedb-XXXXXX");
	assert_non_null(mkdtemp(root));
	db_path = bb_text_printf("%s/smolvm.db", root);
	keeps_wal = db_open();
	run_on(keeps_wal, "PRAGMA journal_mode=WAL;"
			  "CREATE TABLE vms(name TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL);"
			  "CREATE TABLE config(key TEXT PRIMARY KEY, value TEXT);"
			  "INSERT INTO config VALUES('k', 'v');");
	sqlite3_close(keeps_wal);
	insert("another", "{\"name\":\"another\",\"allowed_cidrs\":null,\"network\":true}");
	insert(ROW_NAME, ROW_FRESH);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(db_path);
	return bb_path_remove_tree(root, NULL);
}

static int force(struct statedb_outcome *ret, struct bb_err *err)
{
	return force_allowlist(db_path, ROW_NAME, ROW_CIDR, BUSY_MS, ret, err);
}

/* Refused with this code and these words, and the row is as it was. */
static void assert_refused(int code, const char *words)
{
	struct statedb_outcome outcome = { .was_written = true };
	struct bb_err err = { 0 };

	assert_error(force(&outcome, &err), code, err);
	if (strstr(err.msg, words) == NULL)
		fail_msg("'%s' is not in: %s", words, err.msg);
	assert_true(outcome.was_written); /* untouched on failure */
}

static void the_patch_is_one_blob_in_the_one_row(void **state)
{
	struct statedb_outcome outcome = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	if (force(&outcome, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(outcome.was_written);
	assert_answer("SELECT group_concat(typeof(data), ' ') FROM vms", "blob blob");
	assert_answer(SELECT_CIDRS "WHERE name = '" ROW_NAME "'", "[\"127.0.0.16/32\"]");
	assert_answer("SELECT json_extract(CAST(data AS TEXT), '$.a_later_member.x[2]') FROM vms "
		      "WHERE name = '" ROW_NAME "'",
		      "9007199254740993");
	/* Nothing else: the other machine, the other table, the journal's mode. */
	assert_answer("SELECT CAST(data AS TEXT) FROM vms WHERE name = 'another'",
		      "{\"name\":\"another\",\"allowed_cidrs\":null,\"network\":true}");
	assert_answer("SELECT count(*) || value FROM config", "1v");
	assert_answer("PRAGMA journal_mode", "wal");
	assert_int_equal(statedb_check(db_path, ROW_NAME, ROW_CIDR, NULL, BUSY_MS, NULL), 0);
}

static void a_row_that_is_right_is_not_written(void **state)
{
	struct statedb_outcome outcome = { .was_written = true };

	(void)state;
	insert(ROW_NAME, ROW_RIGHT);
	run("CREATE TRIGGER t BEFORE UPDATE ON vms BEGIN SELECT RAISE(ABORT, 'written'); END");
	assert_int_equal(force(&outcome, NULL), 0);
	assert_false(outcome.was_written);
	assert_answer("SELECT CAST(data AS TEXT) FROM vms WHERE name = '" ROW_NAME "'", ROW_RIGHT);
}

static void a_second_patch_finds_it_right(void **state)
{
	struct statedb_outcome outcome = { 0 };

	(void)state;
	assert_int_equal(force(&outcome, NULL), 0);
	assert_true(outcome.was_written);
	assert_int_equal(force(&outcome, NULL), 0);
	assert_false(outcome.was_written);
}

static void a_patch_in_the_journal_of_a_living_smolvm_is_seen(void **state)
{
	sqlite3 *other = db_open();

	(void)state;
	run_on(other, "PRAGMA wal_autocheckpoint=0; UPDATE config SET value = 'w'");
	assert_int_equal(force(NULL, NULL), 0);
	sqlite3_close(other);
	assert_answer(SELECT_CIDRS "WHERE name = '" ROW_NAME "'", "[\"127.0.0.16/32\"]");
	assert_answer("SELECT value FROM config", "w");
}

static void a_missing_file_is_not_made(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(unlink(db_path), 0);
	assert_refused(-ENOENT, "expected the database file");
	assert_int_equal(stat(db_path, &st), -1);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
	static const char text[] = "this is not what smolvm writes, by far, not even nearly so";

	(void)state;
	assert_int_equal(bb_path_write_atomic(db_path, text, sizeof(text), 0600, NULL), 0);
	assert_refused(-EIO, "not a database");
	assert_int_equal(unlink(db_path), 0);
	assert_int_equal(mkdir(db_path, 0700), 0);
	assert_refused(-EINVAL, "expected a database file");
}

static void a_missing_table_is_refused(void **state)
{
	(void)state;
	run("DROP TABLE vms");
	assert_refused(-EIO, "no such table: vms");
}

static void a_missing_row_is_refused(void **state)
{
	(void)state;
	run("DELETE FROM vms WHERE name = '" ROW_NAME "'");
	assert_refused(-ENOENT, "expected one row for machine '" ROW_NAME "', found none");
}

static void two_rows_are_refused(void **state)
{
	(void)state;
	run("DROP TABLE vms; CREATE TABLE vms(name TEXT, data BLOB)");
	insert(ROW_NAME, ROW_FRESH);
	insert(ROW_NAME, ROW_FRESH);
	assert_refused(BB_E_REFUSED, "found more");
}

static void text_instead_of_a_blob_is_refused(void **state)
{
	(void)state;
	run("UPDATE vms SET data = CAST(data AS TEXT) WHERE name = '" ROW_NAME "'");
	assert_refused(BB_E_REFUSED, "expected its data to be a BLOB");
	assert_answer("SELECT typeof(data) FROM vms WHERE name = '" ROW_NAME "'", "text");
}

static void what_the_row_says_is_refused_with_its_words(void **state)
{
	(void)state;
	insert(ROW_NAME, ROW("\"created\"", "null", "true", "null", ""));
	assert_refused(BB_E_REFUSED, "network: expected false, found true");
	insert(ROW_NAME,
	       ROW("\"created\"", "null", "false", "[\"127.0.0.16/32\",\"10.0.0.1/32\"]", ""));
	assert_refused(BB_E_REFUSED, "nothing else, found [\"127.0.0.16/32\",\"10.0.0.1/32\"]");
	insert(ROW_NAME, ROW("\"created\"", "null", "false", "[\"10.0.0.1/32\"]", ""));
	assert_refused(BB_E_REFUSED, "found [\"10.0.0.1/32\"]");
	insert(ROW_NAME, "{\"name\":\"" ROW_NAME "\",\"state\":\"created\",\"network\":false}");
	assert_refused(BB_E_REFUSED, "allowed_cidrs: expected null or a list, found nothing");
	insert(ROW_NAME, "not json");
	assert_refused(BB_E_REFUSED, "expected a JSON object");
	assert_answer("SELECT CAST(data AS TEXT) FROM vms WHERE name = '" ROW_NAME "'", "not json");
}

static void a_huge_row_is_refused(void **state)
{
	(void)state;
	run("UPDATE vms SET data = zeroblob(2000000) WHERE name = '" ROW_NAME "'");
	assert_refused(-EMSGSIZE, "found 2000000");
}

static void a_busy_database_is_refused(void **state)
{
	sqlite3 *other = db_open();

	(void)state;
	run_on(other, "BEGIN IMMEDIATE");
	assert_refused(-EBUSY, "the database is busy");
	run_on(other, "ROLLBACK");
	sqlite3_close(other);
	assert_int_equal(force(NULL, NULL), 0);
}

static void a_patch_that_changes_no_row_is_refused(void **state)
{
	(void)state;
	run("CREATE TRIGGER t BEFORE UPDATE ON vms BEGIN SELECT RAISE(IGNORE); END");
	assert_refused(BB_E_REFUSED, "it changed 0");
	assert_answer("SELECT CAST(data AS TEXT) FROM vms WHERE name = '" ROW_NAME "'", ROW_FRESH);
}

/* Somebody writes an old copy back: smolvm's own stop does so. */
static void a_patch_that_did_not_take_is_found_by_the_second_look(void **state)
{
	(void)state;
	run("CREATE TABLE old AS SELECT name, data FROM vms;"
	    "CREATE TRIGGER t AFTER UPDATE ON vms WHEN new.data <> "
	    "(SELECT data FROM old WHERE name = new.name) BEGIN UPDATE vms SET data = "
	    "(SELECT data FROM old WHERE name = new.name) WHERE name = new.name; END");
	assert_refused(BB_E_REFUSED, "the allow-list did not take");
	assert_refused(BB_E_REFUSED, "expected [\"127.0.0.16/32\"] and nothing else, found null");
}

/* A second process that keeps writing whole rows, as smolvm does, one of them with another list:
 * whatever the order, the answer is right about what the file then says or refuses. */
static void a_lost_race_never_ends_in_a_yes(void **state)
{
	pid_t child = fork();
	size_t wins = 0, losses = 0;
	int status = 0;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		for (int i = 0; i < 200; i++) {
			insert(ROW_NAME, ROW_FRESH);
			insert(ROW_NAME,
			       ROW("\"created\"", "null", "false", "[\"0.0.0.0/0\"]", ""));
		}
		insert(ROW_NAME, ROW("\"created\"", "null", "false", "[\"0.0.0.0/0\"]", ""));
		_exit(0);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		if (force_allowlist(db_path, ROW_NAME, ROW_CIDR, 2000, NULL, NULL) == 0)
			wins++;
		else
			losses++;
	}
	assert_int_equal(status, 0);
	assert_refused(BB_E_REFUSED, "found [\"0.0.0.0/0\"]");
	print_message("%zu patches were confirmed, %zu refused\n", wins, losses);
}

static void the_check_needs_the_row_too(void **state)
{
	struct bb_err err = { 0 };

	(void)state;
	assert_error(statedb_check(db_path, ROW_NAME, ROW_CIDR, NULL, BUSY_MS, &err), BB_E_REFUSED,
		     err);
	assert_error(statedb_check(db_path, "nobody", ROW_CIDR, NULL, BUSY_MS, &err), -ENOENT, err);
	assert_int_equal(statedb_check(db_path, ROW_NAME, NULL, NULL, BUSY_MS, NULL), 0);
}

static void the_effective_configuration_is_read_from_the_machines_directory(void **state)
{
	static const char text[] = "{\"version\":1,\"ports\":[],\"resources\":{\"network\":false,"
				   "\"allowed_cidrs\":[\"127.0.0.16/32\"]}}";
	char *path = bb_text_printf("%s/agent.config.json", root);
	struct bb_err err = { 0 };

	(void)state;
	assert_error(statedb_check_effective(root, ROW_CIDR, &err), -ENOENT, err);
	assert_int_equal(bb_path_write_atomic(path, text, strlen(text), 0600, NULL), 0);
	assert_int_equal(statedb_check_effective(root, ROW_CIDR, NULL), 0);
	assert_error(statedb_check_effective(root, "127.0.0.17/32", &err), BB_E_REFUSED, err);
	free(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_patch_is_one_blob_in_the_one_row),
		TEST(a_row_that_is_right_is_not_written),
		TEST(a_second_patch_finds_it_right),
		TEST(a_patch_in_the_journal_of_a_living_smolvm_is_seen),
		TEST(a_missing_file_is_not_made),
		TEST(a_file_that_is_no_database_is_refused),
		TEST(a_missing_table_is_refused),
		TEST(a_missing_row_is_refused),
		TEST(two_rows_are_refused),
		TEST(text_instead_of_a_blob_is_refused),
		TEST(what_the_row_says_is_refused_with_its_words),
		TEST(a_huge_row_is_refused),
		TEST(a_busy_database_is_refused),
		TEST(a_patch_that_changes_no_row_is_refused),
		TEST(a_patch_that_did_not_take_is_found_by_the_second_look),
		TEST(a_lost_race_never_ends_in_a_yes),
		TEST(the_check_needs_the_row_too),
		TEST(the_effective_configuration_is_read_from_the_machines_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
