/* Which directory is copied in, and what of it: the command line's, else the bottle's. */
#include "cli/config_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/workspace.h"

/* "~/x" of a manifest. */
static char *below_home(const char *path)
{
	const char *home = getenv("HOME");

	return path[0] == '~' && home != NULL ? bb_text_printf("%s%s", home, path + 1)
					      : strdup(path);
}

/* The directory that the bottle names, unless the command line names one. */
static int workspace_of_bottle(struct cli_config *c, struct bb_err *err)
{
	const struct manifest_workspace *w = &c->bottle->workspace;
	BB_AUTO_FREE char *path = w->path == NULL ? NULL : below_home(w->path);
	int r;

	if (w->path == NULL)
		return 0;
	if (path == NULL)
		return config_no_memory(err);
	r = cli_workspace_check(path, &c->cwd, err);
	c->has_bottles_cwd = true;
	return r < 0 ? bb_err_wrap(err, "manifest '%s':%u: 'workspace.path'", w->path_at.file,
				   w->path_at.line)
		     : 0;
}

int config_choose_workspace(struct cli_config *c, const struct cli_args *args, struct bb_err *err)
{
	const struct manifest_workspace *w = &c->bottle->workspace;
	bool is_asked;
	int r = 0;

	c->include = cli_args_all(args, "include");
	if (c->include == NULL)
		return config_no_memory(err);
	is_asked = cli_args_has(args, "no-git") || c->include[0] != NULL;
	c->no_git = cli_args_has(args, "no-git") || !w->has_git;
	for (size_t i = 0; w->include != NULL && w->include[i] != NULL; i++)
		if (bb_strv_push(&c->include, strdup(w->include[i])) < 0)
			return config_no_memory(err);
	if (cli_args_has(args, "cwd")) {
		r = cli_workspace_check(cli_args_get(args, "cwd"), &c->cwd, err);
		if (r < 0)
			return bb_err_wrap(err, "--cwd");
	} else if (c->resumed == NULL) { /* a kept one comes back as it was */
		r = workspace_of_bottle(c, err);
	}
	if (r == 0 && c->cwd == NULL && is_asked)
		return bb_err_set(err, BB_E_USAGE,
				  "--include and --no-git are about the directory that --cwd or "
				  "the bottle's 'workspace' copies in");
	return r;
}
