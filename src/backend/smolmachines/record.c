/*
 * A record is written and locked before its machine is made and unlinked, still locked, after the
 * machine is gone: whoever gets the lock of a record that still has its name may remove the
 * machine, and nobody else.
 */
#include "backend/smolmachines/record.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"

#define RECORD_MAX 65536
#define LOCK_TRIES 16

static inline void record_unref(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(record_unref)))

static int no_memory(struct bb_err *err)
{
	return bb_err_set(err, -ENOMEM, "out of memory");
}

static bool is_same_file(int fd, const char *path)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_dev == named.st_dev &&
	       ours.st_ino == named.st_ino;
}

/* The locked file of this name: its descriptor; -EBUSY: somebody holds it, -ENOENT. */
static int lock_file(const char *path, int flags, struct bb_err *err)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		BB_AUTO_CLOSE int fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return bb_err_errno(err, "cannot open '%s'", path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return bb_err_set(err, -EBUSY, "'%s' is held by a bottle that lives", path);
		if (is_same_file(fd, path))
			return bb_take_fd(&fd);
		/* Removed between open and lock: the name is free or somebody else's now. */
	}
	return bb_err_set(err, -EBUSY, "'%s' changes all the time", path);
}

static char *record_text(const struct smolvm *vm)
{
	AUTO_JSON json_t *env = json_array();
	AUTO_JSON json_t *root = NULL;

	for (size_t i = 0; env != NULL && vm->env[i] != NULL; i++)
		if (json_array_append_new(env, json_string(vm->env[i])) < 0)
			return NULL; /* not UTF-8 */
	root = json_pack("{s:i, s:s, s:O}", "format", 1, "smolvm", vm->path, "environment", env);
	return root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
}

int smol_record_hold(const char *dir, const char *machine, const struct smolvm *vm,
		     struct smol_record *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, machine);
	BB_AUTO_FREE char *text = record_text(vm);
	BB_AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	if (path == NULL)
		return no_memory(err);
	if (text == NULL)
		return bb_err_set(err, -EINVAL, "smolvm's path or environment is not UTF-8");
	r = bb_path_mkdirs(dir, 0700, err);
	if (r < 0)
		return r;
	fd = lock_file(path, O_CREAT, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_size != 0)
		return bb_err_set(err, -EEXIST,
				  "machine '%s' of a bottle that was killed is still there; run: "
				  "bot-bottle cleanup",
				  machine);
	r = bb_fd_write_all(fd, text, strlen(text));
	if (r < 0) {
		(void)unlink(path); /* the failure to write is what is told */
		return bb_err_set(err, r, "cannot write '%s': %s", path, bb_err_name(r));
	}
	ret->path = bb_take_ptr(&path);
	ret->lock_fd = bb_take_fd(&fd);
	return 0;
}

static void let_go(struct smol_record *r)
{
	if (r->path != NULL && r->lock_fd >= 0)
		(void)close(r->lock_fd);
	free(r->path);
	*r = (struct smol_record){ .lock_fd = -1 };
}

void smol_record_drop(struct smol_record *r)
{
	if (r->path != NULL)
		(void)unlink(
			r->path); /* stays: the next command finds no machine and tries again */
	let_go(r);
}

void smol_record_abandon(struct smol_record *r)
{
	let_go(r);
}

/* How smolvm was run; from now on's environment when the record does not say. */
static int open_recorded(int fd, struct smolvm *ret, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf text;
	AUTO_JSON json_t *root = NULL;
	BB_AUTO_STRV char **env = calloc(1, sizeof(*env));
	json_t *list;
	const char *path;

	bb_buf_init(&text, RECORD_MAX);
	if (lseek(fd, 0, SEEK_SET) < 0 || bb_fd_read_to_end(fd, &text) < 0 || env == NULL)
		return bb_err_set(err, -EIO, "its record cannot be read");
	root = json_loadb((const char *)bb_buf_peek(&text).p, bb_buf_size(&text), 0, NULL);
	path = json_string_value(json_object_get(root, "smolvm"));
	list = json_object_get(root, "environment");
	if (path == NULL || path[0] != '/' || !json_is_array(list))
		return smolvm_open(smolvm_own_environment, ret, err);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *entry = json_string_value(json_array_get(list, i));

		if (entry == NULL || bb_strv_push(&env, strdup(entry)) < 0)
			return bb_err_set(err, -EIO, "its record is damaged");
	}
	return smolvm_open_at(strdup(path), bb_take_ptr(&env), ret, err);
}

/* 1: gone, 0: held by a living keeper (or just gone), negative: still there. */
static int reap_one(const char *path, const char *machine, struct bb_err *err)
{
	struct smol_record record = { .lock_fd = lock_file(path, 0, NULL) };
	struct smolvm vm = { 0 };
	struct stat st;
	int r = 0;

	if (record.lock_fd < 0)
		return 0;
	record.path = strdup(path);
	/* Empty: its keeper was killed before there was a machine. */
	if (fstat(record.lock_fd, &st) < 0 || st.st_size != 0)
		r = open_recorded(record.lock_fd, &vm, err);
	if (r == BB_E_REFUSED && vm.path != NULL)
		r = 0; /* a version that starts nothing any more still removes */
	if (r == 0 && vm.path != NULL)
		r = smolvm_remove(&vm, machine, err);
	smolvm_done(&vm);
	if (r < 0 || record.path == NULL) {
		if (record.path == NULL)
			(void)close(record.lock_fd);
		smol_record_abandon(&record);
		return r < 0 ? r : no_memory(err);
	}
	smol_record_drop(&record);
	return 1;
}

int smol_record_reap(const char *dir, void (*told)(void *arg, const char *machine, const char *why),
		     void *arg, struct bb_err *err)
{
	DIR *d = opendir(dir);
	int gone = 0, first = 0;

	if (d == NULL)
		return errno == ENOENT ? 0 : bb_err_errno(err, "cannot read '%s'", dir);
	for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		BB_AUTO_FREE char *identity = smolvm_machine_identity(e->d_name);
		BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, e->d_name);
		struct bb_err why = { 0 };
		int r = identity == NULL || path == NULL ? 0 : reap_one(path, e->d_name, &why);

		if (r < 0 && first == 0) {
			first = r; /* the others are removed all the same */
			(void)bb_err_set(err, r, "%s", why.msg);
		}
		gone += r > 0;
		if (r != 0 && told != NULL)
			told(arg, e->d_name, r < 0 ? why.msg : NULL);
	}
	(void)closedir(d);
	return first < 0 ? first : gone;
}

/* The list is read first: a machine that is made meanwhile has its record before it is listed. */
int smol_record_strays(const char *dir, const struct smolvm *vm,
		       void (*found)(void *arg, const char *machine), void *arg, struct bb_err *err)
{
	BB_AUTO_FREE struct smolvm_status *all = NULL;
	size_t n = 0;
	int r = smolvm_ls(vm, &all, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		BB_AUTO_FREE char *identity = smolvm_machine_identity(all[i].name);
		BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, all[i].name);

		if (identity != NULL && path != NULL && access(path, F_OK) < 0 && errno == ENOENT)
			found(arg, all[i].name);
	}
	return r;
}

char *smol_record_dir(struct bb_err *err)
{
	BB_AUTO_STRV char **env = smolvm_environment(smolvm_own_environment);
	const struct smolvm vm = { .env = env };
	struct statepath_env paths;

	if (env == NULL) {
		(void)no_memory(err);
		return NULL;
	}
	paths = smolvm_paths(&vm);
	return statepath_records(&paths, err);
}
