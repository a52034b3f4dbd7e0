/* backend/smolmachines/statepath.c: both systems' rules, wherever this runs. */
#include "../../unit.h"

#include <stdlib.h>
#include <string.h>

#include "backend/smolmachines/statepath.h"
#include "base/cleanup.h"

static void the_path_follows_the_system(void **state)
{
	static const struct {
		struct statepath_env env;
		const char *want;
	} cases[] = {
		{ { .os = STATEPATH_LINUX, .home = "/home/u" },
		  "/home/u/.local/share/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_LINUX, .home = "/home/u", .xdg_data_home = "/data" },
		  "/data/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_LINUX, .home = "/home/u", .xdg_data_home = "relative" },
		  "/home/u/.local/share/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_LINUX, .home = "/home/u", .xdg_data_home = "" },
		  "/home/u/.local/share/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_LINUX, .passwd_home = "/home/p" },
		  "/home/p/.local/share/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_LINUX, .home = "", .passwd_home = "/home/p" },
		  "/home/p/.local/share/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_LINUX, .xdg_data_home = "/data" },
		  "/data/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_DARWIN, .home = "/Users/u", .xdg_data_home = "/data" },
		  "/Users/u/Library/Application Support/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_DARWIN, .passwd_home = "/Users/p" },
		  "/Users/p/Library/Application Support/smolvm/server/smolvm.db" },
		{ { .os = STATEPATH_LINUX }, NULL },
		{ { .os = STATEPATH_LINUX, .home = "relative", .passwd_home = "/home/p" }, NULL },
		{ { .os = STATEPATH_DARWIN, .xdg_data_home = "/data" }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		struct bb_err err = { 0 };
		char *path = statepath_database(&cases[i].env, &err);

		if (cases[i].want == NULL) {
			assert_null(path);
			assert_int_equal(err.code, BB_E_USAGE);
		} else {
			assert_string_equal(path, cases[i].want);
		}
		free(path);
	}
}

static void records_are_beside_smolvms_folder(void **state)
{
	const struct statepath_env here = { .os = STATEPATH_LINUX,
					    .home = "/home/u",
					    .xdg_data_home = "/data" };
	const struct statepath_env mac = { .os = STATEPATH_DARWIN, .home = "/Users/u" };
	char *path = statepath_records(&here, NULL);

	(void)state;
	assert_string_equal(path, "/data/bot-bottle/smolmachines");
	free(path);
	path = statepath_records(&mac, NULL);
	assert_string_equal(path, "/Users/u/Library/Application Support/bot-bottle/smolmachines");
	free(path);
}

static void a_machines_directory_is_named_by_its_digest(void **state)
{
	static const struct {
		struct statepath_env env;
		const char *want;
	} cases[] = {
		{ { .os = STATEPATH_LINUX, .home = "/home/u" }, "/home/u/.cache" },
		{ { .os = STATEPATH_LINUX, .home = "/home/u", .xdg_data_home = "/data" },
		  "/home/u/.cache" },
		{ { .os = STATEPATH_LINUX, .home = "/home/u", .xdg_cache_home = "/cache" },
		  "/cache" },
		{ { .os = STATEPATH_LINUX, .home = "/home/u", .xdg_cache_home = "relative" },
		  "/home/u/.cache" },
		{ { .os = STATEPATH_DARWIN, .home = "/Users/u", .xdg_cache_home = "/cache" },
		  "/Users/u/Library/Caches" },
	};
	struct bb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(cases); i++) {
		char *path = statepath_machine(&cases[i].env, "bot-bottle-claude_ab12c", &err);

		assert_non_null(path);
		assert_memory_equal(path, cases[i].want, strlen(cases[i].want));
		/* printf bot-bottle-claude_ab12c | sha256sum | head -c 16 */
		assert_string_equal(path + strlen(cases[i].want), "/smolvm/vms/df57770162b27041");
		free(path);
	}
	assert_null(statepath_machine(&(struct statepath_env){ .os = STATEPATH_LINUX }, "m", &err));
	assert_int_equal(err.code, BB_E_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path_follows_the_system),
		cmocka_unit_test(records_are_beside_smolvms_folder),
		cmocka_unit_test(a_machines_directory_is_named_by_its_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
