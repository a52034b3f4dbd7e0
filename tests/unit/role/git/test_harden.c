/* role/git/harden: what every git gets, whatever the caller's environment says. */
#include "../../unit.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "role/git/harden.h"

static bool has(char *const *list, const char *entry)
{
	for (size_t i = 0; list[i] != NULL; i++)
		if (strcmp(list[i], entry) == 0)
			return true;
	return false;
}

static void the_arguments_follow_the_configuration(void **state)
{
	char *args[] = { (char[]){ "status" }, (char[]){ "-z" }, NULL };
	BB_AUTO_STRV char **argv = harden_argv(args);
	size_t n;

	(void)state;
	assert_non_null(argv);
	n = bb_strv_len(argv);
	assert_string_equal(argv[0], "git");
	assert_string_equal(argv[n - 2], "status");
	assert_string_equal(argv[n - 1], "-z");
	for (size_t i = 1; i < n - 2; i += 2)
		assert_string_equal(argv[i], "-c");
}

static void each_way_to_run_a_program_is_closed(void **state)
{
	static const char *const wanted[] = {
		"core.hooksPath=/dev/null",
		"core.fsmonitor=false",
		"protocol.allow=never",
		"protocol.ext.allow=never",
		"core.sshCommand=/bin/false",
		"core.gitProxy=/bin/false",
		"credential.helper=",
		"submodule.recurse=false",
		"fetch.recurseSubmodules=false",
		"gpg.program=/bin/false",
		"core.pager=cat",
		"core.editor=/bin/false",
		"core.alternateRefsCommand=/bin/false",
		"gc.auto=0",
		"core.attributesFile=/dev/null",
		"uploadpack.packObjectsHook=",
		"core.protectHFS=true",
		"core.protectNTFS=true",
		"transfer.fsckObjects=true",
	};
	char *args[] = { (char[]){ "status" }, NULL };
	BB_AUTO_STRV char **argv = harden_argv(args);

	(void)state;
	assert_non_null(argv);
	for (size_t i = 0; i < BB_ARRAY_LEN(wanted); i++) {
		if (!has(argv, wanted[i]))
			fail_msg("'%s' is missing", wanted[i]);
	}
}

static void the_callers_environment_ends_here(void **state)
{
	char *dirty[] = { (char[]){ "GIT_DIR=/x" },
			  (char[]){ "GIT_INDEX_FILE=/i" },
			  (char[]){ "GIT_CONFIG_COUNT=1" },
			  (char[]){ "GIT_CONFIG_KEY_0=core.fsmonitor" },
			  (char[]){ "GIT_CONFIG_VALUE_0=touch /tmp/x" },
			  (char[]){ "GIT_CONFIG_PARAMETERS='core.fsmonitor=x'" },
			  (char[]){ "GIT_EXTERNAL_DIFF=touch" },
			  (char[]){ "GIT_EXEC_PATH=/tmp" },
			  (char[]){ "GIT_TRACE=/tmp/t" },
			  (char[]){ "GIT_SSH=/tmp/s" },
			  (char[]){ "GIT_TEMPLATE_DIR=/tmp" },
			  (char[]){ "GIT_ALTERNATE_OBJECT_DIRECTORIES=/tmp" },
			  (char[]){ "LD_PRELOAD=/tmp/l.so" },
			  (char[]){ "PATH=/tmp" },
			  (char[]){ "HOME=/root" },
			  NULL };
	BB_AUTO_STRV char **env = harden_env(dirty);

	(void)state;
	assert_non_null(env);
	assert_true(has(env, "GIT_DIR=/x"));
	assert_true(has(env, "GIT_INDEX_FILE=/i"));
	for (size_t i = 2; dirty[i] != NULL; i++)
		assert_false(has(env, dirty[i]));
	assert_true(has(env, "GIT_CONFIG_NOSYSTEM=1"));
	assert_true(has(env, "GIT_CONFIG_GLOBAL=/dev/null"));
	assert_true(has(env, "PATH=/usr/bin:/bin:/usr/local/bin"));
	assert_true(has(env, "HOME=/nonexistent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_arguments_follow_the_configuration),
		cmocka_unit_test(each_way_to_run_a_program_is_closed),
		cmocka_unit_test(the_callers_environment_ends_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
