/*
 * image.json: written once, when an image is complete, and read by whoever uses it. The file is the
 * operator's own, but it is parsed strictly all the same: a record that is not exactly what this
 * version writes makes the image unusable with one sentence instead of half usable.
 */
#include "image/image_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

static inline void image_json_unref(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(image_json_unref)))

void image_record_done(struct image_record *r)
{
	free(r->name);
	free(r->parent_id);
	free(r->kernel_version);
	bb_strv_free(r->packages);
	*r = (struct image_record){ 0 };
}

/* A string or null member; 0 and a copy (NULL for null). */
static int record_string(const json_t *root, const char *key, bool may_be_null, char **ret)
{
	const json_t *v = json_object_get(root, key);

	if (may_be_null && json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return -EPROTO;
	*ret = strdup(json_string_value(v));
	return *ret == NULL ? -ENOMEM : 0;
}

static int record_packages(const json_t *root, char ***ret)
{
	const json_t *list = json_object_get(root, "packages");
	size_t n = json_array_size(list);

	if (!json_is_array(list))
		return -EPROTO;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		char *copy = text == NULL ? NULL : strdup(text);

		if (text == NULL)
			return -EPROTO;
		if (copy == NULL || bb_strv_push(ret, copy) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int record_parse(const json_t *root, struct image_record *r)
{
	const json_t *built = json_object_get(root, "built_at");
	const json_t *committed = json_object_get(root, "committed");
	int n;

	if (!json_is_object(root) || json_object_size(root) != (committed != NULL ? 7 : 6))
		return -EPROTO;
	if (committed != NULL && !json_is_true(committed))
		return -EPROTO;
	r->is_committed = committed != NULL;
	if (json_integer_value(json_object_get(root, "format")) != IMAGE_RECORD_FORMAT)
		return -EPROTO;
	if (!json_is_integer(built) || json_integer_value(built) < 0)
		return -EPROTO;
	r->built_at = (uint64_t)json_integer_value(built);
	if ((n = record_string(root, "name", false, &r->name)) < 0)
		return n;
	if ((n = record_string(root, "parent", true, &r->parent_id)) < 0)
		return n;
	if ((n = record_string(root, "kernel_version", true, &r->kernel_version)) < 0)
		return n;
	if (!image_is_name(r->name) || (r->is_committed && r->parent_id == NULL))
		return -EPROTO;
	if (r->parent_id != NULL && !image_is_id(r->parent_id) &&
	    !(r->is_committed && strcmp(r->parent_id, "host") == 0))
		return -EPROTO;
	return record_packages(root, &r->packages);
}

int image_record_read(const char *dir, struct image_record *ret, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/image.json", dir);
	BB_AUTO_BUF struct bb_buf text = { 0 };
	AUTO_JSON json_t *root = NULL;
	struct image_record r = { 0 };
	struct bb_view v;
	int n;

	bb_buf_init(&text, IMAGE_RECORD_MAX);
	if (path == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	n = bb_path_read(path, 1, &text, err);
	if (n < 0)
		return n;

	v = bb_buf_peek(&text);
	root = json_loadb((const char *)v.p, v.n, JSON_REJECT_DUPLICATES, NULL);
	n = root == NULL ? -EPROTO : record_parse(root, &r);
	if (n < 0) {
		image_record_done(&r);
		return bb_err_set(err, n,
				  "'%s' is damaged or of another version; build the image again",
				  path);
	}
	*ret = r;
	return 0;
}

int image_record_write(const char *dir, const struct image_record *r, struct bb_err *err)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/image.json", dir);
	AUTO_JSON json_t *packages = json_array();
	AUTO_JSON json_t *root = NULL;
	BB_AUTO_FREE char *text = NULL;

	for (size_t i = 0; r->packages != NULL && r->packages[i] != NULL; i++)
		(void)json_array_append_new(packages,
					    json_string(r->packages[i])); /* checked by the dump */
	root = json_pack("{s:i, s:s, s:s?, s:s?, s:I, s:O}", "format", IMAGE_RECORD_FORMAT, "name",
			 r->name, "parent", r->parent_id, "kernel_version", r->kernel_version,
			 "built_at", (json_int_t)r->built_at, "packages", packages);
	if (r->is_committed && json_object_set_new(root, "committed", json_true()) < 0)
		return bb_err_set(err, -ENOMEM, "out of memory");
	text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2));
	if (path == NULL || text == NULL || json_array_size(packages) != bb_strv_len(r->packages))
		return bb_err_set(err, -ENOMEM, "out of memory");
	return bb_path_write_atomic(path, text, strlen(text), 0644, err);
}

bool image_is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > IMAGE_NAME_MAX || s[0] < 'a' || s[0] > 'z' || image_is_id(s))
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

bool image_is_id(const char *s)
{
	return strlen(s) == IMAGE_ID_DIGITS && strspn(s, "0123456789abcdef") == IMAGE_ID_DIGITS;
}

char *image_current_id(const char *images, const char *name)
{
	BB_AUTO_FREE char *path = bb_text_printf("%s/%s", images, name);
	char id[IMAGE_ID_DIGITS + 2];
	ssize_t n = path == NULL ? -1 : readlink(path, id, sizeof(id) - 1);

	if (n != IMAGE_ID_DIGITS)
		return NULL;
	id[n] = '\0';
	return image_is_id(id) ? strdup(id) : NULL;
}

char *image_resolve_id(const char *images, const char *name)
{
	char *id = image_is_name(name) ? image_current_id(images, name) : NULL;
	size_t n = strlen(name);
	DIR *d;

	if (id != NULL || n < IMAGE_ID_HINT || strspn(name, "0123456789abcdef") != n)
		return id;
	d = opendir(images);
	for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL && id == NULL;
	     e = readdir(d))
		if (image_is_id(e->d_name) && strncmp(e->d_name, name, n) == 0)
			id = strdup(e->d_name);
	if (d != NULL)
		(void)closedir(d);
	return id;
}

static bool take_digits(const char **at, char *dst, size_t count)
{
	if (strnlen(*at, count) < count || strspn(*at, "0123456789abcdef") < count)
		return false;
	memcpy(dst, *at, count);
	dst[count] = '\0';
	*at += count;
	return true;
}

bool image_oci_parse(const char *file, struct image_oci_name *ret)
{
	struct image_oci_name name;

	if (strncmp(file, "oci-", 4) != 0)
		return false;
	file += 4;
	if (!take_digits(&file, name.digest, IMAGE_OCI_DIGITS) || *file++ != '-' ||
	    !take_digits(&file, name.init, IMAGE_OCI_INIT_DIGITS) || strcmp(file, ".tar") != 0)
		return false;
	*ret = name;
	return true;
}

int image_lock(const char *dir, int operation)
{
	BB_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	while (flock(fd, operation) < 0)
		if (errno != EINTR)
			return -errno;
	return bb_take_fd(&fd);
}
