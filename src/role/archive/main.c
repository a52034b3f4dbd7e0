/*
 * bot-bottle-archive pack NAME AS | pack-list . AS | unpack ONLY AS | review ONLY AS
 * Descriptors: 0 the stream (unpack, review) or the list, 1 the stream (pack), 2 words for the
 * operator, the last line the reason of a failure, 3 the directory. Started by bot-bottle; the
 * arguments are the operator's.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/table.h"
#include "role/archive/tree.h"
#include "sys/sandbox.h"

#define DIR_FD 3

enum verb { PACK, PACK_LIST, UNPACK, REVIEW };
static const char *const verbs[] = { "pack", "pack-list", "unpack", "review" };

static int run(char **argv, struct bb_err *err)
{
	const char *why = NULL;
	BB_AUTO_FREE char *name = tree_path(argv[2], &why);
	BB_AUTO_FREE char *as = name == NULL ? NULL : tree_path(argv[3], &why);

	if (as == NULL)
		return bb_err_set(err, BB_E_USAGE, "cannot copy this: %s", why);
	if (strcmp(argv[1], verbs[PACK]) == 0)
		return tree_pack(DIR_FD, name, as, STDOUT_FILENO, err);
	if (strcmp(argv[1], verbs[PACK_LIST]) == 0)
		return tree_pack_list(DIR_FD, STDIN_FILENO, as, STDOUT_FILENO, err);
	return tree_unpack(STDIN_FILENO, name, as, DIR_FD, strcmp(argv[1], verbs[REVIEW]) == 0,
			   err);
}

int main(int argc, char **argv)
{
	struct bb_err err = { 0 };
	struct stat st;

	(void)signal(SIGPIPE, SIG_IGN);
	/* Names are bytes; libarchive asks the locale, and this one needs no file. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	(void)setvbuf(stderr, NULL, _IOLBF, 0);
	if (argc != 4 || bb_table_index(verbs, BB_ARRAY_LEN(verbs), bb_view_str(argv[1])) < 0 ||
	    fstat(DIR_FD, &st) < 0 || !S_ISDIR(st.st_mode)) {
		(void)fputs("bot-bottle-archive is started by 'bot-bottle cp', not by hand\n",
			    stderr);
		return 125;
	}
	if (sandbox_early(DIR_FD + 1, &err) < 0 ||
	    sandbox_lock(SANDBOX_ARCHIVE, DIR_FD, &err) < 0 || run(argv, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return 0;
}
