/*
 * Finding a built image: from its name over the symlink to its directory, and from there down the
 * layers it stands on. Every layer is locked before its record is read, so that what was found
 * stays: removal takes the same lock exclusively. Nothing here builds or changes anything.
 */
#include "image/image.h"

#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "image/image_impl.h"
#include "store/store.h"

BB_DEFINE_AUTO(image, image_free)

void image_free(struct image *img)
{
	if (img == NULL)
		return;
	for (size_t i = 0; i < IMAGE_LAYERS_MAX; i++) {
		free(img->dirs[i]);
		free(img->erofs[i]);
		if (img->lock_fds[i] >= 0)
			(void)close(img->lock_fds[i]); /* releases the shared lock */
	}
	if (img->changes_lock >= 0)
		(void)close(img->changes_lock); /* likewise */
	free(img->name);
	free(img->id);
	free(img->base_id);
	free(img->changes);
	free(img->kernel);
	free(img->modules);
	free(img->kernel_version);
	free(img->oci);
	free(img->oci_digest);
	free(img->oci_init);
	free(img);
}

static struct image *image_new(const char *name)
{
	struct image *img = calloc(1, sizeof(*img));

	if (img == NULL)
		return NULL;
	for (size_t i = 0; i < IMAGE_LAYERS_MAX; i++)
		img->lock_fds[i] = -1;
	img->changes_lock = -1;
	img->name = strdup(name);
	if (img->name == NULL) {
		image_free(img);
		return NULL;
	}
	return img;
}

/* The kernel of the first layer that has one. */
static int image_take_kernel(struct image *img, const char *dir, struct image_record *r)
{
	if (r->kernel_version == NULL || img->kernel != NULL)
		return 0;
	img->kernel = bb_text_printf("%s/vmlinuz", dir);
	img->modules = bb_text_printf("%s/modules", dir);
	img->kernel_version = bb_take_ptr(&r->kernel_version);
	return img->kernel == NULL || img->modules == NULL ? -ENOMEM : 0;
}

/* Adds the layer id below the others; *ret_parent is what it stands on, or NULL. */
static int image_add_layer(struct image *img, const char *images, const char *id, char **ret_parent,
			   struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/%s", images, id);
	struct image_record r = { 0 };
	size_t i = img->layer_count;
	int n;

	if (dir == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (i == IMAGE_LAYERS_MAX)
		return bb_err_set(err, BB_E_LIMIT, "image '%s' has more than %d layers", img->name,
				  IMAGE_LAYERS_MAX);
	img->lock_fds[i] = image_lock(dir, LOCK_SH | LOCK_NB);
	if (img->lock_fds[i] < 0)
		return bb_err_set(
			err, BB_E_MISSING,
			"image '%s' stands on a layer that is gone; run: bot-bottle image build %s",
			img->name, img->name);
	n = image_record_read(dir, &r, err);
	if (n == 0 && r.is_committed)
		n = bb_err_set(err, -EPROTO, "image '%s' stands on a committed one", img->name);
	if (n < 0) {
		image_record_done(&r);
		return n;
	}

	img->dirs[i] = bb_text_printf("%s/root", dir);
	img->erofs[i] = bb_text_printf("%s/root.erofs", dir);
	img->layer_count++;
	n = image_take_kernel(img, dir, &r);
	*ret_parent = bb_take_ptr(&r.parent_id);
	image_record_done(&r);
	if (n < 0 || img->dirs[i] == NULL || img->erofs[i] == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int image_add_layers(struct image *img, const char *images, struct bb_err *err)
{
	BB_AUTO_FREE char *id = strdup(img->base_id);

	while (id != NULL) {
		char *parent = NULL;
		int n = image_add_layer(img, images, id, &parent, err);

		free(id);
		id = parent;
		if (n < 0)
			return n;
	}
	return 0;
}

/* What boots: the image itself; for a committed one, what it was committed on. */
static int image_choose_base(struct image *img, const char *images, struct bb_err *err)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/%s", images, img->id);
	struct image_record r = { 0 };
	int n;

	if (dir == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	img->changes_lock = image_lock(dir, LOCK_SH | LOCK_NB);
	if (img->changes_lock < 0)
		return bb_err_set(err, BB_E_MISSING, "image '%s' is gone", img->name);
	n = image_record_read(dir, &r, err);
	if (n < 0)
		return n;
	if (r.is_committed) {
		img->base_id = bb_take_ptr(&r.parent_id);
		img->changes = bb_text_printf("%s/" IMAGE_CHANGES, dir);
		img->is_host = strcmp(img->base_id, "host") == 0;
		n = img->changes == NULL ? -ENOMEM : 0;
	} else {
		img->base_id = strdup(img->id);
		n = img->base_id == NULL ? -ENOMEM : 0;
	}
	image_record_done(&r);
	return n < 0 ? bb_err_set(err, n, "out of memory") : 0;
}

/* The archive that the uppermost layer's directory has, when it has one. */
static int image_take_oci(struct image *img, const char *images, struct bb_err *err)
{
	BB_AUTO_FREE char *link = bb_text_printf("%s/%s/" IMAGE_OCI_LINK, images, img->id);
	char file[IMAGE_OCI_NAME_MAX];
	struct image_oci_name name;
	ssize_t n = link == NULL ? -1 : readlink(link, file, sizeof(file) - 1);

	if (n < 0)
		return 0;
	file[n] = '\0';
	if (!image_oci_parse(file, &name))
		return 0; /* not ours: as if there were none, and the next build replaces it */
	img->oci = bb_text_printf("%s/%s/%s", images, img->id, file);
	img->oci_digest = strdup(name.digest);
	img->oci_init = strdup(name.init);
	if (img->oci == NULL || img->oci_digest == NULL || img->oci_init == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

int image_find(const char *name, struct image **ret, struct bb_err *err)
{
	BB_AUTO(image) struct image *img = NULL;
	BB_AUTO_FREE char *images = NULL;
	int n;

	if (!image_is_name(name) &&
	    (name[0] == '\0' || strspn(name, "0123456789abcdef") != strlen(name)))
		return bb_err_set(err, BB_E_USAGE, "'%s' cannot be an image's name",
				  BB_ESCAPED(bb_view_str(name)));
	img = image_new(name);
	if (img == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (strcmp(name, "host") == 0) {
		img->is_host = true;
		img->id = strdup("host");
		img->base_id = strdup("host");
		*ret = bb_take_ptr(&img);
		return 0;
	}

	images = store_image_dir(err);
	if (images == NULL)
		return err == NULL ? -EIO : err->code;
	img->id = image_resolve_id(images, name);
	if (img->id == NULL)
		return bb_err_set(err, BB_E_MISSING,
				  "image '%s' is not built; run: bot-bottle image build %s", name,
				  name);
	n = image_choose_base(img, images, err);
	if (n == 0 && !img->is_host)
		n = image_add_layers(img, images, err);
	if (n == 0)
		n = image_take_oci(img, images, err);
	if (n < 0)
		return n;
	*ret = bb_take_ptr(&img);
	return 0;
}
