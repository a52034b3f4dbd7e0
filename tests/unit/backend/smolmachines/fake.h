/*
 * A program named smolvm for one test: a shell script that notes its arguments in `log` and then
 * does what the file do-VERB says (exit 0 without one). The test writes what smolvm would answer;
 * the grammar itself is tested against tests/rig's stand-in.
 */
#ifndef BB_TESTS_SMOLMACHINES_FAKE_H
#define BB_TESTS_SMOLMACHINES_FAKE_H

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/smolmachines/smolvm.h"
#include "base/path.h"
#include "base/text.h"

static char fake_root[32];
static struct smolvm fake_vm;

static void fake_write(const char *name, const char *text, mode_t mode)
{
	char *path = bb_text_printf("%s/%s", fake_root, name);

	assert_int_equal(bb_path_write_atomic(path, text, strlen(text), mode, NULL), 0);
	free(path);
}

/* What `smolvm machine VERB` does from now on: shell, with $d the test's directory. */
static void fake_does(const char *verb, const char *shell)
{
	char *name = bb_text_printf("do-%s", verb);

	fake_write(name, shell, 0600);
	free(name);
}

/* A file of the directory, "" when it is not there; on the heap. */
static inline char *fake_read(const char *name)
{
	struct bb_buf text = { .cap = 65536 };
	char *path = bb_text_printf("%s/%s", fake_root, name);
	char *all;

	(void)bb_path_read(path, 0, &text, NULL);
	all = bb_buf_size(&text) == 0 ? strdup("") : bb_buf_dup_str(&text);
	bb_buf_done(&text);
	free(path);
	return all;
}

/* The path of a name in the directory; the caller frees it. */
static inline char *fake_path(const char *name)
{
	return bb_text_printf("%s/%s", fake_root, name);
}

static const char *fake_getenv(const char *name)
{
	static char home[sizeof(fake_root) + 8], path[sizeof(fake_root) + 32];

	(void)snprintf(home, sizeof(home), "%s/home", fake_root);
	(void)snprintf(path, sizeof(path), "%s:/usr/bin:/bin", fake_root);
	if (strcmp(name, "HOME") == 0)
		return home;
	return strcmp(name, "PATH") == 0 ? path : NULL;
}

static int fake_setup(void **state)
{
	char *script;

	(void)state;
	(void)snprintf(fake_root, sizeof(fake_root), "/tmp/bb-smolvm-XXXXXX");
	assert_non_null(mkdtemp(fake_root));
	script = bb_text_printf("#!/bin/sh\nd=%s\necho \"$*\" >> $d/log\nverb=$1\n"
				"[ \"$1\" != machine ] || verb=$2\n"
				"[ ! -f $d/do-$verb ] || . $d/do-$verb\nexit 0\n",
				fake_root);
	fake_write("smolvm", script, 0700);
	free(script);
	fake_does("--version", "echo smolvm 1.8.0");
	assert_int_equal(smolvm_open(fake_getenv, &fake_vm, NULL), 0);
	return 0;
}

static int fake_teardown(void **state)
{
	(void)state;
	smolvm_done(&fake_vm);
	return bb_path_remove_tree(fake_root, NULL);
}

#define FAKE_TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

#endif
