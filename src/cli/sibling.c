/* See sibling.h. */
#include "cli/sibling.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

char *cli_sibling(const char *program, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_path_self_dir();
	BB_AUTO_FREE char *path = NULL;
	const char *last = dir == NULL ? NULL : strrchr(dir, '/');

	if (last == NULL) {
		(void)bb_err_set(err, -ENOENT, "cannot find out where bot-bottle is installed");
		return NULL;
	}
	if (strcmp(last, "/bin") == 0)
		path = bb_text_printf("%.*s/libexec/bot-bottle/%s", (int)(last - dir), dir,
				      program);
	else
		path = bb_text_printf("%s/%s", dir, program);
	if (path == NULL || access(path, X_OK) < 0) {
		(void)bb_err_set(err, BB_E_MISSING, "'%s' is not there; install bot-bottle again",
				 path == NULL ? program : path);
		return NULL;
	}
	return bb_take_ptr(&path);
}
