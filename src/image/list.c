/* Listing and removing images. Removal takes an image's lock exclusively, so it never takes one
 * away from a running bottle, and renames before it deletes, so that half an image is never found.
 */
#include "image/build.h"

#include <dirent.h>
#include <fts.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "image/image_impl.h"
#include "store/store.h"

#define LIST_MAX 256

static void info_done(struct image_info *info)
{
	free(info->name);
	free(info->id);
	free(info->parent);
	free(info->kernel_version);
}

void image_info_free(struct image_info *list, size_t count)
{
	for (size_t i = 0; list != NULL && i < count; i++)
		info_done(&list[i]);
	free(list);
}

static uint64_t tree_bytes(const char *dir)
{
	BB_AUTO_FREE char *copy = strdup(dir);
	char *const paths[] = { copy, NULL };
	FTS *tree = copy == NULL ? NULL : fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	uint64_t bytes = 0;

	for (FTSENT *e = tree == NULL ? NULL : fts_read(tree); e != NULL; e = fts_read(tree))
		if (e->fts_info == FTS_F || e->fts_info == FTS_D)
			bytes += (uint64_t)e->fts_statp->st_blocks * 512;
	if (tree != NULL)
		(void)fts_close(tree);
	return bytes;
}

/* The name under which the parent was built; its id when the parent's record is gone. */
static char *parent_name(const char *images, const char *id)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/%s", images, id);
	struct image_record r = { 0 };
	char *name;

	if (dir == NULL || image_record_read(dir, &r, NULL) < 0)
		return strdup(id);
	name = bb_take_ptr(&r.name);
	image_record_done(&r);
	return name;
}

static bool is_held(const char *dir)
{
	int fd = image_lock(dir, LOCK_EX | LOCK_NB);

	if (fd < 0)
		return fd == -EWOULDBLOCK;
	(void)close(fd);
	return false;
}

static int info_read(const char *images, const char *id, struct image_info *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/%s", images, id);
	BB_AUTO_FREE char *current = NULL;
	struct image_record r = { 0 };
	struct image_info info = { 0 };
	int n;

	if (dir == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	n = image_record_read(dir, &r, err);
	if (n < 0)
		return n;
	current = image_current_id(images, r.name);
	info.is_current = current != NULL && strcmp(current, id) == 0;
	info.id = strdup(id);
	info.parent = r.parent_id == NULL ? NULL : parent_name(images, r.parent_id);
	info.name = bb_take_ptr(&r.name);
	info.kernel_version = bb_take_ptr(&r.kernel_version);
	info.built_at = r.built_at;
	info.package_count = bb_strv_len(r.packages);
	info.is_committed = r.is_committed;
	info.bytes = tree_bytes(dir);
	info.is_used = is_held(dir);
	image_record_done(&r);
	if (info.id == NULL) {
		info_done(&info);
		return bb_err_set(err, -ENOMEM, "out of memory");
	}
	*ret = info;
	return 0;
}

static int info_compare(const void *a, const void *b)
{
	const struct image_info *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);

	if (by_name != 0)
		return by_name;
	return x->built_at < y->built_at ? 1 : x->built_at > y->built_at ? -1 : 0;
}

int image_list(struct image_info **ret, size_t *ret_count, struct bb_err *err)
{
	BB_AUTO_FREE char *images = store_image_dir(err);
	struct image_info *list;
	size_t count = 0;
	DIR *d;

	if (images == NULL)
		return err == NULL ? -EIO : err->code;
	list = calloc(LIST_MAX, sizeof(*list));
	if (list == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	d = opendir(images);
	for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL && count < LIST_MAX;
	     e = readdir(d))
		if (image_is_id(e->d_name) && info_read(images, e->d_name, &list[count], NULL) == 0)
			count++; /* a damaged one is not an image; building it again replaces it */
	if (d != NULL)
		(void)closedir(d);
	qsort(list, count, sizeof(*list), info_compare);
	*ret = list;
	*ret_count = count;
	return 0;
}

/* An image that is a layer on id: its name on the heap, or NULL. */
static char *child_of(const char *images, const char *id)
{
	char *name = NULL;
	DIR *d = opendir(images);

	for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL && name == NULL;
	     e = readdir(d)) {
		BB_AUTO_FREE char *dir = bb_text_printf("%s/%s", images, e->d_name);
		struct image_record r = { 0 };

		if (dir == NULL || !image_is_id(e->d_name) || image_record_read(dir, &r, NULL) < 0)
			continue;
		if (r.parent_id != NULL && strcmp(r.parent_id, id) == 0)
			name = bb_take_ptr(&r.name);
		image_record_done(&r);
	}
	if (d != NULL)
		(void)closedir(d);
	return name;
}

static void unname_one(const char *images, const char *name, const char *id)
{
	BB_AUTO_FREE char *current = image_current_id(images, name);
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", images, name);

	if (current != NULL && path != NULL && strcmp(current, id) == 0)
		(void)unlink(path); /* a name without an image is only "not built" */
}

/* Takes away the names that point to id: that of its record, and where that is damaged those that a
 * build gives. */
static void unname(const char *images, const char *dir, const char *id)
{
	struct image_record r = { 0 };

	if (image_record_read(dir, &r, NULL) == 0)
		unname_one(images, r.name, id);
	image_record_done(&r);
	for (const char *const *name = image_buildable(); *name != NULL; name++)
		unname_one(images, *name, id);
}

int image_remove(const char *name, struct bb_err *err)
{
	BB_AUTO_FREE char *images = store_image_dir(err);
	BB_AUTO_FREE char *id = images == NULL ? NULL : image_resolve_id(images, name);
	BB_AUTO_FREE char *dir =
		bb_text_printf("%s/%s", images == NULL ? "" : images, id == NULL ? "" : id);
	BB_AUTO_FREE char *doomed =
		bb_text_printf("%s/tmp-rm-%s", images == NULL ? "" : images, id == NULL ? "" : id);
	BB_AUTO_FREE char *child = NULL;
	BB_AUTO_CLOSE int lock = -1;

	if (images == NULL)
		return err == NULL ? -EIO : err->code;
	if (id == NULL)
		return bb_err_set(
			err, BB_E_MISSING,
			"there is no image '%s'; bot-bottle image list shows what there is",
			BB_ESCAPED(bb_view_str(name)));
	if (dir == NULL || doomed == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	child = child_of(images, id);
	if (child != NULL)
		return bb_err_set(err, -EBUSY,
				  "image '%s' is what image '%s' stands on; remove that first",
				  name, child);
	lock = image_lock(dir, LOCK_EX | LOCK_NB);
	if (lock == -EWOULDBLOCK)
		return bb_err_set(err, -EBUSY,
				  "image '%s' is used by a running bottle; stop it first", name);
	unname(images, dir, id);
	if (rename(dir, doomed) < 0)
		return bb_err_errno(err, "cannot remove image '%s'", dir);
	return bb_path_remove_tree(doomed, err);
}
