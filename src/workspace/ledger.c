/* See ledger.h: making one, and the calls of git that everything else is made of. */
#include "workspace/ledger.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limit.h"
#include "base/path.h"
#include "base/text.h"

#define ENV_MAX  8
#define ORIGIN   "origin-directory" /* a resumed bottle's metadata do not have it */
#define BOT_NAME "bot-bottle"
#define BOT_MAIL "bot-bottle@localhost"

/* Wins over every .gitattributes of a working tree: what is stored is what is on the disk. */
static const char attributes[] =
	"* -text -eol -crlf -ident -filter -working-tree-encoding !diff !merge -export-subst\n";

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

void ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	free(l->dir);
	free(l->env[0]);
	free(l);
}

bool ledger_exists(const char *state_dir)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/" LEDGER_NAME "/HEAD", state_dir);

	return path != NULL && access(path, R_OK) == 0;
}

int ledger_open(const char *state_dir, workspace_wait_fn *wait, struct ledger **ret,
		struct bb_err *err)
{
	BB_AUTO(ledger) struct ledger *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return no_memory(err);
	l->wait = wait;
	l->dir = bb_text_printf("%s/" LEDGER_NAME, state_dir);
	l->env[0] = l->dir == NULL ? NULL : bb_text_printf("GIT_DIR=%s", l->dir);
	if (l->env[0] == NULL)
		return no_memory(err);
	*ret = bb_take_ptr(&l);
	return 0;
}

/* --- calls ------------------------------------------------------------------------------------ */

int ledger_git(const struct ledger *l, const struct ledger_git *how, const char *const *args,
	       struct bb_err *err)
{
	char *env[ENV_MAX] = { l->env[0] };
	char access[GIT_DIRS_MAX + 1] = "w";
	struct git_call call = { .wait = l->wait,
				 .dirs = { l->dir },
				 .access = access,
				 .env = env,
				 .args = args,
				 .input = how->input,
				 .in_fd = how->in_fd,
				 .out_fd = how->out_fd,
				 .out = how->out,
				 .may_fail = how->may_fail };

	for (size_t i = 0; how->env != NULL && how->env[i] != NULL && i + 2 < ENV_MAX; i++)
		env[i + 1] = how->env[i];
	for (size_t i = 0; how->access != NULL && how->access[i] != '\0'; i++) {
		call.dirs[i + 1] = how->dirs[i];
		access[i + 1] = how->access[i];
		access[i + 2] = '\0';
	}
	return git_run(&call, err);
}

int ledger_ask_id(const struct ledger *l, const struct ledger_git *how, const char *const *args,
		  char ret[LEDGER_ID_MAX], struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	struct ledger_git with = *how;
	struct bb_view v;
	int r;

	bb_buf_init(&out, 4096);
	with.out = &out;
	ret[0] = '\0';
	r = ledger_git(l, &with, args, err);
	if (r != 0)
		return r < 0 ? r : 0;
	v = bb_buf_peek(&out);
	if (v.n < 2 || v.n > LEDGER_ID_MAX || v.p[v.n - 1] != '\n' ||
	    memchr(v.p, '\n', v.n) != v.p + v.n - 1)
		return bb_err_set(err, BB_E_PART, "git %s: an odd answer", args[0]);
	memcpy(ret, v.p, v.n - 1);
	ret[v.n - 1] = '\0';
	return 0;
}

static int simple(const struct ledger *l, const char *const *args, struct bb_err *err)
{
	return ledger_git(l, &(struct ledger_git){ 0 }, args, err);
}

/* --- making ----------------------------------------------------------------------------------- */

/* One line of the operator's repository; "" when git answers no. */
static int ask_repo(const struct workspace_list *list, workspace_wait_fn *wait,
		    const char *const *args, char *ret, size_t cap, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	char access[GIT_DIRS_MAX + 1];
	struct git_call call = { .wait = wait, .args = args, .out = &out, .may_fail = true };
	struct bb_view v;
	int r;

	bb_buf_init(&out, cap);
	repo_call(list->repo, list->dir, NULL, &call, access);
	ret[0] = '\0';
	r = git_run(&call, err);
	v = bb_buf_peek(&out);
	if (r != 0 || v.n == 0)
		return r < 0 ? r : 0;
	memcpy(ret, v.p, v.n - 1);
	ret[v.n - 1] = '\0';
	return 0;
}

static int write_file(const struct ledger *l, const char *name, const char *text,
		      struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", l->dir, name);

	return path == NULL ? no_memory(err)
			    : bb_path_write_atomic(path, text, strlen(text), 0600, err);
}

static int init(struct ledger *l, const struct workspace_list *list, struct bb_err *err)
{
	const char *const ask[] = { "rev-parse", "--show-object-format", NULL };
	BB_AUTO_FREE char *format = NULL, *info = bb_text_printf("%s/info", l->dir);
	char name[64] = "";
	int r = list->has_history ? ask_repo(list, l->wait, ask, name, sizeof(name), err) : 0;

	if (r < 0)
		return r;
	format = bb_text_printf("--object-format=%s", name[0] != '\0' ? name : "sha1");
	if (format == NULL || info == NULL)
		return no_memory(err);
	/* A resumed bottle's may be there, of a directory that is copied in anew. */
	r = bb_path_remove_tree(l->dir, err);
	if (r == 0)
		r = bb_path_mkdirs(l->dir, 0700, err);
	if (r == 0)
		r = simple(l,
			   (const char *const[]){ "init", "--quiet", "--bare",
						  "--template=", format, NULL },
			   err);
	if (r == 0)
		r = bb_path_mkdirs(info, 0700, err);
	return r < 0 ? r : write_file(l, "info/attributes", attributes, err);
}

/* What the operator's HEAD is: a branch (also an unborn one), or a commit. */
static int set_head(struct ledger *l, const struct workspace_list *list, const char *id,
		    struct bb_err *err)
{
	const char *const ask[] = { "symbolic-ref", "-q", "HEAD", NULL };
	char name[4096];
	int r = ask_repo(list, l->wait, ask, name, sizeof(name), err);

	if (r < 0)
		return r;
	if (name[0] != '\0')
		return simple(l, (const char *const[]){ "symbolic-ref", "HEAD", name, NULL }, err);
	if (id[0] == '\0')
		return 0;
	return simple(l, (const char *const[]){ "update-ref", "--no-deref", "HEAD", id, NULL },
		      err);
}

static int fetch(struct ledger *l, const struct workspace_list *list, bool has_head,
		 struct bb_err *err)
{
	const struct repo *r = list->repo;
	/* The operator's own objects, however old, are not judged here. */
	const char *const args[] = { "-c",
				     "fetch.fsckObjects=false",
				     "-c",
				     "transfer.fsckObjects=false",
				     "fetch",
				     "--quiet",
				     "--no-tags",
				     "--no-auto-maintenance",
				     "--no-write-fetch-head",
				     "--update-shallow",
				     r->top,
				     "+refs/heads/*:refs/heads/*",
				     "+refs/tags/*:refs/tags/*",
				     "+refs/remotes/*:refs/remotes/*",
				     has_head ? "+HEAD:" LEDGER_START : NULL,
				     NULL };
	struct ledger_git how = { .access = "rrrrr" };
	const char *dirs[] = { r->top, r->git_dir, r->common_dir, r->alternates[0],
			       r->alternates[1] };
	char access[6] = "";
	size_t n = 0;

	for (size_t i = 0; i < BB_ARRAY_LEN(dirs); i++) {
		bool is_known = dirs[i] == NULL;

		for (size_t k = 0; !is_known && k < n; k++)
			is_known = strncmp(how.dirs[k], dirs[i], strlen(how.dirs[k])) == 0 &&
				   (dirs[i][strlen(how.dirs[k])] == '/' ||
				    dirs[i][strlen(how.dirs[k])] == '\0');
		if (!is_known && n < BB_ARRAY_LEN(how.dirs)) {
			how.dirs[n] = dirs[i];
			access[n++] = 'r';
		}
	}
	how.access = access;
	if (ledger_git(l, &how, args, err) < 0)
		return bb_err_wrap(err, "cannot clone '%s' (--no-git copies the files without it)",
				   r->top);
	return 0;
}

/* The index that goes along: HEAD's, so that the guest's git sees what differs. What was left out
 * on purpose does not look deleted. */
static int make_index(struct ledger *l, const struct workspace_list *list, struct bb_err *err)
{
	BB_AUTO_FREE char *index = bb_text_printf("GIT_INDEX_FILE=%s/index", l->dir);
	BB_AUTO_FREE char *tree =
		bb_text_printf("GIT_WORK_TREE=%s", l->dir); /* asked for, not read */
	BB_AUTO_BUF struct bb_buf skipped = { 0 };
	char *env[] = { index, tree, NULL };
	struct ledger_git how = { .env = env };
	int r = index == NULL || tree == NULL
			? no_memory(err)
			: ledger_git(l, &how,
				     (const char *const[]){ "read-tree", LEDGER_START, NULL }, err);

	bb_buf_init(&skipped, LIMIT_GIT_OUTPUT);
	for (size_t i = 0; r == 0 && i < list->left_count; i++)
		if (list->left[i].is_tracked)
			r = bb_buf_append(&skipped, list->left[i].path,
					  strlen(list->left[i].path) + 1);
	if (r < 0 || bb_buf_size(&skipped) == 0)
		return r;
	how.input = bb_buf_peek(&skipped);
	/* One that is staged and not committed is not in this index, which ends this git: the
	 * others may then look deleted to the guest, and nothing else is wrong. */
	(void)ledger_git(
		l, &how,
		(const char *const[]){ "update-index", "--skip-worktree", "-z", "--stdin", NULL },
		NULL);
	return 0;
}

int ledger_make(struct ledger *l, const struct workspace_list *list, struct bb_err *err)
{
	const char *const ask[] = { "rev-parse", "-q", "--verify", "HEAD^{commit}", NULL };
	char id[256] = "";
	int r = init(l, list, err);

	if (r < 0 || !list->has_history)
		return r;
	r = ask_repo(list, l->wait, ask, id, sizeof(id), err);
	if (r == 0)
		r = fetch(l, list, id[0] != '\0', err);
	if (r == 0)
		r = set_head(l, list, id, err);
	if (r == 0 && id[0] != '\0')
		r = make_index(l, list, err);
	return r;
}

/* --- recording -------------------------------------------------------------------------------- */

int ledger_commit(const struct ledger *l, const char *tree, const char *parent, const char *message,
		  char ret[LEDGER_ID_MAX], struct bb_err *err)
{
	static char author[] = "GIT_AUTHOR_NAME=" BOT_NAME, mail[] = "GIT_AUTHOR_EMAIL=" BOT_MAIL;
	static char committer[] = "GIT_COMMITTER_NAME=" BOT_NAME,
		    other_mail[] = "GIT_COMMITTER_EMAIL=" BOT_MAIL;
	static char *const env[] = { author, mail, committer, other_mail, NULL };
	const struct ledger_git how = { .env = env, .input = bb_view_str(message) };
	const char *const args[] = { "commit-tree", tree, parent[0] != '\0' ? "-p" : NULL, parent,
				     NULL };

	return ledger_ask_id(l, &how, args, ret, err);
}

int ledger_record(struct ledger *l, const struct workspace_list *list, struct bb_err *err)
{
	const char *const ask[] = { "rev-parse", "-q", "--verify", LEDGER_START, NULL };
	const char *const empty[] = { "hash-object", "-t", "tree", "-w", "--stdin", NULL };
	char none[LEDGER_ID_MAX], tree[LEDGER_ID_MAX], start[LEDGER_ID_MAX], commit[LEDGER_ID_MAX];
	int r = ledger_ask_id(l, &(struct ledger_git){ 0 }, empty, none, err);

	if (r == 0)
		r = ledger_snapshot(l, list->dir, l->dir, none, bb_buf_peek(&list->paths), tree,
				    err);
	if (r == 0)
		r = ledger_ask_id(l, &(struct ledger_git){ .may_fail = true }, ask, start, err);
	if (r == 0)
		r = ledger_commit(l, tree, start, "files as they were copied into the bottle\n",
				  commit, err);
	if (r == 0)
		r = write_file(l, ORIGIN, list->dir, err);
	return r < 0 ? r
		     : simple(l, (const char *const[]){ "update-ref", LEDGER_BASE, commit, NULL },
			      err);
}

char *ledger_origin(const struct ledger *l)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/" ORIGIN, l->dir);
	BB_AUTO_BUF struct bb_buf text = { 0 };

	bb_buf_init(&text, PATH_MAX);
	return path == NULL || bb_path_read(path, 1, &text, NULL) < 0 ? NULL
								      : bb_buf_dup_str(&text);
}

/* Sorts paths into what is there as a file or link, and what is not (any more). */
static int sort_paths(const char *dir, struct bb_view paths, struct bb_buf *there,
		      struct bb_buf *gone, struct bb_err *err)
{
	BB_AUTO_CLOSE int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *path;

	if (root < 0)
		return bb_err_errno(err, "cannot read '%s'", dir);
	while (git_next(&paths, &path)) {
		struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
					.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
		BB_AUTO_CLOSE int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		struct stat st;
		bool is_there = fd >= 0 && fstat(fd, &st) == 0 &&
				(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode));

		if (bb_buf_append(is_there ? there : gone, path, strlen(path) + 1) < 0)
			return no_memory(err);
	}
	return 0;
}

int ledger_snapshot(const struct ledger *l, const char *dir, const char *scratch, const char *from,
		    struct bb_view paths, char ret[LEDGER_ID_MAX], struct bb_err *err)
{
	BB_AUTO_FREE char *index = bb_text_printf("GIT_INDEX_FILE=%s/snapshot.index", scratch);
	BB_AUTO_FREE char *tree = bb_text_printf("GIT_WORK_TREE=%s", dir);
	BB_AUTO_BUF struct bb_buf there = { 0 }, gone = { 0 };
	char *env[] = { index, tree, NULL };
	struct ledger_git how = { .dirs = { dir, scratch }, .access = "rw", .env = env };
	int r = index == NULL || tree == NULL ? no_memory(err) : 0;

	bb_buf_init(&there, LIMIT_GIT_OUTPUT);
	bb_buf_init(&gone, LIMIT_GIT_OUTPUT);
	if (r == 0)
		r = sort_paths(dir, paths, &there, &gone, err);
	if (r == 0)
		r = ledger_git(l, &how, (const char *const[]){ "read-tree", from, NULL }, err);
	how.input = bb_buf_peek(&gone);
	if (r == 0 && how.input.n > 0)
		r = ledger_git(l, &how,
			       (const char *const[]){ "update-index", "--force-remove", "-z",
						      "--stdin", NULL },
			       err);
	how.input = bb_buf_peek(&there);
	/* Level 1: an object costs little time, and mostly lives as long as its bottle. */
	if (r == 0 && how.input.n > 0)
		r = ledger_git(l, &how,
			       (const char *const[]){ "-c", "core.compression=1", "-c",
						      "core.fsync=none", "update-index", "--add",
						      "--remove", "--replace", "-z", "--stdin",
						      NULL },
			       err);
	how.input = bb_view_of(NULL, 0);
	return r < 0 ? r
		     : ledger_ask_id(l, &how, (const char *const[]){ "write-tree", NULL }, ret,
				     err);
}

int ledger_edit(const struct ledger *l, const char *scratch, const char *from, struct bb_view edits,
		char ret[LEDGER_ID_MAX], struct bb_err *err)
{
	BB_AUTO_FREE char *index = bb_text_printf("GIT_INDEX_FILE=%s/edit.index", scratch);
	char *env[] = { index, NULL };
	struct ledger_git how = { .dirs = { scratch }, .access = "w", .env = env };
	int r = index == NULL ? no_memory(err)
			      : ledger_git(l, &how,
					   (const char *const[]){ "read-tree", from, NULL }, err);

	how.input = edits;
	if (r == 0 && edits.n > 0)
		r = ledger_git(l, &how,
			       (const char *const[]){ "update-index", "-z", "--index-info", NULL },
			       err);
	how.input = bb_view_of(NULL, 0);
	return r < 0 ? r
		     : ledger_ask_id(l, &how, (const char *const[]){ "write-tree", NULL }, ret,
				     err);
}

int ledger_paths(const struct ledger *l, const char *dir, const char *scratch, const char *from,
		 struct bb_buf *ret, char ***notes, struct bb_err *err)
{
	BB_AUTO_FREE char *index = bb_text_printf("GIT_INDEX_FILE=%s/list.index", scratch);
	BB_AUTO_FREE char *tree = bb_text_printf("GIT_WORK_TREE=%s", dir);
	BB_AUTO_BUF struct bb_buf out = { 0 };
	char *env[] = { index, tree, NULL };
	struct ledger_git how = { .dirs = { dir, scratch }, .access = "rw", .env = env };
	int r = index == NULL || tree == NULL ? no_memory(err) : 0;
	const char *path;
	struct bb_view v;

	bb_buf_init(&out, LIMIT_GIT_OUTPUT);
	if (r == 0)
		r = ledger_git(l, &how, (const char *const[]){ "read-tree", from, NULL }, err);
	how.out = &out;
	/* It works in the ledger's directory: --work-tree decides what is listed. */
	if (r == 0)
		r = ledger_git(l, &how,
			       (const char *const[]){ "-C", dir, "ls-files", "-z", "--cached",
						      "--others", "--exclude-standard", NULL },
			       err);
	v = bb_buf_peek(&out);
	while (r == 0 && git_next(&v, &path)) {
		size_t n = strlen(path);

		if (n > 0 && path[n - 1] == '/')
			r = bb_strv_push(notes, strdup(path));
		else
			r = bb_buf_append(ret, path, n + 1);
		if (r < 0)
			return no_memory(err);
	}
	return r;
}

int ledger_raw(const struct ledger *l, const char *from, const char *to, struct bb_buf *ret,
	       struct bb_err *err)
{
	const struct ledger_git how = { .out = ret };

	return ledger_git(l, &how,
			  (const char *const[]){ "diff-tree", "-r", "--raw", "-z", "--no-renames",
						 "--no-abbrev", from, to, NULL },
			  err);
}
