/*
 * See places.h. The border of trust is the layout: whoever writes into a repository can bring an
 * agent (a prompt), never a bottle (hosts, credentials, files).
 */
#include "cli/places.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "store/store.h"

void cli_places_done(struct cli_places *p)
{
	free(p->home);
	free(p->cwd);
	bb_strv_free(p->notes);
}

static int add_note(struct cli_places *p, char *note, struct bb_err *err)
{
	return bb_strv_push(&p->notes, note) < 0 ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

/* Anything of that name, also a link that leads nowhere. */
static bool exists(const char *dir, const char *name)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, name);
	struct stat st;

	return path != NULL && lstat(path, &st) == 0;
}

static bool is_same(const char *a, const struct stat *b)
{
	struct stat st;

	return stat(a, &st) == 0 && st.st_dev == b->st_dev && st.st_ino == b->st_ino;
}

int cli_places_find(struct cli_places *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *here = NULL;
	struct stat st;

	ret->home = store_root(err);
	if (ret->home == NULL)
		return err->code;
	ret->in.home = ret->home;
	here = getcwd(NULL, 0);
	if (here == NULL)
		return 0; /* it was removed: nothing can be in it */
	ret->cwd = bb_text_printf("%s/.bot-bottle", here);
	if (ret->cwd == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (lstat(ret->cwd, &st) < 0 || is_same(ret->home, &st))
		return 0;
	if (!S_ISDIR(st.st_mode))
		return add_note(
			ret,
			bb_text_printf("'%s' is not a directory and is not looked into", ret->cwd),
			err);
	ret->in.cwd = ret->cwd;
	if (!exists(ret->cwd, "bottles"))
		return 0;
	return add_note(ret,
			bb_text_printf("'%s/bottles' counts for nothing: bottles come from "
				       "%s/bottles only",
				       ret->cwd, ret->home),
			err);
}
