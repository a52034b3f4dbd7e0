/*
 * State directories: birth, locks, lists, burial.
 *
 * Locks are open-file-description locks: they go with the last descriptor (so with the monitor,
 * however it ends), and F_OFD_GETLK asks without taking. A flock() that is tried for a look would
 * make a monitor that starts at that moment fail.
 */
#include "store/store_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#define GONE_PREFIX ".gone-"

static const char killed_reason[] = "its monitor was killed";
static const char damaged_reason[] =
	"its metadata is damaged, as by a power cut; what it said is in metadata.damaged";

static int take_lock(int fd, bool waits)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (fcntl(fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0)
		if (errno != EINTR)
			return errno == EACCES ? -EAGAIN : -errno;
	return 0;
}

/* The short lock around birth and burial. The state directory itself carries it. */
static int lock_root(bool makes, int *ret_fd, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = store_states_dir(err);
	BB_AUTO_FREE char *path = NULL;
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (dir == NULL)
		return err == NULL ? -EINVAL : err->code;
	path = bb_text_printf("%s/.lock", dir);
	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == ENOENT && makes) {
		r = bb_path_mkdirs(dir, 0700, err);
		if (r < 0)
			return r;
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	if (fd < 0)
		return bb_err_errno(err, "cannot open '%s'", path);
	r = take_lock(fd, true);
	if (r < 0)
		return bb_err_set(err, r, "cannot lock '%s': %s", path, bb_err_name(r));
	*ret_fd = bb_take_fd(&fd);
	return 0;
}

int store_lock(const char *identity, int *ret_fd, struct bb_err *err)
{
	BB_AUTO_FREE char *path = store_state_path(identity, "lock", err);
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (path == NULL)
		return BB_E_USAGE;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return bb_err_errno(err, "cannot open '%s'", path);
	r = take_lock(fd, false);
	if (r == -EAGAIN)
		return bb_err_set(err, -EBUSY, "bottle '%s' is running", identity);
	if (r < 0)
		return bb_err_set(err, r, "cannot lock '%s': %s", path, bb_err_name(r));
	*ret_fd = bb_take_fd(&fd);
	return 0;
}

bool store_is_alive(const char *identity)
{
	BB_AUTO_FREE char *path = store_state_path(identity, "lock", NULL);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	BB_AUTO_CLOSE int fd = -1;

	if (path == NULL)
		return false;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int store_create_state(const char *identity, struct bb_err *err)
{
	BB_AUTO_FREE char *all = store_states_dir(err);
	BB_AUTO_FREE char *dir = store_state_dir(identity, err);
	int r;

	if (all == NULL || dir == NULL)
		return BB_E_USAGE;
	r = bb_path_mkdirs(all, 0700, err);
	if (r < 0)
		return r;
	if (mkdir(dir, 0700) < 0) {
		if (errno == EEXIST)
			return bb_err_set(err, -EEXIST, "bottle '%s' exists already", identity);
		return bb_err_errno(err, "cannot make directory '%s'", dir);
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **store_list(struct bb_err *err)
{
	BB_AUTO_FREE char *path = store_states_dir(err);
	BB_AUTO_STRV char **names = NULL;
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (path == NULL)
		return NULL;
	names = calloc(1, sizeof(char *));
	if (names == NULL) {
		bb_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	dir = opendir(path);
	if (dir == NULL && errno != ENOENT) {
		bb_err_errno(err, "cannot list '%s'", path);
		return NULL;
	}
	while (dir != NULL && r == 0 && (entry = readdir(dir)) != NULL)
		if (store_is_slug(entry->d_name))
			r = bb_strv_push(&names, strdup(entry->d_name));
	if (dir != NULL)
		(void)closedir(dir);
	if (r < 0) {
		bb_err_set(err, r, "out of memory");
		return NULL;
	}
	qsort(names, bb_strv_len(names), sizeof(char *), compare_names);
	return bb_take_ptr(&names);
}

int store_check_label(const char *label, struct bb_err *err)
{
	BB_AUTO_STRV char **names = NULL;

	if (label == NULL || label[0] == '\0')
		return 0;
	names = store_list(err);
	if (names == NULL)
		return err == NULL ? -ENOMEM : err->code;
	for (size_t i = 0; names[i] != NULL; i++) {
		BB_AUTO(store_meta) struct store_meta *m = NULL;

		if (!store_is_alive(names[i]))
			continue;
		if (strcmp(names[i], label) != 0 &&
		    (store_meta_read(names[i], &m, NULL) < 0 || m->label == NULL ||
		     strcmp(m->label, label) != 0))
			continue;
		return bb_err_set(err, -EEXIST,
				  "label '%s' is in use by bottle '%s'; end that one (bot-bottle "
				  "stop %s) or choose another label",
				  label, names[i], names[i]);
	}
	return 0;
}

char *store_choose_identity(const char *agent, const char *label, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = NULL;

	if (label == NULL)
		return store_new_identity(agent, err);
	dir = store_state_dir(label, err);
	if (dir == NULL)
		return NULL;
	if (access(dir, F_OK) == 0)
		return store_new_identity(label, err);
	return strdup(label);
}

/* The run directory, and the note where it is. */
static int make_run_dir(const char *identity, struct bb_err *err)
{
	BB_AUTO_FREE char *base = store_run_base(err);
	BB_AUTO_FREE char *path = store_fresh_run_dir(identity, err);
	BB_AUTO_FREE char *link = store_state_path(identity, "run", err);
	int r;

	if (base == NULL || path == NULL || link == NULL)
		return err == NULL ? -EINVAL : err->code;
	r = bb_path_remove_tree(path, err); /* nobody has this identity: left by a killed launch */
	if (r < 0)
		return r;
	/* The note first: whoever is killed now leaves no directory that nobody knows of. */
	if (symlink(path, link) < 0)
		return bb_err_errno(err, "cannot write '%s'", link);
	if (mkdir(path, 0700) < 0) {
		r = bb_err_errno(err, "cannot make directory '%s'", path);
		(void)unlink(link); /* the directory's error is the news */
		return r;
	}
	return 0;
}

static int claim_locked(const struct store_meta *m, int *ret_lock, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = store_state_dir(m->identity, err);
	BB_AUTO_FREE char *meta = store_state_path(m->identity, "metadata.json", err);
	BB_AUTO_CLOSE int lock = -1;
	int r;

	if (dir == NULL || meta == NULL)
		return BB_E_USAGE;
	r = store_check_label(m->label, err);
	if (r < 0)
		return r;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return bb_err_errno(err, "cannot make directory '%s'", dir);
	if (access(meta, F_OK) == 0)
		return bb_err_set(err, -EEXIST, "bottle '%s' exists already", m->identity);
	r = store_lock(m->identity, &lock, err);
	if (r < 0)
		return r;
	r = make_run_dir(m->identity, err);
	if (r == 0)
		r = store_meta_write(m, err);
	if (r < 0) {
		store_remove_run_dir(m->identity);
		(void)bb_path_remove_tree(dir, NULL); /* the first error is the news */
		return r;
	}
	*ret_lock = bb_take_fd(&lock);
	return 0;
}

/* Its run directory is one of before, and goes. */
static int forget_run_dir(const char *identity, struct bb_err *err)
{
	BB_AUTO_FREE char *link = store_state_path(identity, "run", err);

	if (link == NULL)
		return err == NULL ? -ENOMEM : err->code;
	store_remove_run_dir(identity);
	if (unlink(link) < 0 && errno != ENOENT)
		return bb_err_errno(err, "cannot remove '%s'", link);
	return 0;
}

static int reclaim_locked(const struct store_meta *m, int *ret_lock, struct bb_err *err)
{
	BB_AUTO_FREE char *meta = store_state_path(m->identity, "metadata.json", err);
	BB_AUTO_CLOSE int lock = -1;
	int r;

	if (meta == NULL)
		return BB_E_USAGE;
	if (access(meta, F_OK) < 0)
		return bb_err_set(err, -ENOENT, "there is no bottle '%s'", m->identity);
	r = store_check_label(m->label, err);
	if (r == 0)
		r = store_lock(m->identity, &lock, err);
	if (r == 0)
		r = forget_run_dir(m->identity, err);
	if (r < 0)
		return r;
	r = make_run_dir(m->identity, err);
	if (r == 0)
		r = store_meta_write_synced(m, err);
	if (r < 0) {
		(void)forget_run_dir(m->identity, NULL); /* the first error is the news */
		return r;
	}
	*ret_lock = bb_take_fd(&lock);
	return 0;
}

int store_reclaim(const struct store_meta *m, int *ret_lock, struct bb_err *err)
{
	BB_AUTO_CLOSE int root = -1;
	int r;

	r = lock_root(false, &root, err);
	return r < 0 ? r : reclaim_locked(m, ret_lock, err);
}

int store_claim(const struct store_meta *m, int *ret_lock, struct bb_err *err)
{
	BB_AUTO_CLOSE int root = -1;
	int r;

	r = lock_root(true, &root, err);
	return r < 0 ? r : claim_locked(m, ret_lock, err);
}

void store_remove_run_dir(const char *identity)
{
	BB_AUTO_FREE char *path = store_run_dir(identity, NULL);
	BB_AUTO_FREE char *link = store_state_path(identity, "run", NULL);
	const char *last = path == NULL ? NULL : strrchr(path, '/');
	struct stat st;

	if (link == NULL || lstat(link, &st) < 0)
		return; /* it has none, or none any more */
	/* Only ever a directory named after the bottle: the note is a file like any other. */
	if (last != NULL && strcmp(last + 1, identity) == 0)
		(void)bb_path_remove_tree(path, NULL); /* what stays is empty or not ours */
	(void)unlink(link);                            /* as that */
}

/* Out of sight first, in one step: half a removed bottle is never found. What is left of one whose
 * removal was interrupted goes with the next reaping. */
static int remove_dir(const char *identity, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = store_state_dir(identity, err);
	BB_AUTO_FREE char *all = store_states_dir(err);
	BB_AUTO_FREE char *gone =
		all == NULL ? NULL : bb_text_printf("%s/" GONE_PREFIX "%s", all, identity);
	int r;

	if (dir == NULL || gone == NULL)
		return err == NULL ? -ENOMEM : err->code;
	r = bb_path_remove_tree(gone, err);
	if (r < 0)
		return r;
	if (rename(dir, gone) < 0)
		return errno == ENOENT ? 0 : bb_err_errno(err, "cannot remove '%s'", dir);
	return bb_path_remove_tree(gone, err);
}

static void sweep_gone(void)
{
	BB_AUTO_FREE char *all = store_states_dir(NULL);
	DIR *dir = all == NULL ? NULL : opendir(all);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		BB_AUTO_FREE char *path = NULL;

		if (strncmp(entry->d_name, GONE_PREFIX, strlen(GONE_PREFIX)) != 0)
			continue;
		path = bb_text_printf("%s/%s", all, entry->d_name);
		if (path != NULL)
			(void)bb_path_remove_tree(path, NULL); /* the next command tries again */
	}
	if (dir != NULL)
		(void)closedir(dir);
}

static int remove_dead(const char *identity, struct bb_err *err)
{
	if (store_is_alive(identity))
		return bb_err_set(err, -EBUSY,
				  "bottle '%s' is running; end it first: bot-bottle stop %s",
				  identity, identity);
	store_remove_run_dir(identity);
	return remove_dir(identity, err);
}

int store_remove(const char *identity, struct bb_err *err)
{
	BB_AUTO_CLOSE int root = -1;
	int r;

	r = lock_root(false, &root, err);
	return r < 0 ? r : remove_dead(identity, err);
}

static bool has_file(const char *identity, const char *name)
{
	BB_AUTO_FREE char *path = store_state_path(identity, name, NULL);

	return path != NULL && access(path, F_OK) == 0;
}

/* Each file gets its name when it is whole; its monitor may have been killed before it said so. */
static void see_what_is_kept(struct store_meta *m)
{
	m->workspace_kept = has_file(m->identity, "workspace.frames");
	m->agent_kept = has_file(m->identity, "agent.frames");
}

/* Metadata that a power cut or a failing disk left half: what can still be told, so that what was
 * kept can be fetched and removed like that of any other bottle. */
static int mend(const char *identity, struct bb_err *err)
{
	BB_AUTO(store_meta) struct store_meta *m = calloc(1, sizeof(*m));
	BB_AUTO_FREE char *path = store_state_path(identity, "metadata.json", err);
	BB_AUTO_FREE char *aside = store_state_path(identity, "metadata.damaged", err);

	if (m == NULL || path == NULL || aside == NULL)
		return -ENOMEM;
	m->identity = strdup(identity);
	m->agent = strdup("unknown");
	m->backend = strdup("unknown");
	m->guest_workspace = strdup("/home/node/workspace");
	m->reason = strdup(damaged_reason);
	m->has_ended = true;
	m->exit_code = 125;
	if (m->identity == NULL || m->agent == NULL || m->backend == NULL || m->reason == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	see_what_is_kept(m);
	if (rename(path, aside) < 0)
		return bb_err_errno(err, "cannot rename '%s'", path);
	return store_meta_write_synced(m, err);
}

/* 1 when there was something to clean up. */
static int reap_one(const char *identity, struct bb_err *err)
{
	BB_AUTO(store_meta) struct store_meta *m = NULL;
	int r;

	if (store_is_alive(identity))
		return 0;
	r = store_meta_read(identity, &m, err);
	if (r == -ENOENT) {
		r = remove_dead(identity, err);
		return r < 0 ? r : 1;
	}
	if (r == -EPROTO)
		return 0; /* a newer bot-bottle's: not ours to judge */
	if (r < 0) {
		store_remove_run_dir(identity);
		if (r == -EBADMSG)
			r = mend(identity, err);
		return r < 0 ? r : 1;
	}
	if (m->has_ended) {
		store_remove_run_dir(identity); /* killed after its last word */
		return 0;
	}
	store_remove_run_dir(identity);
	m->has_ended = true;
	m->exit_code = 125;
	free(m->reason);
	m->reason = strdup(killed_reason);
	see_what_is_kept(m);
	r = store_meta_write(m, err);
	return r < 0 ? r : 1;
}

int store_reap(void (*reaped)(void *arg, const char *identity), void *arg, struct bb_err *err)
{
	BB_AUTO_STRV char **names = NULL;
	BB_AUTO_CLOSE int root = -1;
	int count = 0, first = 0, r;

	r = lock_root(false, &root, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	sweep_gone();
	names = store_list(err);
	if (names == NULL)
		return err == NULL ? -ENOMEM : err->code;
	for (size_t i = 0; names[i] != NULL; i++) {
		struct bb_err one = { 0 };

		r = reap_one(names[i], &one);
		if (r < 0 && first == 0) {
			first = r; /* the others are reaped all the same */
			if (err != NULL)
				*err = one;
		}
		if (r > 0 && reaped != NULL)
			reaped(arg, names[i]);
		count += r > 0;
	}
	return first < 0 ? first : count;
}
