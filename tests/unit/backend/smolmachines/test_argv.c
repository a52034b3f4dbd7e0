/* backend/smolmachines/argv.c: whole command lines for each kind of version, and the names. */
#include "../../unit.h"

#include <string.h>

#include "backend/smolmachines/argv.h"
#include "base/cleanup.h"
#include "base/text.h"

#define GIB (1024ULL * 1024 * 1024)

static struct smolvm_quirks quirks(unsigned major, unsigned minor, unsigned patch)
{
	return smolvm_version_quirks(&(struct smolvm_version){ major, minor, patch });
}

/* The vector as one line; takes argv. */
static void assert_line(char **argv, const char *want)
{
	char line[1024] = "";

	assert_non_null(argv);
	for (size_t i = 0; argv[i] != NULL; i++)
		(void)snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s%s",
			       i == 0 ? "" : " ", argv[i]);
	assert_string_equal(line, want);
	bb_strv_free(argv);
}

static void tsi_mode_creates_from_a_pack_and_without_a_network(void **state)
{
	const struct smolvm_machine_plan plan = { .name = "bot-bottle-a",
						  .pack = "/c/p.smolmachine",
						  .cpus = 2,
						  .memory_bytes = GIB,
						  .disk_bytes = 5 * GIB };
	struct smolvm_quirks q = quirks(0, 8, 0);

	(void)state;
	assert_line(
		smolvm_argv_create(&q, &plan),
		"smolvm machine create --from /c/p.smolmachine --cpus 2 --mem 1024 --storage 13 "
		"--overlay 5 bot-bottle-a");
	q = quirks(0, 8, 1);
	assert_line(
		smolvm_argv_create(&q, &plan),
		"smolvm machine create --from /c/p.smolmachine --cpus 2 --mem 1024 --storage 13 "
		"--overlay 5 bot-bottle-a");
}

static void socket_mode_mounts_one_socket_and_runs_our_workload(void **state)
{
	char init[] = "/bottle-init", option[] = "--socket", socket[] = "/run/b.sock";
	char *workload[] = { init, option, socket, NULL };
	const struct smolvm_machine_plan plan = { .name = "bot-bottle-a",
						  .image = "/c/image.tar",
						  .socket_host = "/r/stream.sock",
						  .socket_guest = socket,
						  .cpus = 4,
						  .memory_bytes = 2 * GIB + 1,
						  .disk_bytes = GIB + 1,
						  .workload = workload };
	struct smolvm_quirks q = quirks(1, 7, 5);

	(void)state;
	assert_line(smolvm_argv_create(&q, &plan),
		    "smolvm machine create --name bot-bottle-a --image /c/image.tar --mount-socket "
		    "/r/stream.sock:/run/b.sock --cpus 4 --mem 2048 --storage 10 --overlay 2 -- "
		    "/bottle-init --socket /run/b.sock");
	q = quirks(1, 8, 0);
	assert_line(
		smolvm_argv_create(&q, &plan),
		"smolvm machine create --name bot-bottle-a --image /c/image.tar --mount-socket "
		"/r/stream.sock:/run/b.sock --cpus 4 --mem 2048 --storage 10 --overlay 2 --label "
		"owner=bot-bottle -- /bottle-init --socket /run/b.sock");
}

static void names_are_bare_or_behind_an_option(void **state)
{
	struct smolvm_quirks q = quirks(0, 8, 1);

	(void)state;
	assert_line(smolvm_argv_delete(&q, "n"), "smolvm machine delete -f n");
	assert_line(smolvm_argv_data_dir(&q, "n"), "smolvm machine data-dir n");
	q = quirks(1, 7, 5);
	assert_line(smolvm_argv_delete(&q, "n"), "smolvm machine delete -f --name n");
	assert_line(smolvm_argv_data_dir(&q, "n"), "smolvm machine data-dir --name n");
	assert_line(smolvm_argv_start("n"), "smolvm machine start --name n");
	assert_line(smolvm_argv_stop("n"), "smolvm machine stop --name n");
	assert_line(smolvm_argv_status("n"), "smolvm machine status --name n --json");
	assert_line(smolvm_argv_ls(), "smolvm machine ls --json");
	assert_line(smolvm_argv_version(), "smolvm --version");
	assert_line(smolvm_argv_pack("127.0.0.1:5000/i:1", "/c/out"),
		    "smolvm pack create --image 127.0.0.1:5000/i:1 -o /c/out");
}

static void a_command_stands_behind_the_dashes(void **state)
{
	char a[] = "sh", b[] = "-c", c[] = "echo --net";
	char *command[] = { a, b, c, NULL };

	(void)state;
	assert_line(smolvm_argv_exec("n", false, 0, command),
		    "smolvm machine exec --name n -- sh -c echo --net");
	assert_line(smolvm_argv_exec("n", true, 30, command),
		    "smolvm machine exec --name n --timeout 30s -i -- sh -c echo --net");
}

static void machines_are_named_after_their_bottle(void **state)
{
	static const char *const identities[] = { "claude-ab12c", "a--b-", "x" };
	char name[SMOLVM_NAME_MAX + 1], small[12];
	struct bb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(identities); i++) {
		char *back;

		assert_int_equal(smolvm_machine_name(identities[i], name, sizeof(name), NULL), 0);
		assert_true(smolvm_is_name(name));
		back = smolvm_machine_identity(name);
		assert_string_equal(back, identities[i]);
		free(back);
	}
	assert_int_equal(smolvm_machine_name("claude-ab12c", name, sizeof(name), NULL), 0);
	assert_string_equal(name, "bot-bottle-claude_ab12c");
	assert_error(smolvm_machine_name("", name, sizeof(name), &err), -EINVAL, err);
	assert_error(smolvm_machine_name("a/b", name, sizeof(name), &err), -EINVAL, err);
	assert_error(smolvm_machine_name("ab", small, sizeof(small), &err), -EINVAL, err);
	assert_null(smolvm_machine_identity("bot-bottle-"));
	assert_null(smolvm_machine_identity("bot-bottles"));
	assert_null(smolvm_machine_identity("someone-elses"));
}

static void smolvms_rule_for_names_is_kept(void **state)
{
	char longest[SMOLVM_NAME_MAX + 2];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[SMOLVM_NAME_MAX] = '\0';
	assert_true(smolvm_is_name(longest));
	longest[SMOLVM_NAME_MAX] = 'a';
	longest[SMOLVM_NAME_MAX + 1] = '\0';
	assert_false(smolvm_is_name(longest));
	assert_true(smolvm_is_name("0a_B-c"));
	assert_false(smolvm_is_name(""));
	assert_false(smolvm_is_name("-a"));
	assert_false(smolvm_is_name("_a"));
	assert_false(smolvm_is_name("a-"));
	assert_false(smolvm_is_name("a--b"));
	assert_false(smolvm_is_name("a b"));
	assert_false(smolvm_is_name("a;b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tsi_mode_creates_from_a_pack_and_without_a_network),
		cmocka_unit_test(socket_mode_mounts_one_socket_and_runs_our_workload),
		cmocka_unit_test(names_are_bare_or_behind_an_option),
		cmocka_unit_test(a_command_stands_behind_the_dashes),
		cmocka_unit_test(machines_are_named_after_their_bottle),
		cmocka_unit_test(smolvms_rule_for_names_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
