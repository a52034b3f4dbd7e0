/*
 * An image of what a bottle has changed. The archive is the guest's word: it is stored as it came,
 * hashed, and given to guests only, which have nothing to fear from it that its author could not do
 * inside itself. So no host code ever parses it, owners and set-id bits need no right on the host,
 * and the same archive serves every backend that can apply it. (An erofs layer would start faster;
 * it would take a parser here and ids that an ordinary user cannot give to files.)
 */
#include "image/build_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "store/store.h"

struct image_commit {
	struct image_job job;
	struct image_record record;
	char *images, *dir;
	int lock, fd;
};

void image_commit_free(struct image_commit *c)
{
	if (c == NULL)
		return;
	bb_cleanup_fd(&c->fd);
	if (c->dir != NULL && c->lock >= 0)
		(void)build_remove(c->dir, NULL); /* gone already when it became the image */
	bb_cleanup_fd(&c->lock);
	image_record_done(&c->record);
	free(c->images);
	free(c->dir);
	free(c);
}

static int commit_open(struct image_commit *c, const char *name, const char *base_id,
		       struct bb_err *err)
{
	BB_AUTO_FREE char *path = NULL;
	int r = bb_path_mkdirs(c->images, 0755, err);

	if (r == 0)
		r = build_lock(c->images, &c->lock, err);
	if (r < 0)
		return r;
	build_sweep(c->images);
	c->record.name = strdup(name);
	c->record.parent_id = strdup(base_id);
	c->dir = bb_text_printf("%s/" BUILD_TEMP_PREFIX "commit", c->images);
	path = c->dir == NULL ? NULL : bb_text_printf("%s/" IMAGE_CHANGES, c->dir);
	if (path == NULL || c->record.name == NULL || c->record.parent_id == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	c->record.is_committed = true;
	c->record.built_at = (uint64_t)time(NULL);
	if (mkdir(c->dir, 0755) < 0)
		return bb_err_errno(err, "cannot make the directory '%s'", c->dir);
	c->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return c->fd < 0 ? bb_err_errno(err, "cannot write '%s'", path) : 0;
}

int image_commit_begin(const char *name, const char *base_id, struct image_commit **ret,
		       struct bb_err *err)
{
	struct image_commit *c = NULL;
	int r;

	if (!image_is_name(name) || strcmp(name, "host") == 0)
		return bb_err_set(err, BB_E_USAGE, "'%s' cannot be the name of a committed image",
				  BB_ESCAPED(bb_view_str(name)));
	for (const char *const *built = image_buildable(); *built != NULL; built++)
		if (strcmp(*built, name) == 0)
			return bb_err_set(
				err, BB_E_USAGE,
				"'%s' is the name of an image that is built; choose another", name);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	c->lock = c->fd = -1;
	c->images = store_image_dir(err);
	r = c->images == NULL ? -EIO : commit_open(c, name, base_id, err);
	if (r < 0) {
		image_commit_free(c);
		return r == -ENOSPC ? bb_err_set(err, r, "the disk is full: nothing was committed")
				    : r;
	}
	c->job = (struct image_job){
		.name = c->record.name, .images = c->images, .dir = c->dir, .signal_fd = -1
	};
	*ret = c;
	return 0;
}

int image_commit_fd(const struct image_commit *c)
{
	return c->fd;
}

int image_commit_finish(struct image_commit *c, char **ret_id, struct bb_err *err)
{
	char id[IMAGE_ID_DIGITS + 1];
	int r = build_finish(&c->job, &c->record, id, err);

	if (r == -ENOSPC)
		return bb_err_set(err, r, BUILD_DISK_FULL, c->images);
	if (r < 0)
		return r;
	*ret_id = strdup(id);
	return *ret_id == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
}

/* The image directory with its lock held, so that whoever left something there is gone. */
static char *lock_images(int *ret_lock)
{
	BB_AUTO_FREE char *images = store_image_dir(NULL);

	if (images == NULL || access(images, F_OK) < 0 || build_lock(images, ret_lock, NULL) < 0)
		return NULL;
	return bb_take_ptr(&images);
}

char **image_unfinished(void)
{
	BB_AUTO_CLOSE int lock = -1;
	BB_AUTO_FREE char *images = lock_images(&lock);
	DIR *d = images == NULL ? NULL : opendir(images);
	char **names = NULL;

	for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d))
		if (strncmp(e->d_name, BUILD_TEMP_PREFIX, strlen(BUILD_TEMP_PREFIX)) == 0)
			(void)bb_strv_push(&names, strdup(e->d_name)); /* else: with the next */
	if (d != NULL)
		(void)closedir(d);
	return names;
}

void image_sweep(void)
{
	BB_AUTO_CLOSE int lock = -1;
	BB_AUTO_FREE char *images = lock_images(&lock);

	if (images != NULL)
		build_sweep(images);
}
