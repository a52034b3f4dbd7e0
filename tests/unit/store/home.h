/* A root of its own for each test: BOT_BOTTLE_HOME, XDG_* and HOME point into a fresh directory. */
#ifndef BB_TESTS_STORE_HOME_H
#define BB_TESTS_STORE_HOME_H

#include <stdlib.h>

#include "base/path.h"
#include "base/text.h"

static char test_home[] = "/tmp/bb-store-XXXXXX";

static int home_setup(void **state)
{
	char *base, *run;

	(void)state;
	memcpy(test_home, "/tmp/bb-store-XXXXXX", sizeof(test_home));
	if (mkdtemp(test_home) == NULL)
		return -1;
	base = bb_text_printf("%s/root", test_home);
	run = bb_text_printf("%s/run", test_home);
	if (bb_path_mkdirs(run, 0700, NULL) < 0)
		return -1;
	setenv("BOT_BOTTLE_HOME", base, 1);
	setenv("XDG_RUNTIME_DIR", run, 1);
	setenv("HOME", test_home, 1);
	unsetenv("XDG_CACHE_HOME");
	free(base);
	free(run);
	return 0;
}

static int home_teardown(void **state)
{
	(void)state;
	return bb_path_remove_tree(test_home, NULL);
}

#endif
