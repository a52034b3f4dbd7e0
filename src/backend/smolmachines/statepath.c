/*
 * The rules of the `dirs` crate, which smolvm uses: on Linux an absolute XDG_DATA_HOME, else
 * ~/.local/share; on macOS ~/Library/Application Support, whatever XDG_* says; without HOME what
 * the user database says. Caches likewise: XDG_CACHE_HOME, ~/.cache, ~/Library/Caches.
 */
#include "backend/smolmachines/statepath.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "image/sha256.h"

#define DIGITS 16 /* of a machine's directory: 8 bytes of the digest */

/* What differs between data and cache. */
struct place {
	const char *xdg, *linux_home, *darwin_home;
};

static char *below(const struct statepath_env *env, const struct place *p, const char *rest,
		   struct bb_err *err)
{
	const char *home = env->home != NULL && env->home[0] != '\0' ? env->home : env->passwd_home;
	char *path;

	if (env->os == STATEPATH_LINUX && p->xdg != NULL && p->xdg[0] == '/') {
		path = bb_text_printf("%s/%s", p->xdg, rest);
	} else if (home == NULL || home[0] != '/') {
		(void)bb_err_set(err, BB_E_USAGE,
				 "no home directory: set HOME to an absolute path, so that smolvm "
				 "and bot-bottle agree on where its state database is");
		return NULL;
	} else {
		path = bb_text_printf("%s/%s/%s", home,
				      env->os == STATEPATH_DARWIN ? p->darwin_home : p->linux_home,
				      rest);
	}
	if (path == NULL)
		(void)bb_err_set(err, -ENOMEM, "out of memory");
	return path;
}

static char *below_data(const struct statepath_env *env, const char *rest, struct bb_err *err)
{
	const struct place data = { env->xdg_data_home, ".local/share",
				    "Library/Application Support" };

	return below(env, &data, rest, err);
}

char *statepath_machine(const struct statepath_env *env, const char *machine, struct bb_err *err)
{
	const struct place cache = { env->xdg_cache_home, ".cache", "Library/Caches" };
	char digest[SHA256_DIGITS + 1], rest[64];
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, machine, strlen(machine));
	sha256_final_hex(&s, digest);
	(void)snprintf(rest, sizeof(rest), "smolvm/vms/%.*s", DIGITS, digest);
	return below(env, &cache, rest, err);
}

char *statepath_database(const struct statepath_env *env, struct bb_err *err)
{
	return below_data(env, "smolvm/server/smolvm.db", err);
}

char *statepath_records(const struct statepath_env *env, struct bb_err *err)
{
	return below_data(env, "bot-bottle/smolmachines", err);
}
