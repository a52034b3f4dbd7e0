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
		{ { STATEPATH_LINUX, "/home/u", NULL, NULL },
		  "/home/u/.local/share/smolvm/server/smolvm.db" },
		{ { STATEPATH_LINUX, "/home/u", "/data", NULL }, "/data/smolvm/server/smolvm.db" },
		{ { STATEPATH_LINUX, "/home/u", "relative", NULL },
		  "/home/u/.local/share/smolvm/server/smolvm.db" },
		{ { STATEPATH_LINUX, "/home/u", "", NULL },
		  "/home/u/.local/share/smolvm/server/smolvm.db" },
		{ { STATEPATH_LINUX, NULL, NULL, "/home/p" },
		  "/home/p/.local/share/smolvm/server/smolvm.db" },
		{ { STATEPATH_LINUX, "", NULL, "/home/p" },
		  "/home/p/.local/share/smolvm/server/smolvm.db" },
		{ { STATEPATH_LINUX, NULL, "/data", NULL }, "/data/smolvm/server/smolvm.db" },
		{ { STATEPATH_DARWIN, "/Users/u", "/data", NULL },
		  "/Users/u/Library/Application Support/smolvm/server/smolvm.db" },
		{ { STATEPATH_DARWIN, NULL, NULL, "/Users/p" },
		  "/Users/p/Library/Application Support/smolvm/server/smolvm.db" },
		{ { STATEPATH_LINUX, NULL, NULL, NULL }, NULL },
		{ { STATEPATH_LINUX, "relative", NULL, "/home/p" }, NULL },
		{ { STATEPATH_DARWIN, NULL, "/data", NULL }, NULL },
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
	const struct statepath_env here = { STATEPATH_LINUX, "/home/u", "/data", NULL };
	const struct statepath_env mac = { STATEPATH_DARWIN, "/Users/u", NULL, NULL };
	char *path = statepath_records(&here, NULL);

	(void)state;
	assert_string_equal(path, "/data/bot-bottle/smolmachines");
	free(path);
	path = statepath_records(&mac, NULL);
	assert_string_equal(path, "/Users/u/Library/Application Support/bot-bottle/smolmachines");
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path_follows_the_system),
		cmocka_unit_test(records_are_beside_smolvms_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
