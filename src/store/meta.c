/* metadata.json: written by one monitor, read by every command. Our own file, so strict: a member
 * of the wrong type is an error, not a guess. */
#include "store/store_impl.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/text.h"

#define META_VERSION  1
#define META_FILE_MAX 65536

enum meta_type {
	META_STR,
	META_BOOL,
	META_INT,
	META_U64,
};

static const struct meta_field {
	const char *name;
	enum meta_type type;
	size_t offset;
	bool is_required;
} meta_fields[] = {
#define FIELD(member, type, required)                                        \
	{                                                                    \
#member, type, offsetof(struct store_meta, member), required \
	}
	FIELD(identity, META_STR, true),         FIELD(agent, META_STR, true),
	FIELD(bottle, META_STR, false),          FIELD(backend, META_STR, true),
	FIELD(label, META_STR, false),           FIELD(color, META_STR, false),
	FIELD(image, META_STR, false),           FIELD(cwd, META_STR, false),
	FIELD(guest_workspace, META_STR, false), FIELD(started_at, META_U64, true),
	FIELD(is_headless, META_BOOL, true),     FIELD(has_ended, META_BOOL, true),
	FIELD(exit_code, META_INT, false),       FIELD(reason, META_STR, false),
	FIELD(workspace_kept, META_BOOL, false), FIELD(problem, META_STR, false),
	FIELD(agent_kept, META_BOOL, false),     FIELD(base_id, META_STR, false),
	FIELD(committed_image, META_STR, false),
#undef FIELD
};

static void *member(const struct store_meta *m, const struct meta_field *f)
{
	return (char *)(uintptr_t)m + f->offset;
}

/* A guest's reason or a path may hold bytes that are not UTF-8: JSON cannot. */
static json_t *json_text(const char *s)
{
	json_t *value = json_string(s);
	char shown[2048];

	if (value != NULL)
		return value;
	return json_string(bb_text_escape(shown, sizeof(shown), bb_view_str(s), sizeof(shown)));
}

static json_t *field_to_json(const struct store_meta *m, const struct meta_field *f)
{
	const void *p = member(m, f);

	switch (f->type) {
	case META_STR:
		return *(char *const *)p == NULL ? json_null() : json_text(*(char *const *)p);
	case META_BOOL:
		return json_boolean(*(const bool *)p);
	case META_INT:
		return json_integer(*(const int *)p);
	case META_U64:
		return json_integer((json_int_t) * (const uint64_t *)p);
	}
	return NULL;
}

static char *meta_to_text(const struct store_meta *m)
{
	json_t *root = json_object();
	char *text;

	if (root == NULL)
		return NULL;
	if (json_object_set_new(root, "version", json_integer(META_VERSION)) < 0) {
		json_decref(root);
		return NULL;
	}
	for (size_t i = 0; i < BB_ARRAY_LEN(meta_fields); i++)
		if (json_object_set_new(root, meta_fields[i].name,
					field_to_json(m, &meta_fields[i])) < 0) {
			json_decref(root);
			return NULL;
		}
	text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	return text;
}

/* The directory's entry for a file that was renamed. */
static int sync_dir(const char *identity)
{
	BB_AUTO_FREE char *dir = store_state_dir(identity, NULL);
	BB_AUTO_CLOSE int fd = dir == NULL ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_meta(const struct store_meta *m, bool is_synced, struct bb_err *err)
{
	BB_AUTO_FREE char *path = store_state_path(m->identity, "metadata.json", err);
	BB_AUTO_FREE char *temp = store_state_path(m->identity, "metadata.json.new", err);
	BB_AUTO_FREE char *text = NULL;
	BB_AUTO_CLOSE int fd = -1;
	int r;

	if (path == NULL || temp == NULL)
		return -ENOMEM;
	text = meta_to_text(m);
	if (text == NULL)
		return bb_err_set(err, -ENOMEM, "out of memory");
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return bb_err_errno(err, "cannot write '%s'", temp);
	r = bb_fd_write_all(fd, text, strlen(text));
	if (r == 0 && is_synced && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	if (r == 0 && is_synced)
		r = sync_dir(m->identity);
	if (r < 0) {
		(void)unlink(temp); /* the write's error is the news */
		return bb_err_set(err, r, "cannot write '%s': %s", path, bb_err_name(r));
	}
	return 0;
}

int store_meta_write(const struct store_meta *m, struct bb_err *err)
{
	return write_meta(m, false, err);
}

int store_meta_write_synced(const struct store_meta *m, struct bb_err *err)
{
	return write_meta(m, true, err);
}

static int field_from_json(struct store_meta *m, const struct meta_field *f, const json_t *value,
			   struct bb_err *err)
{
	void *p = member(m, f);

	if (value == NULL || json_is_null(value)) {
		if (f->is_required)
			return bb_err_set(err, -EBADMSG, "'%s' is missing", f->name);
		return 0;
	}
	switch (f->type) {
	case META_STR:
		if (!json_is_string(value))
			break;
		*(char **)p = strdup(json_string_value(value));
		return *(char **)p == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : 0;
	case META_BOOL:
		if (!json_is_boolean(value))
			break;
		*(bool *)p = json_is_true(value);
		return 0;
	case META_INT:
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    json_integer_value(value) > 255)
			break;
		*(int *)p = (int)json_integer_value(value);
		return 0;
	case META_U64:
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			break;
		*(uint64_t *)p = (uint64_t)json_integer_value(value);
		return 0;
	}
	return bb_err_set(err, -EBADMSG, "'%s' has the wrong type", f->name);
}

static int meta_from_json(struct store_meta *m, const json_t *root, struct bb_err *err)
{
	const json_t *version = json_object_get(root, "version");
	int r;

	if (!json_is_integer(version))
		return bb_err_set(err, -EBADMSG, "it says no version");
	if (json_integer_value(version) != META_VERSION)
		return bb_err_set(err, -EPROTO, "it is not of version %d", META_VERSION);
	for (size_t i = 0; i < BB_ARRAY_LEN(meta_fields); i++) {
		r = field_from_json(m, &meta_fields[i], json_object_get(root, meta_fields[i].name),
				    err);
		if (r < 0)
			return r;
	}
	return 0;
}

int store_meta_read(const char *identity, struct store_meta **ret, struct bb_err *err)
{
	BB_AUTO_FREE char *path = store_state_path(identity, "metadata.json", err);
	BB_AUTO_BUF struct bb_buf text;
	struct store_meta *m;
	json_error_t bad;
	json_t *root;
	int r;

	bb_buf_init(&text, META_FILE_MAX);
	if (path == NULL)
		return BB_E_USAGE;
	r = bb_path_read(path, 1, &text, err);
	if (r < 0)
		return r;
	root = json_loadb((const char *)bb_buf_peek(&text).p, bb_buf_size(&text),
			  JSON_REJECT_DUPLICATES, &bad);
	if (root == NULL)
		return bb_err_set(err, -EBADMSG, "'%s' is damaged: line %d: %s", path, bad.line,
				  BB_ESCAPED(bb_view_str(bad.text)));
	m = calloc(1, sizeof(*m));
	r = m == NULL ? bb_err_set(err, -ENOMEM, "out of memory") : meta_from_json(m, root, err);
	json_decref(root);
	if (r == 0 && strcmp(m->identity, identity) != 0)
		r = bb_err_set(err, -EBADMSG, "it belongs to another bottle");
	if (r < 0) {
		store_meta_free(m);
		return bb_err_wrap(err, "'%s' is damaged", path);
	}
	*ret = m;
	return 0;
}

void store_meta_free(struct store_meta *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < BB_ARRAY_LEN(meta_fields); i++)
		if (meta_fields[i].type == META_STR)
			free(*(char **)member(m, &meta_fields[i]));
	free(m);
}
