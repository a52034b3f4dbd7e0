/*
 * A record is written and locked before its machine is made and unlinked, still locked, after the
 * machine is gone: whoever gets the lock of a record that still has its name may remove the
 * machine, and nobody else.
 */
#include "backend/smolmachines/record.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"

#define RECORD_MAX 65536
#define LOCK_TRIES 16
#define WAIT_MS    50 /* between two looks at a keeper's lock */

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

static char *record_text(const struct smolvm *vm, const char *run_dir)
{
	AUTO_JSON json_t *env = json_array();
	AUTO_JSON json_t *root = NULL;

	for (size_t i = 0; env != NULL && vm->env[i] != NULL; i++)
		if (json_array_append_new(env, json_string(vm->env[i])) < 0)
			return NULL; /* not UTF-8 */
	root = json_pack("{s:i, s:s, s:s, s:O}", "format", 1, "smolvm", vm->path, "run_dir",
			 run_dir, "environment", env);
	return root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
}

int smol_record_hold(const char *dir, const char *machine, const struct smolvm *vm,
		     const char *run_dir, struct smol_record *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, machine);
	BB_AUTO_FREE char *text = record_text(vm, run_dir);
	BB_AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	if (path == NULL)
		return no_memory(err);
	if (text == NULL)
		return bb_err_set(
			err, -EINVAL,
			"smolvm's path, its environment or the run directory is not UTF-8");
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

/* NULL: damaged, or not written to its end. */
static json_t *read_record(int fd)
{
	BB_AUTO_BUF struct bb_buf text;

	bb_buf_init(&text, RECORD_MAX);
	if (lseek(fd, 0, SEEK_SET) < 0 || bb_fd_read_to_end(fd, &text) < 0)
		return NULL;
	return json_loadb((const char *)bb_buf_peek(&text).p, bb_buf_size(&text), 0, NULL);
}

/* How smolvm was run; from now on's environment when the record does not say. */
static int open_recorded(int fd, struct smolvm *ret, struct bb_err *err)
{
	AUTO_JSON json_t *root = read_record(fd);
	BB_AUTO_STRV char **env = calloc(1, sizeof(*env));
	json_t *list;
	const char *path;

	if (env == NULL)
		return no_memory(err);
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

/* What a reaping has to tell, and to whom. */
struct reaping {
	backend_told *told;
	void *arg;
	const char *machine;
};

static void tell(const struct reaping *t, enum backend_reaped what, const char *why)
{
	if (t->told != NULL)
		t->told(t->arg, t->machine, what, why);
}

/* Its keeper lives and the bottle does not: the machine is being removed. */
static bool is_over(const char *path)
{
	BB_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_JSON json_t *root = fd < 0 ? NULL : read_record(fd);
	const char *run_dir = json_string_value(json_object_get(root, "run_dir"));

	return run_dir != NULL && access(run_dir, F_OK) < 0 && errno == ENOENT;
}

/* The record's lock, when nobody has it (any more); else as lock_file(). -EALREADY: its keeper is
 * still at it. */
static int take_record(const char *path, const struct reaping *t)
{
	uint64_t deadline_ms = bb_clock_ms() + SMOL_RECORD_WAIT_MS;
	int fd = lock_file(path, 0, NULL);

	if (fd != -EBUSY || !is_over(path))
		return fd;
	tell(t, BACKEND_REAP_BEGINS, NULL);
	while (fd == -EBUSY && bb_clock_left_ms(deadline_ms) > 0) {
		(void)poll(NULL, 0, WAIT_MS);
		fd = lock_file(path, 0, NULL);
	}
	return fd == -EBUSY ? -EALREADY : fd;
}

static int remove_machine(int record_fd, const char *machine, struct bb_err *err)
{
	struct smolvm vm = { 0 };
	struct stat st;
	int r = 0;

	/* Empty: its keeper was killed before there was a machine. */
	if (fstat(record_fd, &st) == 0 && st.st_size == 0)
		return 0;
	r = open_recorded(record_fd, &vm, err);
	if (r == BB_E_REFUSED && vm.path != NULL)
		r = 0; /* a version that starts nothing any more still removes */
	if (r == 0)
		r = smolvm_remove(&vm, machine, err);
	smolvm_done(&vm);
	return r;
}

/* 1: gone, 0: held by a living bottle's keeper (or just gone), negative: still there. */
static int reap_one(const char *path, const struct reaping *t, struct bb_err *err)
{
	struct smol_record record = { .path = strdup(path), .lock_fd = -1 };
	int r;

	if (record.path == NULL)
		return no_memory(err);
	record.lock_fd = take_record(path, t);
	if (record.lock_fd < 0) {
		r = record.lock_fd == -EALREADY
			    ? bb_err_set(err, -EBUSY, "its keeper still removes it")
			    : 0;
		record.lock_fd = -1;
		smol_record_abandon(&record);
		return r;
	}
	tell(t, BACKEND_REAP_BEGINS, NULL);
	r = remove_machine(record.lock_fd, t->machine, err);
	if (r < 0)
		smol_record_abandon(&record);
	else
		smol_record_drop(&record);
	return r < 0 ? r : 1;
}

int smol_record_reap(const char *dir, backend_told *told, void *arg, struct bb_err *err)
{
	DIR *d = opendir(dir);
	int gone = 0, first = 0;

	if (d == NULL)
		return errno == ENOENT ? 0 : bb_err_errno(err, "cannot read '%s'", dir);
	for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		const struct reaping t = { told, arg, e->d_name };
		BB_AUTO_FREE char *identity = smolvm_machine_identity(e->d_name);
		BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, e->d_name);
		struct bb_err why = { 0 };
		int r = identity == NULL || path == NULL ? 0 : reap_one(path, &t, &why);

		if (r < 0 && first == 0) {
			first = r; /* the others are removed all the same */
			(void)bb_err_set(err, r, "%s", why.msg);
		}
		gone += r > 0;
		if (r != 0)
			tell(&t, r < 0 ? BACKEND_REAP_LEFT : BACKEND_REAP_GONE,
			     r < 0 ? why.msg : "");
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
