/* `bot-bottle cp`: files and trees between host and guest, or out of a kept workspace. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/signals.h"
#include "cli/transfer.h"
#include "store/store.h"

static const struct cli_example examples[] = {
	{ "bot-bottle cp implementer-3k9x2:/home/node/workspace ./result", "fetch a tree" },
	{ "bot-bottle cp notes.md implementer-3k9x2:/home/node/workspace/", "put a file" },
};

struct place {
	char *identity; /* NULL: on the host */
	const char *path;
};

/* "ID:PATH" when there is a colon before the first slash. */
static int read_place(const char *word, struct place *ret, struct bb_err *err)
{
	const char *colon = strchr(word, ':');
	const char *slash = strchr(word, '/');
	BB_AUTO_FREE char *name = NULL;

	ret->path = word;
	if (colon == NULL || (slash != NULL && slash < colon))
		return 0;
	name = strndup(word, (size_t)(colon - word));
	if (name == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	ret->path = colon + 1;
	if (ret->path[0] != '/')
		return bb_err_set(err, BB_E_USAGE, "'%s': a path in a bottle begins with '/'",
				  BB_ESCAPED(bb_view_str(word)));
	ret->identity = cli_control_resolve(name, err);
	return ret->identity == NULL ? err->code : 0;
}

/* A path split into an open directory and a name in it. "." as name: the directory's content. */
struct local {
	int dir;
	char *name;
	bool is_dir; /* the whole path is an existing directory */
};

static void local_done(struct local *l)
{
	if (l->dir >= 0)
		(void)close(l->dir);
	free(l->name);
}

static int open_local(const char *path, bool must_exist, struct local *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *copy = strdup(path);
	struct stat st;
	char *slash;
	size_t n;

	if (copy == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (stat(path, &st) == 0)
		ret->is_dir = S_ISDIR(st.st_mode);
	else if (must_exist || errno != ENOENT)
		return bb_err_errno(err, "'%s'", path);
	for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	slash = strrchr(copy, '/');
	ret->name = strdup(slash == NULL ? copy : slash + 1);
	if (slash != NULL)
		slash[slash == copy ? 1 : 0] = '\0';
	if (ret->name == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (ret->name[0] == '\0' || strcmp(ret->name, ".") == 0 || strcmp(ret->name, "..") == 0) {
		free(ret->name);
		ret->name = strdup(".");
		ret->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		ret->dir = open(slash == NULL ? "." : copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return ret->dir < 0 || ret->name == NULL ? bb_err_errno(err, "'%s'", path) : 0;
}

/* Last component without trailing slashes, on the heap; "." for "/", "x/." and "x/..". */
static char *last_name(const char *path)
{
	size_t n = strlen(path);
	size_t start;

	while (n > 1 && path[n - 1] == '/')
		n--;
	start = n;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (n - start == 0 || (n - start <= 2 && path[start] == '.' && path[n - 1] == '.'))
		return strdup(".");
	return strndup(path + start, n - start);
}

static int put(const struct place *from, const struct place *to, struct bb_err *err)
{
	__attribute__((cleanup(local_done))) struct local source = { .dir = -1 };
	BB_AUTO(cli_control) struct cli_control *c = NULL;
	BB_AUTO_FREE char *parent = strdup(to->path);
	BB_AUTO_FREE char *as = last_name(to->path);
	bool is_into =
		to->path[strlen(to->path) - 1] == '/' || (as != NULL && as[0] == '.' && !as[1]);
	char *slash;
	int r;

	if (parent == NULL || as == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	r = open_local(from->path, true, &source, err);
	if (r == 0)
		r = cli_control_connect(to->identity, &c, err);
	if (r < 0)
		return r;
	/* "DIR/" and an existing directory take the source by its own name; else it is renamed. The
	 * guest's tree is not ours to look at, so only the slash decides. */
	if (is_into)
		return cli_transfer_put(c, source.dir, source.name, source.name, to->path, err);
	for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/'; n--)
		parent[n - 1] = '\0';
	slash = strrchr(parent, '/');
	slash[slash == parent ? 1 : 0] = '\0';
	return cli_transfer_put(c, source.dir, source.name, as, parent, err);
}

/* Path below the kept workspace, "" for all of it; NULL: elsewhere. */
static const char *inside(const char *workspace, const char *path)
{
	size_t n = strlen(workspace);

	if (strncmp(workspace, path, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	path += n;
	while (*path == '/')
		path++;
	return path;
}

static int get_kept(const struct place *from, int dir, const char *as, struct bb_err *err)
{
	BB_AUTO_FREE char *state = store_state_dir(from->identity, err);
	BB_AUTO_FREE char *path =
		state == NULL ? NULL : bb_text_printf("%s/workspace.frames", state);
	BB_AUTO_FREE char *inner = NULL;
	BB_AUTO_CLOSE int fd = -1;
	struct store_meta *meta = NULL;
	const char *below = NULL;
	int r = store_meta_read(from->identity, &meta, err);

	if (r < 0)
		return r;
	if (meta->workspace_kept && meta->guest_workspace != NULL)
		below = inside(meta->guest_workspace, from->path);
	if (!meta->workspace_kept)
		r = bb_err_set(err, BB_E_USAGE, "'%s' has ended and no workspace of it was kept",
			       from->identity);
	else if (below == NULL)
		r = bb_err_set(err, BB_E_USAGE, "'%s' has ended; only %s was kept", from->identity,
			       meta->guest_workspace);
	store_meta_free(meta);
	if (r < 0)
		return r;
	assert(below != NULL);
	inner = strdup(below);
	if (path == NULL || inner == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	for (size_t n = strlen(inner); n > 0 && inner[n - 1] == '/'; n--)
		inner[n - 1] = '\0';
	if (strcmp(inner, ".") == 0)
		inner[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return bb_err_errno(err, "cannot read '%s'", path);
	return cli_transfer_get_kept(fd, inner, dir, as, err);
}

static int get(const struct place *from, const struct place *to, struct bb_err *err)
{
	__attribute__((cleanup(local_done))) struct local dest = { .dir = -1 };
	BB_AUTO(cli_control) struct cli_control *c = NULL;
	BB_AUTO_FREE char *name = last_name(from->path);
	BB_AUTO_CLOSE int inner_dir = -1;
	const char *as;
	int dir, r = open_local(to->path, false, &dest, err);

	if (r < 0)
		return r;
	if (name == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	dir = dest.dir;
	as = dest.name;
	if (dest.is_dir && strcmp(dest.name, ".") != 0) { /* into it */
		inner_dir = openat(dest.dir, dest.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (inner_dir < 0)
			return bb_err_errno(err, "'%s'", to->path);
		dir = inner_dir;
	}
	if (dest.is_dir)
		as = name;
	if (!store_is_alive(from->identity))
		return get_kept(from, dir, as, err);
	r = cli_control_connect(from->identity, &c, err);
	return r < 0 ? r : cli_transfer_get(c, from->path, strcmp(name, ".") == 0, dir, as, err);
}

static int run_cp(const struct cli_args *args)
{
	struct place from = { 0 }, to = { 0 };
	struct bb_err err = { 0 };
	int r = cli_signals_open(&err);

	if (r == 0)
		r = read_place(args->operands[0], &from, &err);
	if (r == 0)
		r = read_place(args->operands[1], &to, &err);
	if (r == 0 && (from.identity == NULL) == (to.identity == NULL))
		r = bb_err_set(&err, BB_E_USAGE,
			       "one of the two is in a bottle, written ID:/path, the other is not");
	if (r == 0)
		r = from.identity == NULL ? put(&from, &to, &err) : get(&from, &to, &err);
	free(from.identity);
	free(to.identity);
	return r < 0 ? cli_out_fail(&err) : 0;
}

const struct cli_command cli_cp = {
	.name = "cp",
	.operands = "ID:PATH DEST | SOURCE ID:PATH",
	.summary = "Copy files out of a bottle, or into one",
	.about = "Out of a bottle that has ended, the kept workspace can be fetched. What a guest "
		 "wrote is unpacked\nby a confined process: no symbolic link is followed, links "
		 "that "
		 "lead out of the tree, devices and\nset-user-id bits are left out and named, "
		 "nothing "
		 "is written outside the destination. An archive\nthat ends early is an error. "
		 "Into a "
		 "bottle, PATH ending in '/' is a directory to copy into.",
	CLI_EXAMPLES(examples),
	.operands_min = 2,
	.operands_max = 2,
	.word = CLI_WORD_PLACE,
	.run = run_cp,
};
