/*
 * The frame of every build: one lock, one temporary directory, one rename. What a builder leaves in
 * the temporary directory becomes the image, named by a hash of its content; whatever goes wrong
 * before the rename, the directory is removed, and what a kill left behind is removed by the next
 * build, which holds the lock and so knows that nobody works in it.
 */
#include "image/build_impl.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <dirent.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/table.h"
#include "base/text.h"
#include "image/image.h"
#include "image/oci.h"
#include "image/sha512.h"
#include "store/store.h"

struct builder {
	const char *name;
	const char *parent; /* built first when missing; NULL: none */
	int (*build)(struct image_job *job, struct image_record *r, struct bb_err *err);
	int (*check)(struct bb_err *err);
};

static const struct builder builders[] = {
	{ "base", NULL, base_build, base_check },
	{ "claude", "base", agent_build, agent_check },
};

static const char *const builder_names[] = { "base", "claude", NULL };
_Static_assert(BB_ARRAY_LEN(builder_names) == BB_ARRAY_LEN(builders) + 1, "one name a builder");

const char *const *image_buildable(void)
{
	return builder_names;
}

static const struct builder *builder_find(const char *name, struct bb_err *err)
{
	const char *hint;

	for (size_t i = 0; i < BB_ARRAY_LEN(builders); i++)
		if (strcmp(builders[i].name, name) == 0)
			return &builders[i];
	hint = bb_table_suggest(builder_names, BB_ARRAY_LEN(builders), bb_view_str(name));
	(void)bb_err_set(err, BB_E_USAGE, "there is no image '%s' to build%s%s%s",
			 BB_ESCAPED(bb_view_str(name)), hint == NULL ? "" : "; did you mean '",
			 hint == NULL ? "" : hint, hint == NULL ? "" : "'?");
	return NULL;
}

/* Removes a tree of ours. In a rootless build mmdebstrap may leave files of other ids: it can
 * remove them. */
int build_remove(const char *path, struct bb_err *err)
{
	return bb_path_remove_tree(path, err);
}

/* What an interrupted build left. The caller holds the build lock. */
void build_sweep(const char *images)
{
	DIR *d = opendir(images);

	if (d == NULL)
		return;
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		BB_AUTO_FREE char *path = NULL;

		if (strncmp(e->d_name, BUILD_TEMP_PREFIX, strlen(BUILD_TEMP_PREFIX)) != 0)
			continue;
		path = bb_text_printf("%s/%s", images, e->d_name);
		if (path != NULL)
			(void)build_remove(path, NULL); /* the next build tries again */
	}
	(void)closedir(d);
}

static int hash_file(struct sha512 *s, const char *dir, const char *name, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", dir, name);
	BB_AUTO_CLOSE int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : bb_err_errno(err, "cannot read '%s'", path);
	sha512_update(s, name, strlen(name) + 1);
	r = sha512_fd(s, fd);
	return r < 0 ? bb_err_set(err, r, "cannot read '%s': %s", path, bb_err_name(r)) : 0;
}

/* The id: root, kernel and what it stands on. */
static int build_id(const char *dir, const struct image_record *rec, char ret[IMAGE_ID_DIGITS + 1],
		    struct bb_err *err)
{
	uint8_t digest[SHA512_BYTES];
	struct sha512 s;
	int r;

	sha512_init(&s);
	if (rec->parent_id != NULL)
		sha512_update(&s, rec->parent_id, strlen(rec->parent_id));
	r = hash_file(&s, dir, "root.erofs", err);
	if (r == 0)
		r = hash_file(&s, dir, IMAGE_CHANGES, err);
	if (r == 0)
		r = hash_file(&s, dir, "vmlinuz", err);
	if (r < 0)
		return r;
	sha512_final(&s, digest);
	for (size_t i = 0; i < IMAGE_ID_DIGITS / 2; i++)
		(void)snprintf(ret + i * 2, 3, "%02x", digest[i]);
	return 0;
}

/* Points name to id: beside and renamed over, so that the name is never without an image. */
static int build_point(const char *images, const char *name, const char *id, struct bb_err *err)
{
	BB_AUTO_FREE char *fresh = bb_text_printf("%s/" BUILD_TEMP_PREFIX "link-%s", images, name);
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", images, name);

	if (fresh == NULL || path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (unlink(fresh) < 0 && errno != ENOENT)
		return bb_err_errno(err, "cannot remove '%s'", fresh);
	if (symlink(id, fresh) < 0 || rename(fresh, path) < 0)
		return bb_err_errno(err, "cannot name image '%s'", path);
	return 0;
}

/* The temporary directory is complete: makes it an image. */
int build_finish(struct image_job *job, const struct image_record *r, char id[IMAGE_ID_DIGITS + 1],
		 struct bb_err *err)
{
	BB_AUTO_FREE char *final = NULL;
	BB_AUTO_CLOSE int dir_fd = -1;
	int n;

	job_step(job, 2, "naming the image");
	n = build_id(job->dir, r, id, err);
	if (n < 0)
		return n;
	n = image_record_write(job->dir, r, err);
	if (n < 0)
		return n;
	final = bb_text_printf("%s/%s", job->images, id);
	if (final == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	dir_fd = open(job->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 ||
	    syncfs(dir_fd) < 0) /* after a power cut the name must not stand for half a tree */
		return bb_err_errno(err, "cannot write image '%s' to disk", job->dir);
	if (rename(job->dir, final) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		return bb_err_errno(err, "cannot rename the finished image to '%s'", final);
	return build_point(job->images, job->name, id, err);
}

static int build_in_temp(const struct builder *b, struct image_job *job, struct bb_err *err)
{
	struct image_record r = { .built_at = (uint64_t)time(NULL) };
	char id[IMAGE_ID_DIGITS + 1];
	int n;

	if (mkdir(job->dir, 0755) < 0 || mkdir(job->scratch, 0700) < 0)
		return bb_err_errno(err, "cannot make the build directory '%s'", job->dir);
	r.name = strdup(b->name);
	if (b->parent != NULL)
		r.parent_id = image_current_id(job->images, b->parent);
	n = r.name == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : b->build(job, &r, err);
	if (n == 0)
		n = build_finish(job, &r, id, err);
	image_record_done(&r);
	return n;
}

static int build_one(const struct builder *b, struct image_job *job, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/" BUILD_TEMP_PREFIX "%s", job->images, b->name);
	BB_AUTO_FREE char *scratch =
		bb_text_printf("%s/" BUILD_TEMP_PREFIX "%s-scratch", job->images, b->name);
	int r;

	if (dir == NULL || scratch == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	job->name = b->name;
	job->dir = dir;
	job->scratch = scratch;
	job->percent = job->span = 0;
	r = build_in_temp(b, job, err);
	(void)build_remove(dir, NULL); /* gone already when it became the image */
	(void)build_remove(scratch, NULL);
	if (r == -ENOSPC)
		return bb_err_set(err, r, BUILD_DISK_FULL, job->images);
	if (r == 0)
		job_step(job, 0, "built");
	return r;
}

/* With the lock held: the parent when it is missing, then the image. */
static int build_locked(struct image_job *job, const void *arg, struct bb_err *err)
{
	const struct builder *b = arg;
	int r;

	build_sweep(job->images);
	if (b->parent != NULL) {
		BB_AUTO_FREE char *parent = image_current_id(job->images, b->parent);

		if (parent == NULL) {
			r = build_one(builder_find(b->parent, err), job, err);
			if (r < 0)
				return r;
		}
	}
	return build_one(b, job, err);
}

/* SIGINT and SIGTERM as a descriptor for the time of the build. */
static int build_with_signals(struct image_job *job,
			      int (*work)(struct image_job *job, const void *arg,
					  struct bb_err *err),
			      const void *arg, struct bb_err *err)
{
	sigset_t caught, before;
	int r;

	(void)sigemptyset(&caught);
	(void)sigaddset(&caught, SIGINT);
	(void)sigaddset(&caught, SIGTERM);
	(void)sigaddset(&caught, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &caught, &before);
	job->signal_fd = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
	r = job->signal_fd < 0 ? bb_err_errno(err, "cannot watch for signals")
			       : work(job, arg, err);
	bb_cleanup_fd(&job->signal_fd);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

/* The lock is a file: a build renames directories. */
int build_lock(const char *images, int *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/build.lock", images);
	BB_AUTO_CLOSE int fd =
		path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return bb_err_errno(err, "cannot open the build lock in '%s'", images);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return bb_err_set(
			err, -EBUSY,
			"another image build or commit is running; wait for it or end it");
	*ret = bb_take_fd(&fd);
	return 0;
}

int image_build(const char *name, bool force, image_progress_cb *report, void *arg,
		struct bb_err *err)
{
	const struct builder *b = builder_find(name, err);
	struct image_job job = { .signal_fd = -1, .report = report, .arg = arg };
	BB_AUTO_FREE char *images = NULL;
	BB_AUTO_FREE char *current = NULL;
	BB_AUTO_CLOSE int lock = -1;
	int r;

	if (b == NULL)
		return BB_E_USAGE;
	images = store_image_dir(err);
	if (images == NULL)
		return err == NULL ? -EIO : err->code;
	r = bb_path_mkdirs(images, 0755, err);
	if (r == 0)
		r = image_build_check(name, err);
	if (r == 0)
		r = build_lock(images, &lock, err);
	if (r < 0)
		return r;

	current = image_current_id(images, name);
	job.name = name;
	job.images = images;
	if (current != NULL && !force) {
		struct image *img = NULL;

		if (image_find(name, &img, NULL) == 0) {
			image_free(img);
			job.percent = 100;
			job_step(&job, 0, "is already built");
			return 0;
		}
	}
	r = build_with_signals(&job, build_locked, b, err);
	return r < 0 ? bb_err_wrap(err, "cannot build image '%s'", name) : 0;
}

struct oci_order {
	struct image *image; /* owned: freed as soon as its archive is made */
	const char *init_path;
};

static int build_oci_in_temp(struct image_job *job, struct oci_order *o, struct bb_err *err)
{
	if (mkdir(job->dir, 0755) < 0 || mkdir(job->scratch, 0700) < 0)
		return bb_err_errno(err, "cannot make the build directory '%s'", job->dir);
	return oci_make(job, o->image, o->init_path, err);
}

static int build_oci_locked(struct image_job *job, const void *arg, struct bb_err *err)
{
	struct oci_order *o = (struct oci_order *)(uintptr_t)arg;
	BB_AUTO_FREE char *dir = bb_text_printf("%s/" BUILD_TEMP_PREFIX "oci", job->images);
	BB_AUTO_FREE char *scratch =
		bb_text_printf("%s/" BUILD_TEMP_PREFIX "oci-scratch", job->images);
	BB_AUTO_FREE char *id = strdup(o->image->id);
	int r;

	if (dir == NULL || scratch == NULL || id == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	build_sweep(job->images);
	job->dir = dir;
	job->scratch = scratch;
	r = build_oci_in_temp(job, o, err);
	(void)build_remove(dir, NULL); /* what is left of it */
	(void)build_remove(scratch, NULL);
	image_free(bb_take_ptr(&o->image)); /* its own locks would be in the way */
	if (r == -ENOSPC)
		return bb_err_set(err, r, BUILD_DISK_FULL, job->images);
	if (r < 0)
		return r;
	oci_sweep(job->images, id);
	job_step(job, 0, "packed");
	return 0;
}

static int build_oci(struct image_job *job, struct oci_order *o, bool force, struct bb_err *err)
{
	BB_AUTO_CLOSE int lock = -1;
	int r;

	if (o->image->changes != NULL)
		return bb_err_set(
			err, BB_E_USAGE,
			"image '%s' was committed from a bottle, which microvm and namespace "
			"can start; it cannot be packed for another machine",
			o->image->name);
	if (o->image->is_host)
		return bb_err_set(err, BB_E_USAGE,
				  "image 'host' is this system itself and cannot be packed for "
				  "another machine; name an image that is built");
	if (!force && oci_is_current(o->image, o->init_path))
		return 0; /* silently: every start asks */
	r = job_need_program("tar", "tar", err);
	if (r == 0)
		r = build_lock(job->images, &lock, err);
	if (r < 0)
		return r;
	r = build_with_signals(job, build_oci_locked, o, err);
	return r < 0 ? bb_err_wrap(err, "cannot pack image '%s'", job->name) : 0;
}

int image_oci_build(const char *name, const char *init_path, bool force, image_progress_cb *report,
		    void *arg, struct bb_err *err)
{
	struct image_job job = { .signal_fd = -1, .report = report, .arg = arg, .name = name };
	struct oci_order order = { .init_path = init_path };
	BB_AUTO_FREE char *images = store_image_dir(err);
	int r;

	if (images == NULL)
		return err == NULL ? -EIO : err->code;
	job.images = images;
	r = image_find(name, &order.image, err);
	if (r == 0)
		r = build_oci(&job, &order, force, err);
	image_free(order.image);
	return r;
}

int image_build_check(const char *name, struct bb_err *err)
{
	const struct builder *b = builder_find(name, err);
	int r;

	if (b == NULL)
		return BB_E_USAGE;
	r = b->check(err);
	if (r == 0 && b->parent != NULL)
		r = builder_find(b->parent, err)->check(err);
	return r;
}
