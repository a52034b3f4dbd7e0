/*
 * Paths of everything that is kept, from the environment: BOT_BOTTLE_HOME, HOME, XDG_CACHE_HOME,
 * XDG_RUNTIME_DIR. Relative values are refused (a later command in another directory would not find
 * the bottle again), except that the XDG ones are then ignored, as their specification says.
 */
#include "store/store_impl.h"

#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

static char *no_memory(struct bb_err *err)
{
	bb_err_set(err, -ENOMEM, "out of memory");
	return NULL;
}

/* The variable's value without trailing slashes, or NULL when unset, empty or relative. */
static char *absolute_env(const char *name)
{
	const char *value = getenv(name);
	size_t n = value == NULL ? 0 : strlen(value);

	if (n == 0 || value[0] != '/')
		return NULL;
	while (n > 1 && value[n - 1] == '/')
		n--;
	return strndup(value, n);
}

static char *home(struct bb_err *err)
{
	const struct passwd *pw;
	char *path = absolute_env("HOME");

	if (path != NULL)
		return path;
	pw = getpwuid(getuid());
	if (pw == NULL || pw->pw_dir == NULL || pw->pw_dir[0] != '/') {
		bb_err_set(err, BB_E_USAGE,
			   "no home directory: set HOME or BOT_BOTTLE_HOME to an absolute path");
		return NULL;
	}
	return strdup(pw->pw_dir);
}

static char *joined(char *base, const char *rest, struct bb_err *err)
{
	BB_AUTO_FREE char *owned = base;
	char *path;

	if (owned == NULL)
		return NULL;
	path = bb_text_printf("%s/%s", strcmp(owned, "/") == 0 ? "" : owned, rest);
	return path == NULL ? no_memory(err) : path;
}

char *store_root(struct bb_err *err)
{
	const char *moved = getenv("BOT_BOTTLE_HOME");
	char *path;

	if (moved == NULL || moved[0] == '\0')
		return joined(home(err), ".bot-bottle", err);
	path = absolute_env("BOT_BOTTLE_HOME");
	if (path == NULL)
		bb_err_set(err, BB_E_USAGE, "BOT_BOTTLE_HOME is '%s'; it must be an absolute path",
			   BB_ESCAPED(bb_view_str(moved)));
	return path;
}

char *store_cache_dir(struct bb_err *err)
{
	char *cache = absolute_env("XDG_CACHE_HOME");

	if (cache != NULL)
		return joined(cache, "bot-bottle", err);
	return joined(home(err), ".cache/bot-bottle", err);
}

char *store_image_dir(struct bb_err *err)
{
	return joined(store_cache_dir(err), "images", err);
}

char *store_states_dir(struct bb_err *err)
{
	return joined(store_root(err), "state", err);
}

static bool slug_or_error(const char *identity, struct bb_err *err)
{
	if (store_is_slug(identity))
		return true;
	bb_err_set(err, BB_E_USAGE, "'%s' is not the name of a bottle",
		   BB_ESCAPED(bb_view_str(identity)));
	return false;
}

char *store_state_dir(const char *identity, struct bb_err *err)
{
	return slug_or_error(identity, err) ? joined(store_states_dir(err), identity, err) : NULL;
}

char *store_state_path(const char *identity, const char *name, struct bb_err *err)
{
	return joined(store_state_dir(identity, err), name, err);
}

/* Somebody else may have put the directory below /tmp there first. */
static int make_private_dir(const char *path, struct bb_err *err)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return bb_err_errno(err, "cannot make directory '%s'", path);
	if (lstat(path, &st) < 0)
		return bb_err_errno(err, "cannot look at '%s'", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0077) != 0)
		return bb_err_set(
			err, -EPERM,
			"'%s' is not a directory of this user alone (mode 0700); remove it", path);
	return 0;
}

static char *run_base_path(struct bb_err *err)
{
	/* "/<identity>/control.sock" and the NUL */
	size_t rest = 1 + STORE_SLUG_MAX + 1 + sizeof(STORE_CONTROL_SOCKET);
	BB_AUTO_FREE char *xdg = absolute_env("XDG_RUNTIME_DIR");
	BB_AUTO_FREE char *path = NULL;
	struct stat st;

	if (xdg != NULL && stat(xdg, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid()) {
		path = bb_text_printf("%s/bot-bottle", xdg);
		if (path == NULL)
			return no_memory(err);
		if (strlen(path) + rest < STORE_SOCKET_PATH_MAX)
			return bb_take_ptr(&path);
	}
	free(path);
	path = bb_text_printf("/tmp/bot-bottle-%u", (unsigned)geteuid());
	return path == NULL ? no_memory(err) : bb_take_ptr(&path);
}

char *store_run_base(struct bb_err *err)
{
	BB_AUTO_FREE char *path = run_base_path(err);

	if (path == NULL || make_private_dir(path, err) < 0)
		return NULL;
	return bb_take_ptr(&path);
}

char *store_fresh_run_dir(const char *identity, struct bb_err *err)
{
	return slug_or_error(identity, err) ? joined(run_base_path(err), identity, err) : NULL;
}

char *store_run_dir(const char *identity, struct bb_err *err)
{
	BB_AUTO_FREE char *link = store_state_path(identity, "run", err);
	char path[PATH_MAX];
	ssize_t n;

	if (link == NULL)
		return NULL;
	/* NOLINTNEXTLINE(readability-suspicious-call-argument): link is what is read */
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return store_fresh_run_dir(identity, err);
	path[n] = '\0';
	return strdup(path);
}
