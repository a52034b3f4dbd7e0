/*
 * The rules of the `dirs` crate, which smolvm uses: on Linux an absolute XDG_DATA_HOME, else
 * ~/.local/share; on macOS ~/Library/Application Support, whatever XDG_* says; without HOME what
 * the user database says.
 */
#include "backend/smolmachines/statepath.h"

#include <stddef.h>

#include "base/text.h"

static char *below_data(const struct statepath_env *env, const char *rest, struct bb_err *err)
{
	const char *home = env->home != NULL && env->home[0] != '\0' ? env->home : env->passwd_home;
	char *path;

	if (env->os == STATEPATH_LINUX && env->xdg_data_home != NULL &&
	    env->xdg_data_home[0] == '/') {
		path = bb_text_printf("%s/%s", env->xdg_data_home, rest);
	} else if (home == NULL || home[0] != '/') {
		(void)bb_err_set(err, BB_E_USAGE,
				 "no home directory: set HOME to an absolute path, so that smolvm "
				 "and bot-bottle agree on where its state database is");
		return NULL;
	} else {
		path = bb_text_printf("%s/%s/%s", home,
				      env->os == STATEPATH_DARWIN ? "Library/Application Support"
								  : ".local/share",
				      rest);
	}
	if (path == NULL)
		(void)bb_err_set(err, -ENOMEM, "out of memory");
	return path;
}

char *statepath_database(const struct statepath_env *env, struct bb_err *err)
{
	return below_data(env, "smolvm/server/smolvm.db", err);
}

char *statepath_records(const struct statepath_env *env, struct bb_err *err)
{
	return below_data(env, "bot-bottle/smolmachines", err);
}
