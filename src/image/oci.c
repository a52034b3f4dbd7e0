/*
 * The archive form of an image, for machines that bring a kernel of their own: the image's layers
 * as uncompressed tar, bottle-init as the uppermost layer, and the small files that make it an OCI
 * layout and an archive of 'docker save' at once.
 *
 * Each layer is written by tar straight into its place in the archive and hashed from there; its
 * header, which holds size and digest, is written last. So the archive costs its own size once, in
 * time and on the disk. Equal images give equal archives: tar is told order, owners and format;
 * times are those of the root directory, which the image's id covers.
 */
#include "image/oci.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "image/image_impl.h"
#include "image/oci_text.h"

#define OCI_ENTRIES_MAX 128 /* of a root directory */
#define OCI_BLOB_NAME   "blobs/sha256/%s"

struct oci_archive {
	struct image_job *job;
	int fd;
	uint64_t offset; /* where the next member begins */
	struct oci_image image;
};

static int archive_error(struct bb_err *err, int code)
{
	return bb_err_set(err, code, "cannot write the image's archive: %s", bb_err_name(code));
}

static int archive_write(struct oci_archive *a, uint64_t offset, const void *p, size_t n,
			 struct bb_err *err)
{
	const uint8_t *from = p;

	while (n > 0) {
		ssize_t done = pwrite(a->fd, from, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return archive_error(err, done < 0 ? -errno : -EIO);
		from += done;
		offset += (size_t)done;
		n -= (size_t)done;
	}
	return 0;
}

/* The member whose content of that size already stands behind the room for its header. */
static int archive_close_member(struct oci_archive *a, const char *name, uint64_t bytes,
				struct bb_err *err)
{
	static const uint8_t zeros[OCI_TAR_BLOCK];
	uint8_t header[OCI_TAR_BLOCK];
	uint64_t end = a->offset + OCI_TAR_BLOCK + bytes;
	size_t padding = (OCI_TAR_BLOCK - bytes % OCI_TAR_BLOCK) % OCI_TAR_BLOCK;
	int r = oci_tar_header(name, bytes, header);

	if (r == -EFBIG)
		return bb_err_set(err, BB_E_LIMIT, "a layer of the image is larger than 8 GiB");
	if (r < 0)
		return archive_error(err, r);
	r = archive_write(a, a->offset, header, sizeof(header), err);
	if (r == 0)
		r = archive_write(a, end, zeros, padding, err);
	if (r == 0)
		a->offset = end + padding;
	return r;
}

static int archive_put(struct oci_archive *a, const char *name, struct bb_view content,
		       struct bb_err *err)
{
	int r = archive_write(a, a->offset + OCI_TAR_BLOCK, content.p, content.n, err);

	return r < 0 ? r : archive_close_member(a, name, content.n, err);
}

/* A text that is named by its digest. */
static int archive_put_blob(struct oci_archive *a, struct bb_view content, struct oci_blob *ret,
			    struct bb_err *err)
{
	char name[OCI_TAR_BLOCK];
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, content.p, content.n);
	sha256_final_hex(&s, ret->digest);
	ret->bytes = content.n;
	(void)snprintf(name, sizeof(name), OCI_BLOB_NAME, ret->digest); /* far shorter */
	return archive_put(a, name, content, err);
}

/* --- layers ------------------------------------------------------------------------------------
 */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted; NULL-terminated. */
static int list_names(const char *dir, char ***ret, struct bb_err *err)
{
	BB_AUTO_STRV char **names = NULL;
	DIR *d = opendir(dir);
	int r = 0;

	if (d == NULL)
		return bb_err_errno(err, "cannot read '%s'", dir);
	for (struct dirent *e = readdir(d); r == 0 && e != NULL; e = readdir(d))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = bb_strv_push(&names, strdup(e->d_name));
	(void)closedir(d);
	if (r < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (names == NULL || bb_strv_len(names) > OCI_ENTRIES_MAX)
		return bb_err_set(err, -EINVAL, "'%s' is not the root of an image", dir);
	qsort(names, bb_strv_len(names), sizeof(*names), compare_names);
	*ret = bb_take_ptr(&names);
	return 0;
}

/* tar writes the members of dir; they become one layer. names may begin with more options. */
static int archive_put_layer(struct oci_archive *a, const char *dir, const char *const *names,
			     struct bb_err *err)
{
	const char *argv[OCI_ENTRIES_MAX + 20] = {
		"tar",         "--create",  "--file=-",  "--format=gnu",
		"--sort=name", "--owner=0", "--group=0", "--numeric-owner",
	};
	const struct job_tool tool = {
		.package = "tar", .argv = argv, .cwd = dir, .out_file = &a->fd
	};
	struct oci_blob *layer = &a->image.layers[a->image.layer_count];
	uint64_t begin = a->offset + OCI_TAR_BLOCK;
	char name[OCI_TAR_BLOCK];
	size_t count = 0;
	off_t end;
	int r;

	while (argv[count] != NULL)
		count++;
	for (size_t i = 0; names[i] != NULL; i++)
		argv[count++] = names[i];
	if (lseek(a->fd, (off_t)begin, SEEK_SET) < 0)
		return archive_error(err, -errno);
	r = job_run(a->job, &tool, err);
	if (r < 0)
		return r;
	end = lseek(a->fd, 0, SEEK_CUR);
	if (end < (off_t)begin)
		return archive_error(err, end < 0 ? -errno : -EIO);
	layer->bytes = (uint64_t)end - begin;
	r = sha256_region_hex(a->fd, begin, layer->bytes, layer->digest);
	if (r < 0)
		return bb_err_set(err, r, "cannot read the image's archive: %s", bb_err_name(r));
	a->image.layer_count++;
	(void)snprintf(name, sizeof(name), OCI_BLOB_NAME, layer->digest); /* far shorter */
	return archive_close_member(a, name, layer->bytes, err);
}

static int archive_put_root(struct oci_archive *a, const char *dir, struct bb_err *err)
{
	BB_AUTO_STRV char **names = NULL;
	int r = list_names(dir, &names, err);

	return r < 0 ? r : archive_put_layer(a, dir, (const char *const *)names, err);
}

/* Read through a link of ours, so that the member has the name it shall have in the root. */
static int archive_put_init(struct oci_archive *a, const char *init_path, struct bb_err *err)
{
	static const char *const words[] = { "--dereference", "--mtime=@0", "--mode=0755",
					     "bottle-init", NULL };
	BB_AUTO_FREE char *link = bb_text_printf("%s/bottle-init", a->job->scratch);

	if (link == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (symlink(init_path, link) < 0)
		return bb_err_errno(err, "cannot make '%s'", link);
	return archive_put_layer(a, a->job->scratch, words, err);
}

/* --- the whole ---------------------------------------------------------------------------------
 */

static int archive_put_texts(struct oci_archive *a, struct bb_err *err)
{
	BB_AUTO_BUF struct bb_buf config = { .cap = OCI_TEXT_MAX };
	BB_AUTO_BUF struct bb_buf manifest = { .cap = OCI_TEXT_MAX };
	BB_AUTO_BUF struct bb_buf index = { .cap = OCI_TEXT_MAX };
	BB_AUTO_BUF struct bb_buf docker = { .cap = OCI_TEXT_MAX };
	struct oci_image *o = &a->image;
	int r = oci_put_config(&config, o);

	if (r == 0)
		r = archive_put_blob(a, bb_buf_peek(&config), &o->config, err);
	if (r == 0)
		r = oci_put_manifest(&manifest, o);
	if (r == 0)
		r = archive_put_blob(a, bb_buf_peek(&manifest), &o->manifest, err);
	if (r == 0 && (oci_put_index(&index, o) < 0 || oci_put_docker(&docker, o) < 0))
		r = bb_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = archive_put(a, "index.json", bb_buf_peek(&index), err);
	if (r == 0)
		r = archive_put(a, "manifest.json", bb_buf_peek(&docker), err);
	return r < 0 ? r : archive_put(a, "oci-layout", bb_view_str(OCI_LAYOUT), err);
}

static int archive_put_all(struct oci_archive *a, const struct image *img, const char *init_path,
			   struct bb_err *err)
{
	static const uint8_t zeros[2 * OCI_TAR_BLOCK]; /* the end of a tar archive */
	int r = archive_put(a, "blobs/", bb_view_of(NULL, 0), err);

	if (r == 0)
		r = archive_put(a, "blobs/sha256/", bb_view_of(NULL, 0), err);
	for (size_t i = img->layer_count; r == 0 && i > 0; i--) {
		job_step(a->job, 80 / (int)img->layer_count, "packing a layer");
		r = archive_put_root(a, img->dirs[i - 1], err);
	}
	job_step(a->job, 5, "packing bottle-init");
	if (r == 0)
		r = archive_put_init(a, init_path, err);
	if (r == 0)
		r = archive_put_texts(a, err);
	if (r == 0)
		r = archive_write(a, a->offset, zeros, sizeof(zeros), err);
	job_step(a->job, 10, "writing the archive to disk");
	if (r == 0 && fsync(a->fd) < 0)
		r = archive_error(err, -errno);
	return r;
}

/* A digest of the program, as far as an archive's name holds it. */
static int init_digest(const char *path, char ret[IMAGE_OCI_INIT_DIGITS + 1], struct bb_err *err)
{
	BB_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char digest[SHA256_DIGITS + 1];
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return bb_err_errno(err, "'%s'", path);
	r = sha256_region_hex(fd, 0, (uint64_t)st.st_size, digest);
	if (r < 0)
		return bb_err_set(err, r, "'%s': %s", path, bb_err_name(r));
	memcpy(ret, digest, IMAGE_OCI_INIT_DIGITS);
	ret[IMAGE_OCI_INIT_DIGITS] = '\0';
	return 0;
}

void oci_sweep(const char *images, const char *id)
{
	BB_AUTO_FREE char *dir = bb_text_printf("%s/%s", images, id);
	BB_AUTO_CLOSE int lock = dir == NULL ? -1 : image_lock(dir, LOCK_EX | LOCK_NB);
	DIR *d = lock < 0 ? NULL : opendir(dir);
	char kept[IMAGE_OCI_NAME_MAX];
	ssize_t n = lock < 0 ? -1 : readlinkat(lock, IMAGE_OCI_LINK, kept, sizeof(kept) - 1);

	kept[n < 0 ? 0 : n] = '\0';
	for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
		struct image_oci_name name;

		if (image_oci_parse(e->d_name, &name) && strcmp(e->d_name, kept) != 0)
			(void)unlinkat(lock, e->d_name, 0); /* the next archive tries again */
	}
	if (d != NULL)
		(void)closedir(d);
}

/* The archive is complete: gives it its name, then points the link there. */
static int oci_publish(struct image_job *job, const struct oci_image *o, const char *dir,
		       const char *init_path, struct bb_err *err)
{
	char init[IMAGE_OCI_INIT_DIGITS + 1], name[IMAGE_OCI_NAME_MAX];
	BB_AUTO_FREE char *from = bb_text_printf("%s/archive", job->dir);
	BB_AUTO_FREE char *to = NULL;
	BB_AUTO_FREE char *fresh = bb_text_printf("%s/link", job->dir);
	BB_AUTO_FREE char *link = bb_text_printf("%s/" IMAGE_OCI_LINK, dir);
	int r = init_digest(init_path, init, err);

	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), IMAGE_OCI_NAME, o->manifest.digest, init);
	to = bb_text_printf("%s/%s", dir, name);
	if (from == NULL || to == NULL || fresh == NULL || link == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	if (rename(from, to) < 0 || symlink(name, fresh) < 0 || rename(fresh, link) < 0)
		return bb_err_errno(err, "cannot name the image's archive '%s'", to);
	return 0;
}

bool oci_is_current(const struct image *img, const char *init_path)
{
	char init[IMAGE_OCI_INIT_DIGITS + 1];

	return img->oci != NULL && init_digest(init_path, init, NULL) == 0 &&
	       strcmp(img->oci_init, init) == 0;
}

int oci_make(struct image_job *job, const struct image *img, const char *init_path,
	     struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/archive", job->dir);
	BB_AUTO_FREE char *dir = bb_text_printf("%s/%s", job->images, img->id);
	BB_AUTO_CLOSE int fd = -1;
	struct oci_archive a = {
		.job = job,
		.image = { .name = img->name, .id = img->id, .architecture = oci_architecture() }
	};
	int r;

	if (a.image.architecture == NULL)
		return bb_err_set(err, BB_E_MISSING,
				  "images for this machine's architecture are not made");
	if (path == NULL || dir == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return bb_err_errno(err, "cannot make '%s'", path);
	a.fd = fd;
	r = archive_put_all(&a, img, init_path, err);
	return r < 0 ? r : oci_publish(job, &a.image, dir, init_path, err);
}
