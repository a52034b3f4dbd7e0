/* See workspace.h. */
#include "cli/workspace.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "store/store.h"

/* Is a the same as b, or above it? Both are resolved. */
static bool is_at_or_above(const char *a, const char *b)
{
	size_t n = strlen(a);

	return strncmp(a, b, n) == 0 && (b[n] == '\0' || b[n] == '/' || (n > 0 && a[n - 1] == '/'));
}

static bool holds_bottles(const char *dir)
{
	BB_AUTO_FREE char *inside = bb_text_printf("%s/.bot-bottle", dir);
	BB_AUTO_FREE char *root = store_root(NULL);
	BB_AUTO_FREE char *real = root == NULL ? NULL : realpath(root, NULL);
	struct stat st;

	if (inside == NULL || lstat(inside, &st) == 0)
		return true;
	return real != NULL && (is_at_or_above(dir, real) || is_at_or_above(real, dir));
}

int cli_workspace_check(const char *dir, char **ret, struct bb_err *err)
{
	BB_AUTO_FREE char *real = realpath(dir == NULL ? "." : dir, NULL);
	BB_AUTO_FREE char *real_home = NULL;
	const char *home = getenv("HOME");
	struct stat st;

	if (real == NULL || stat(real, &st) < 0)
		return bb_err_errno(err, "cannot use '%s'", dir == NULL ? "." : dir);
	real_home = home == NULL ? NULL : realpath(home, NULL);
	if (!S_ISDIR(st.st_mode))
		return bb_err_set(err, BB_E_USAGE, "'%s' is not a directory", real);
	if (strcmp(real, "/") == 0)
		return bb_err_set(err, BB_E_USAGE,
				  "'/' is never copied into a bottle; name a project's directory");
	if (real_home != NULL && is_at_or_above(real, real_home))
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' is or holds your home directory, which is never copied "
				  "into a bottle; name a project's directory",
				  real);
	if (holds_bottles(real))
		return bb_err_set(err, BB_E_USAGE,
				  "'%s' holds bot-bottle's own files (.bot-bottle), which are "
				  "never copied into a bottle",
				  real);
	if (access(real, R_OK | X_OK) < 0)
		return bb_err_errno(err, "cannot read '%s'", real);
	*ret = bb_take_ptr(&real);
	return 0;
}
