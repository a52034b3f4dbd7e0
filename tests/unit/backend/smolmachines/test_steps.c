/* backend/smolmachines/steps_*.c: each step alone, with what it takes, gives, and gives back. */
#include "../../unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backend/smolmachines/steps.h"
#include "base/cleanup.h"
#include "base/tlv.h"
#include "fake.h"
#include "ipc/ipc.h"
#include "ipc/messages.h"
#include "row.h"

static char identity[] = "claude-ab12c";
static char pack[] = "/cache/p.smolmachine", archive[] = "/cache/image.tar";
static char *records, *aliases, *run_dir;
static struct keeper_plan plan;
static const struct smol_resources no_resources = SMOL_RESOURCES_NONE;

static int set_up_as(void **state, const char *version)
{
	int r = fake_setup(state);
	char *says = bb_text_printf("echo smolvm %s", version);

	smolvm_done(&fake_vm);
	fake_does("--version", says);
	free(says);
	assert_int_equal(smolvm_open(fake_getenv, &fake_vm, NULL), 0);
	records = fake_path("records");
	aliases = fake_path("aliases");
	run_dir = fake_path("run");
	assert_int_equal(bb_path_mkdirs(run_dir, 0700, NULL), 0);
	plan = (struct keeper_plan){ .identity = identity,
				     .run_dir = run_dir,
				     .archive = archive,
				     .pack = pack,
				     .resources = { .cpus = 2,
						    .memory_bytes = 1ULL << 30,
						    .disk_bytes = 1ULL << 30,
						    .pids = 100 } };
	return r;
}

static int set_up_tsi(void **state)
{
	return set_up_as(state, "0.8.1");
}

static int set_up_socket(void **state)
{
	return set_up_as(state, "1.8.0");
}

static int tear_down(void **state)
{
	free(records);
	free(aliases);
	free(run_dir);
	return fake_teardown(state);
}

static int allocate(struct smol_resources *r, struct bb_err *err)
{
	const struct smol_dirs dirs = { records, aliases };

	return smol_step_allocate(&fake_vm, &plan, &dirs, r, err);
}

static bool is_there(const char *name)
{
	char *path = fake_path(name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* --- allocate --- */

static void tsi_mode_allocates_address_and_credentials(void **state)
{
	static const uint8_t none[BACKEND_CREDENTIAL];
	struct smol_resources a = no_resources, b = no_resources;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(allocate(&a, NULL), 0);
	assert_string_equal(a.machine, ROW_NAME);
	assert_string_equal(a.alias.cidr, ROW_CIDR);
	assert_null(a.socket_path);
	assert_memory_not_equal(a.credential, none, sizeof(none));
	assert_int_equal(strlen(a.password), SMOL_PASSWORD_CHARS);
	assert_int_equal(strspn(a.password, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					    "0123456789-_"),
			 SMOL_PASSWORD_CHARS);
	assert_true(is_there("records/" ROW_NAME));
	/* The same bottle twice cannot be; what the second took is given back. */
	assert_error(allocate(&b, &err), -EBUSY, err);
	smol_release_resources(&b, true);
	assert_true(is_there("records/" ROW_NAME));
	smol_release_resources(&a, true);
	assert_false(is_there("records/" ROW_NAME));
	assert_memory_equal(a.credential, none, sizeof(none));
	smol_release_resources(&a, true); /* twice is fine */
	assert_int_equal(allocate(&b, NULL), 0);
	assert_string_equal(b.alias.address, "127.0.0.16");
	smol_release_resources(&b, true);
}

static void two_bottles_share_no_secret(void **state)
{
	struct smol_resources a = no_resources, b = no_resources;
	char other[] = "claude-zz999";

	(void)state;
	assert_int_equal(allocate(&a, NULL), 0);
	plan.identity = other;
	assert_int_equal(allocate(&b, NULL), 0);
	assert_memory_not_equal(a.credential, b.credential, sizeof(a.credential));
	assert_string_not_equal(a.password, b.password);
	assert_string_not_equal(a.alias.address, b.alias.address);
	smol_release_resources(&a, true);
	smol_release_resources(&b, true);
}

static void a_full_pool_takes_no_record_with_it(void **state)
{
	struct loopback_alias all[ALIAS_POOL];
	struct smol_resources a = no_resources;
	struct bb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ALIAS_POOL; i++)
		assert_int_equal(loopback_allocate(aliases, "holder", &all[i], NULL), 0);
	assert_error(allocate(&a, &err), BB_E_LIMIT, err);
	assert_non_null(strstr(err.msg, "pool of loopback addresses is full"));
	smol_release_resources(&a, true);
	assert_false(is_there("records/" ROW_NAME));
	for (size_t i = 0; i < ALIAS_POOL; i++)
		loopback_release(&all[i]);
}

static void socket_mode_allocates_a_path(void **state)
{
	struct smol_resources a = no_resources;
	char *want = fake_path("run/stream.sock");

	(void)state;
	assert_int_equal(allocate(&a, NULL), 0);
	assert_string_equal(a.socket_path, want);
	assert_int_equal(a.alias.lock_fd, -1);
	assert_int_equal(a.password[0], '\0');
	assert_false(is_there("aliases"));
	smol_release_resources(&a, false);
	assert_true(is_there("records/" ROW_NAME)); /* its machine may be there still */
	free(want);
}

static void a_path_too_long_for_a_socket_is_refused(void **state)
{
	struct smol_resources a = no_resources;
	struct bb_err err = { 0 };
	char longest[128];

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	plan.run_dir = longest;
	assert_error(allocate(&a, &err), -ENAMETOOLONG, err);
	smol_release_resources(&a, true);
}

/* --- mint --- */

#define CERTIFICATE "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define KEY         "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"

static int mint(const char *pem, uint16_t type, struct smol_certificate *c, struct bb_err *err)
{
	struct bb_buf body = { .cap = 4096 };
	int pair[2], r;

	assert_int_equal(ipc_pair(pair), 0);
	if (pem != NULL) {
		assert_int_equal(bb_tlv_put_view(&body, 1, bb_view_str(pem)), 0);
		assert_int_equal(ipc_send(pair[1], type, 0, bb_buf_peek(&body), NULL, 0), 0);
	}
	bb_buf_done(&body);
	if (pem == NULL)
		(void)close(pair[1]);
	r = smol_step_mint(pair[0], 2000, c, err);
	(void)close(pair[0]);
	if (pem != NULL)
		(void)close(pair[1]);
	return r;
}

static void only_the_public_certificate_is_taken(void **state)
{
	struct smol_certificate c = SMOL_CERTIFICATE_NONE;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(mint(CERTIFICATE, IPC_KEEPER_MINTED, &c, NULL), 0);
	assert_string_equal(c.pem, CERTIFICATE);
	smol_release_certificate(&c);
	smol_release_certificate(&c);
	assert_error(mint(CERTIFICATE KEY, IPC_KEEPER_MINTED, &c, &err), -EPROTO, err);
	assert_non_null(strstr(err.msg, "private key"));
	assert_error(mint(KEY, IPC_KEEPER_MINTED, &c, &err), -EPROTO, err);
	assert_error(mint(CERTIFICATE CERTIFICATE, IPC_KEEPER_MINTED, &c, &err), -EPROTO, err);
	assert_error(mint("", IPC_KEEPER_MINTED, &c, &err), -EPROTO, err);
	assert_error(mint(CERTIFICATE, IPC_KEEPER_LAUNCH, &c, &err), -EPROTO, err);
	assert_null(c.pem);
}

static void a_launch_given_up_ends_the_waiting(void **state)
{
	struct smol_certificate c = SMOL_CERTIFICATE_NONE;
	struct bb_err err = { 0 };
	int pair[2];

	(void)state;
	assert_error(mint(NULL, 0, &c, &err), -ECANCELED, err);
	assert_int_equal(ipc_pair(pair), 0);
	assert_error(smol_step_mint(pair[0], 20, &c, &err), BB_E_DEADLINE, err);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* --- bundle, discover --- */

static int entered;

static int enter(struct bb_err *err)
{
	(void)err;
	entered++;
	return 0;
}

static int enter_forbidden(struct bb_err *err)
{
	return bb_err_set(err, BB_E_MISSING, "user namespaces are forbidden here");
}

static struct sockaddr_in address_of(int fd)
{
	struct sockaddr_in a = { 0 };
	socklen_t n = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&a, &n), 0);
	assert_int_equal(a.sin_family, AF_INET);
	return a;
}

static void tsi_mode_listens_on_its_address_in_a_namespace(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_bundle b = SMOL_BUNDLE_NONE;
	struct smol_urls u = { 0 };
	struct sockaddr_in stream, proxy, canary;
	char want[256];

	(void)state;
	entered = 0;
	assert_int_equal(allocate(&r, NULL), 0);
	assert_int_equal(smol_step_bundle(SMOLVM_TSI, &r, enter, &b, NULL), 0);
	assert_int_equal(entered, 1);
	stream = address_of(b.stream_fd);
	proxy = address_of(b.proxy_fd);
	canary = address_of(b.canary_fd);
	assert_int_equal(ntohl(stream.sin_addr.s_addr), 0x7f000010);
	assert_int_equal(ntohl(proxy.sin_addr.s_addr), 0x7f000010);
	assert_int_equal(ntohl(canary.sin_addr.s_addr), 0x7f00001f);
	assert_int_not_equal(stream.sin_port, proxy.sin_port);
	assert_true((fcntl(b.stream_fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(b.stream_fd, F_GETFD) & FD_CLOEXEC) != 0);

	assert_int_equal(smol_step_discover(SMOLVM_TSI, &b, &r, &u, NULL), 0);
	assert_int_equal(u.stream_port, ntohs(stream.sin_port));
	(void)snprintf(want, sizeof(want), "http://bottle:%s@127.0.0.16:%u", r.password,
		       ntohs(proxy.sin_port));
	assert_string_equal(u.proxy_url, want);
	(void)snprintf(want, sizeof(want), "127.0.0.16 %u %02x", u.stream_port, r.credential[0]);
	assert_memory_equal(u.dial_line, want, strlen(want));
	assert_int_equal(u.dial_line[strlen(u.dial_line) - 1], '\n');
	assert_int_equal(strlen(strrchr(u.dial_line, ' ') + 1), BACKEND_CREDENTIAL * 2 + 1);
	smol_release_urls(&u);
	assert_int_equal(u.dial_line[0], '\0');
	smol_release_bundle(&b);
	smol_release_bundle(&b);
	assert_int_equal(b.stream_fd, -1);
	smol_release_resources(&r, true);
}

static void the_canary_is_never_on_the_bottles_own_address(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_bundle b = SMOL_BUNDLE_NONE;

	(void)state;
	(void)snprintf(r.alias.address, sizeof(r.alias.address), "127.0.0.31");
	assert_int_equal(smol_step_bundle(SMOLVM_TSI, &r, NULL, &b, NULL), 0);
	assert_int_equal(ntohl(address_of(b.stream_fd).sin_addr.s_addr), 0x7f00001f);
	assert_int_equal(ntohl(address_of(b.canary_fd).sin_addr.s_addr), 0x7f00001e);
	smol_release_bundle(&b);
}

static void without_a_namespace_tsi_mode_is_refused(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_bundle b = SMOL_BUNDLE_NONE;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(allocate(&r, NULL), 0);
	assert_error(smol_step_bundle(SMOLVM_TSI, &r, enter_forbidden, &b, &err), BB_E_MISSING,
		     err);
	assert_non_null(strstr(err.msg, "TSI mode needs a network namespace of its own: user "
					"namespaces are forbidden here"));
	assert_int_equal(b.stream_fd, -1);
	smol_release_bundle(&b);
	smol_release_resources(&r, true);
}

static void a_listener_elsewhere_is_not_told_to_the_guest(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_bundle b = SMOL_BUNDLE_NONE;
	struct smol_urls u = { 0 };
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(allocate(&r, NULL), 0);
	assert_int_equal(smol_step_bundle(SMOLVM_TSI, &r, NULL, &b, NULL), 0);
	(void)close(b.proxy_fd);
	b.proxy_fd = dup(b.canary_fd);
	assert_error(smol_step_discover(SMOLVM_TSI, &b, &r, &u, &err), -EPROTO, err);
	assert_int_equal(u.proxy_url[0], '\0');
	smol_release_bundle(&b);
	smol_release_resources(&r, true);
}

static void socket_mode_listens_on_a_path_of_this_user_alone(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_bundle b = SMOL_BUNDLE_NONE;
	struct smol_urls u = { 0 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	entered = 0;
	assert_int_equal(allocate(&r, NULL), 0);
	assert_int_equal(smol_step_bundle(SMOLVM_SOCKET, &r, enter, &b, NULL), 0);
	assert_int_equal(entered, 0);
	assert_int_equal(stat(r.socket_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(b.proxy_fd, -1);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", r.socket_path);
	assert_int_equal(connect(client, (struct sockaddr *)(void *)&a, sizeof(a)), 0);
	assert_int_equal(smol_step_discover(SMOLVM_SOCKET, &b, &r, &u, NULL), 0);
	assert_int_equal(u.proxy_url[0], '\0');
	smol_release_bundle(&b);
	assert_false(is_there("run/stream.sock"));
	(void)close(client);
	smol_release_resources(&r, true);
}

static void a_socket_that_is_there_already_is_an_error(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_bundle a = SMOL_BUNDLE_NONE, b = SMOL_BUNDLE_NONE;
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(allocate(&r, NULL), 0);
	assert_int_equal(smol_step_bundle(SMOLVM_SOCKET, &r, NULL, &a, NULL), 0);
	assert_error(smol_step_bundle(SMOLVM_SOCKET, &r, NULL, &b, &err), -EADDRINUSE, err);
	smol_release_bundle(&b);
	assert_true(is_there("run/stream.sock")); /* it is not ours to remove */
	smol_release_bundle(&a);
	smol_release_resources(&r, true);
}

/* --- launch --- */

static void insert_row(const char *data)
{
	char *dir = fake_path("home/.local/share/smolvm/server");
	char *path = bb_text_printf("%s/smolvm.db", dir);
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;

	assert_int_equal(bb_path_mkdirs(dir, 0700, NULL), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db,
			     "PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS vms(name "
			     "TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL)",
			     NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO vms VALUES(?1, ?2)", -1, &s, NULL),
		SQLITE_OK);
	sqlite3_bind_text(s, 1, ROW_NAME, -1, SQLITE_STATIC);
	sqlite3_bind_blob(s, 2, data, (int)strlen(data), SQLITE_STATIC);
	assert_int_equal(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
	sqlite3_close(db);
	free(path);
	free(dir);
}

#define EFFECTIVE(cidrs)                                                        \
	"{\"version\":1,\"mounts\":[],\"ports\":[],\"resources\":{\"network\":" \
	"false,\"allowed_cidrs\":" cidrs "}}"
#define MOUNTED                                                         \
	",\"published_sockets\":[{\"direction\":\"mount\",\"host\":\"/" \
	"h\",\"guest\":\"" SMOL_GUEST_SOCKET "\"}]"

/* A machine whose process is this test's own: it is running for as long as `state` says so. */
static void set_up_machine(const char *row, const char *effective)
{
	char *status =
		bb_text_printf("[ -f $d/state ] || { echo 'Error: vm not found' >&2; exit 1; }\n"
			       "s=$(cat $d/state); p=null; [ $s != running ] || p=%d\n"
			       "echo '{\"name\":\"" ROW_NAME "\",\"state\":\"'$s'\",\"pid\":'$p'}'",
			       (int)getpid());

	insert_row(row);
	fake_write("agent.config.json", effective, 0600);
	fake_does("create", "echo created > $d/state");
	fake_does("start", "echo running > $d/state");
	fake_does("status", status);
	fake_does("ls", "echo \"[$(. $d/do-status 2>/dev/null)]\"");
	fake_does("stop", "echo stopped > $d/state");
	fake_does("delete", "rm $d/state; rmdir $d/vm");
	fake_does("data-dir", "echo $d");
	fake_does("exec", "for t in \"$@\"; do :; done; echo $t");
	free(status);
}

static bool log_has(const char *words)
{
	char *log = fake_read("log");
	bool has = strstr(log, words) != NULL;

	free(log);
	return has;
}

/* The step must fail with these words, without a start; what it made is to be removed. */
static void assert_not_started(int code, const char *words)
{
	struct smol_resources r = no_resources;
	struct smol_machine m = SMOL_MACHINE_NONE;
	struct bb_err err = { 0 };

	assert_int_equal(allocate(&r, NULL), 0);
	assert_error(smol_step_launch(&fake_vm, &plan, &r, &m, &err), code, err);
	if (strstr(err.msg, words) == NULL)
		fail_msg("'%s' is not in: %s", words, err.msg);
	assert_false(log_has("machine start"));
	assert_true(m.is_made);
	assert_int_equal(m.pidfd, -1);
	smol_release_resources(&r, true);
}

static void tsi_mode_forces_the_list_before_the_start(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_machine m = SMOL_MACHINE_NONE;
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine(ROW_FRESH, EFFECTIVE("[\"" ROW_CIDR "\"]"));
	assert_int_equal(allocate(&r, NULL), 0);
	/* What start would boot is what the database says then. */
	fake_does("start", "cp $d/home/.local/share/smolvm/server/smolvm.db* $d; "
			   "echo running > $d/state");
	if (smol_step_launch(&fake_vm, &plan, &r, &m, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(log_has("machine create --from /cache/p.smolmachine --cpus 2"));
	assert_false(log_has("--net"));
	assert_false(log_has("--allow"));
	assert_true(log_has("machine exec --name " ROW_NAME));
	assert_int_equal(m.pid, getpid());
	assert_true(m.pidfd >= 0);
	{
		char *db = fake_path("smolvm.db");
		sqlite3 *copy = NULL;
		sqlite3_stmt *s = NULL;

		assert_int_equal(sqlite3_open(db, &copy), SQLITE_OK);
		assert_int_equal(sqlite3_prepare_v2(copy,
						    "SELECT json_extract(CAST(data AS TEXT), "
						    "'$.allowed_cidrs[0]') FROM vms",
						    -1, &s, NULL),
				 SQLITE_OK);
		assert_int_equal(sqlite3_step(s), SQLITE_ROW);
		assert_string_equal((const char *)sqlite3_column_text(s, 0), ROW_CIDR);
		sqlite3_finalize(s);
		sqlite3_close(copy);
		free(db);
	}
	(void)close(m.pidfd);
	smol_release_resources(&r, true);
}

static void a_row_that_is_not_as_expected_is_never_started(void **state)
{
	(void)state;
	set_up_machine(ROW("\"created\"", "null", "true", "null", ""), EFFECTIVE("null"));
	assert_not_started(BB_E_REFUSED, "network: expected false, found true");
	insert_row(ROW("\"created\"", "null", "false", "[\"0.0.0.0/0\"]", ""));
	assert_not_started(BB_E_REFUSED, "0.0.0.0/0");
}

static void no_database_is_never_started(void **state)
{
	char *path = fake_path("home/.local/share/smolvm/server/smolvm.db");

	(void)state;
	set_up_machine(ROW_FRESH, EFFECTIVE("null"));
	assert_int_equal(unlink(path), 0);
	assert_not_started(-ENOENT, "expected the database file");
	free(path);
}

static void a_failed_create_is_still_removed(void **state)
{
	(void)state;
	set_up_machine(ROW_FRESH, EFFECTIVE("null"));
	fake_does("create", "echo 'Error: no space' >&2; exit 1");
	assert_not_started(-EIO, "'smolvm create' failed with code 1: Error: no space");
}

static void a_machine_started_otherwise_is_an_error(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_machine m = SMOL_MACHINE_NONE;
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine(ROW_FRESH, EFFECTIVE("null"));
	assert_int_equal(allocate(&r, NULL), 0);
	assert_error(smol_step_launch(&fake_vm, &plan, &r, &m, &err), BB_E_REFUSED, err);
	assert_non_null(strstr(err.msg, "was started otherwise than asked"));
	assert_non_null(strstr(err.msg, "found null"));
	smol_release_resources(&r, true);
}

static void a_machine_that_is_not_running_after_start_is_an_error(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_machine m = SMOL_MACHINE_NONE;
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine(ROW_FRESH, EFFECTIVE("[\"" ROW_CIDR "\"]"));
	fake_does("start", "echo stopped > $d/state");
	assert_int_equal(allocate(&r, NULL), 0);
	assert_error(smol_step_launch(&fake_vm, &plan, &r, &m, &err), BB_E_GUEST, err);
	assert_non_null(strstr(err.msg, "its state is 'stopped'"));
	smol_release_resources(&r, true);
}

static void an_interrupted_launch_leaves_what_must_be_removed(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_machine m = SMOL_MACHINE_NONE;
	struct bb_err err = { 0 };
	int pair[2];

	(void)state;
	set_up_machine(ROW_FRESH, EFFECTIVE("null"));
	assert_int_equal(allocate(&r, NULL), 0);
	assert_int_equal(ipc_pair(pair), 0);
	(void)close(pair[1]);
	fake_vm.interrupt_fd = pair[0];
	fake_does("create", "echo created > $d/state; exec sleep 1000");
	assert_error(smol_step_launch(&fake_vm, &plan, &r, &m, &err), -ECANCELED, err);
	assert_true(m.is_made);
	fake_write("state", "created\n", 0600);
	fake_does("data-dir", "echo $d/vm");
	fake_does("delete", "rm $d/state");
	assert_int_equal(smol_release_machine(&fake_vm, &r, &m, NULL), 0);
	assert_false(is_there("state"));
	assert_false(m.is_made);
	(void)close(pair[0]);
	smol_release_resources(&r, true);
}

static void socket_mode_has_no_network_and_our_workload(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_machine m = SMOL_MACHINE_NONE;
	struct bb_err err = { 0 };

	(void)state;
	set_up_machine(ROW("\"created\"", "null", "false", "null", MOUNTED), EFFECTIVE("null"));
	assert_int_equal(allocate(&r, NULL), 0);
	if (smol_step_launch(&fake_vm, &plan, &r, &m, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(log_has("--image /cache/image.tar --mount-socket "));
	assert_true(log_has("/run/stream.sock:" SMOL_GUEST_SOCKET " "));
	assert_true(log_has(" -- /bottle-init --socket " SMOL_GUEST_SOCKET "\n"));
	assert_false(log_has("machine exec")); /* it says hello itself */
	(void)close(m.pidfd);
	smol_release_resources(&r, true);
}

static void socket_mode_refuses_a_machine_with_a_network(void **state)
{
	(void)state;
	set_up_machine(ROW("\"created\"", "null", "true", "null", MOUNTED), EFFECTIVE("null"));
	assert_not_started(BB_E_REFUSED, "network: expected false");
	insert_row(ROW("\"created\"", "null", "false", "null", ""));
	assert_not_started(BB_E_REFUSED, "published_sockets: expected");
}

/* --- init --- */

static void the_credential_goes_in_by_the_pipe(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_urls u = { .dial_line = "127.0.0.16 4711 00ff\n" };
	struct smol_guest g = SMOL_GUEST_NONE;
	char answer[64] = "";
	int console[2];

	(void)state;
	assert_int_equal(allocate(&r, NULL), 0);
	assert_int_equal(pipe2(console, O_CLOEXEC), 0);
	fake_does("exec", "read line; echo \"got $line\"; exec sleep 1000");
	assert_int_equal(smol_step_init(&fake_vm, &r, &u, console[1], &g, NULL), 0);
	assert_true(read(console[0], answer, sizeof(answer) - 1) > 0);
	assert_string_equal(answer, "got 127.0.0.16 4711 00ff\n");
	assert_true(log_has("machine exec --name " ROW_NAME " -i -- /bottle-init --connect\n"));
	assert_false(log_has("00ff"));
	assert_true(g.stdin_fd >= 0);
	smol_release_guest(&g);
	smol_release_guest(&g);
	assert_int_equal(g.exec.pidfd, -1);
	(void)close(console[0]);
	(void)close(console[1]);
	smol_release_resources(&r, true);
}

static void in_socket_mode_there_is_nothing_to_start(void **state)
{
	struct smol_resources r = no_resources;
	struct smol_urls u = { 0 };
	struct smol_guest g = SMOL_GUEST_NONE;

	(void)state;
	assert_int_equal(smol_step_init(&fake_vm, &r, &u, -1, &g, NULL), 0);
	assert_int_equal(g.exec.pidfd, -1);
	assert_false(log_has("exec"));
}

#define TSI(f)    cmocka_unit_test_setup_teardown(f, set_up_tsi, tear_down)
#define SOCKET(f) cmocka_unit_test_setup_teardown(f, set_up_socket, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TSI(tsi_mode_allocates_address_and_credentials),
		TSI(two_bottles_share_no_secret),
		TSI(a_full_pool_takes_no_record_with_it),
		SOCKET(socket_mode_allocates_a_path),
		SOCKET(a_path_too_long_for_a_socket_is_refused),
		cmocka_unit_test(only_the_public_certificate_is_taken),
		cmocka_unit_test(a_launch_given_up_ends_the_waiting),
		TSI(tsi_mode_listens_on_its_address_in_a_namespace),
		TSI(the_canary_is_never_on_the_bottles_own_address),
		TSI(without_a_namespace_tsi_mode_is_refused),
		TSI(a_listener_elsewhere_is_not_told_to_the_guest),
		SOCKET(socket_mode_listens_on_a_path_of_this_user_alone),
		SOCKET(a_socket_that_is_there_already_is_an_error),
		TSI(tsi_mode_forces_the_list_before_the_start),
		TSI(a_row_that_is_not_as_expected_is_never_started),
		TSI(no_database_is_never_started),
		TSI(a_failed_create_is_still_removed),
		TSI(a_machine_started_otherwise_is_an_error),
		TSI(a_machine_that_is_not_running_after_start_is_an_error),
		TSI(an_interrupted_launch_leaves_what_must_be_removed),
		SOCKET(socket_mode_has_no_network_and_our_workload),
		SOCKET(socket_mode_refuses_a_machine_with_a_network),
		TSI(the_credential_goes_in_by_the_pipe),
		SOCKET(in_socket_mode_there_is_nothing_to_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
