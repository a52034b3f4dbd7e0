/* Reading of archives: pure. See tar.h; tar_write.c writes them. */
#include "guest/tar_impl.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/text.h"

void tar_reader_init(struct tar_reader *t, tar_read_cb *read, void *arg)
{
	memset(t, 0, sizeof(*t));
	t->read = read;
	t->arg = arg;
}

/* Octal digits, then spaces or NULs. */
static int tar_octal(const uint8_t *p, size_t n, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v > UINT64_MAX >> 3)
			return -ERANGE;
		v = v << 3 | (uint64_t)(p[i] - '0');
	}
	for (; i < n; i++)
		if (p[i] != ' ' && p[i] != '\0')
			return -EINVAL;
	*ret = v;
	return 0;
}

static int tar_broken(struct bb_err *err, const char *what)
{
	return bb_err_set(err, -EPROTO, "archive: %s", what);
}

static int tar_get(struct tar_reader *t, void *p, size_t n, struct bb_err *err)
{
	int r = t->read(t->arg, p, n);

	if (r == -ENODATA)
		return tar_broken(err, "it is cut off");
	return r < 0 ? bb_err_set(err, r, "archive: %s", bb_err_name(r)) : 0;
}

static int tar_skip(struct tar_reader *t, struct bb_err *err)
{
	uint8_t chunk[4096];

	while (t->left + t->pad > 0) {
		size_t n = t->left + t->pad > sizeof(chunk) ? sizeof(chunk)
							    : (size_t)(t->left + t->pad);
		int r = tar_get(t, chunk, n, err);

		if (r < 0)
			return r;
		if (n > t->left) {
			t->pad -= n - (size_t)t->left;
			t->left = 0;
		} else {
			t->left -= n;
		}
	}
	return 0;
}

int tar_read(struct tar_reader *t, void *p, size_t n, struct bb_err *err)
{
	int r;

	if (n > t->left)
		n = (size_t)t->left;
	if (n > 1 << 20)
		n = 1 << 20;
	if (n == 0)
		return 0;
	r = tar_get(t, p, n, err);
	if (r < 0)
		return r;
	t->left -= n;
	return (int)n;
}

static void tar_set_data(struct tar_reader *t, uint64_t size)
{
	t->left = size;
	t->pad = (size_t)(-size & (TAR_BLOCK - 1));
}

static int tar_copy_name(char *dst, struct bb_view v, struct bb_err *err)
{
	if (v.n > LIMIT_TAR_NAME)
		return bb_err_set(err, -ENAMETOOLONG, "archive: a name of %zu bytes, limit %d", v.n,
				  LIMIT_TAR_NAME);
	if (memchr(v.p, '\0', v.n) != NULL)
		return tar_broken(err, "a NUL byte in a name");
	memcpy(dst, v.p, v.n);
	dst[v.n] = '\0';
	return 0;
}

/* "1350244992.023960108"; the fraction is dropped. */
static int tar_pax_time(struct bb_view v, int64_t *ret)
{
	bool is_negative = v.n > 0 && v.p[0] == '-';
	const uint8_t *dot = memchr(v.p, '.', v.n);
	uint64_t seconds;

	if (dot != NULL)
		v.n = (size_t)(dot - v.p);
	if (is_negative)
		v = bb_view_from(v, 1);
	if (bb_num_parse_u64(v, INT64_MAX, &seconds) < 0)
		return -EINVAL;
	*ret = is_negative ? -(int64_t)seconds : (int64_t)seconds;
	return 0;
}

static int tar_pax_id(struct bb_view v, uint32_t *ret)
{
	uint64_t id;

	if (bb_num_parse_u64(v, UINT32_MAX - 1, &id) < 0) /* -1 means "nobody" to chown() */
		return -EINVAL;
	*ret = (uint32_t)id;
	return 0;
}

static int tar_pax_record(struct tar_reader *t, struct bb_view key, struct bb_view value,
			  struct bb_err *err)
{
	if (bb_view_eq_str(key, "path")) {
		t->has_path = true;
		return tar_copy_name(t->entry.path, value, err);
	}
	if (bb_view_eq_str(key, "linkpath")) {
		t->has_link = true;
		return tar_copy_name(t->entry.link, value, err);
	}
	if (bb_view_eq_str(key, "size")) {
		t->has_size = true;
		if (bb_num_parse_u64(value, LIMIT_TAR_FILE, &t->size) < 0)
			return tar_broken(err, "a file's size is no number or too large");
	}
	if (bb_view_eq_str(key, "mtime")) {
		t->has_mtime = true;
		if (tar_pax_time(value, &t->mtime) < 0)
			return tar_broken(err, "a modification time is no number");
	}
	if (bb_view_eq_str(key, "uid")) {
		t->has_uid = true;
		if (tar_pax_id(value, &t->uid) < 0)
			return tar_broken(err, "an owner is no number");
	}
	if (bb_view_eq_str(key, "gid")) {
		t->has_gid = true;
		if (tar_pax_id(value, &t->gid) < 0)
			return tar_broken(err, "a group is no number");
	}
	if (bb_view_eq_str(key, TAR_OPAQUE))
		t->is_opaque = bb_view_eq_str(value, "y");
	if (key.n >= 11 && memcmp(key.p, "GNU.sparse.", 11) == 0)
		return tar_broken(err, "sparse files are not supported");
	return 0; /* names of owners, other times and attributes: not taken over */
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts all of it. */
static int tar_pax_parse(struct tar_reader *t, struct bb_view in, struct bb_err *err)
{
	while (in.n > 0) {
		const uint8_t *space = memchr(in.p, ' ', in.n < 8 ? in.n : 8), *equals;
		struct bb_view record;
		size_t digits;
		uint64_t n;
		int r;

		if (space == NULL)
			return tar_broken(err, "an extended header is malformed");
		digits = (size_t)(space - in.p);
		if (bb_num_parse_u64(bb_view_of(in.p, digits), in.n, &n) < 0 || n < digits + 3 ||
		    in.p[n - 1] != '\n')
			return tar_broken(err, "an extended header is malformed");
		record = bb_view_of(in.p + digits + 1, (size_t)n - digits - 2);
		equals = memchr(record.p, '=', record.n);
		if (equals == NULL)
			return tar_broken(err, "an extended header is malformed");
		r = tar_pax_record(t, bb_view_of(record.p, (size_t)(equals - record.p)),
				   bb_view_from(record, (size_t)(equals - record.p) + 1), err);
		if (r < 0)
			return r;
		in = bb_view_from(in, (size_t)n);
	}
	return 0;
}

static int tar_pax(struct tar_reader *t, uint64_t size, bool is_global, struct bb_err *err)
{
	uint8_t body[LIMIT_TAR_PAX];
	int r;

	if (size > sizeof(body))
		return bb_err_set(err, -EMSGSIZE,
				  "archive: an extended header of %llu bytes, limit %d",
				  (unsigned long long)size, LIMIT_TAR_PAX);
	tar_set_data(t, size);
	r = tar_get(t, body, (size_t)size, err);
	if (r < 0)
		return r;
	t->left = 0;
	r = tar_skip(t, err);
	if (r < 0 || is_global) /* comments of git and the like: nothing that we take over */
		return r;
	return tar_pax_parse(t, bb_view_of(body, (size_t)size), err);
}

static bool tar_sum_is_right(const uint8_t *h)
{
	uint64_t sum = 0, stored;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= TAR_SUM && i < TAR_SUM + 8 ? ' ' : h[i];
	return tar_octal(h + TAR_SUM, 8, &stored) == 0 && stored == sum;
}

static bool tar_is_zero(const uint8_t *h)
{
	for (size_t i = 0; i < TAR_BLOCK; i++)
		if (h[i] != 0)
			return false;
	return true;
}

/* Names from the header's own fields, where no extended header gave them. */
static int tar_names(struct tar_reader *t, const uint8_t *h, struct bb_err *err)
{
	const char *name = (const char *)h + TAR_NAME, *prefix = (const char *)h + TAR_PREFIX;
	const char *link = (const char *)h + TAR_LINK;
	int n = (int)strnlen(name, TAR_NAME_SIZE), pn = (int)strnlen(prefix, TAR_PREFIX_SIZE);

	if (!t->has_path)
		(void)snprintf(t->entry.path, sizeof(t->entry.path), "%.*s%s%.*s", pn, prefix,
			       pn > 0 ? "/" : "", n, name);
	if (!t->has_link)
		(void)snprintf(t->entry.link, sizeof(t->entry.link), "%.*s",
			       (int)strnlen(link, TAR_NAME_SIZE), link);
	if (t->entry.path[0] == '\0')
		return tar_broken(err, "an entry without a name");
	return 0;
}

/* What an overlay file system calls a whiteout. */
static bool tar_is_removed(const struct tar_reader *t, const uint8_t *h)
{
	uint64_t major, minor;

	return t->is_layer && h[TAR_TYPE] == '3' && tar_octal(h + TAR_DEV_MAJOR, 8, &major) == 0 &&
	       tar_octal(h + TAR_DEV_MINOR, 8, &minor) == 0 && major == 0 && minor == 0;
}

static int tar_type_of(struct tar_reader *t, const uint8_t *h, struct bb_err *err)
{
	uint8_t type = h[TAR_TYPE];
	static const struct {
		uint8_t byte;
		enum tar_type type;
	} known[] = { { '0', TAR_FILE },     { '\0', TAR_FILE },   { '7', TAR_FILE },
		      { '1', TAR_HARDLINK }, { '2', TAR_SYMLINK }, { '5', TAR_DIRECTORY } };
	const char *what = "of an unknown kind";

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].byte == type) {
			t->entry.type = known[i].type;
			return 0;
		}
	}
	if (tar_is_removed(t, h)) {
		t->entry.type = TAR_REMOVED;
		return 0;
	}
	if (type == '3' || type == '4')
		what = "a device node";
	else if (type == '6')
		what = "a named pipe";
	return bb_err_set(err, -EPERM, "archive: '%s' is %s, which is not unpacked",
			  BB_ESCAPED(bb_view_str(t->entry.path)), what);
}

static int tar_finish_entry(struct tar_reader *t, const uint8_t *h, uint64_t size,
			    struct bb_err *err)
{
	uint64_t mode, mtime, uid, gid;
	int r = tar_names(t, h, err);

	if (r == 0)
		r = tar_type_of(t, h, err);
	if (r < 0)
		return r;
	if (tar_octal(h + TAR_MODE, 8, &mode) < 0 || tar_octal(h + TAR_MTIME, 12, &mtime) < 0)
		return tar_broken(err, "a mode or time is no number");
	/* Where owners matter (layers) we wrote them; elsewhere they may be anything. */
	if (tar_octal(h + TAR_UID, 8, &uid) < 0 || uid > TAR_ID_MAX)
		uid = 0;
	if (tar_octal(h + TAR_GID, 8, &gid) < 0 || gid > TAR_ID_MAX)
		gid = 0;
	t->entry.uid = t->has_uid ? t->uid : (uint32_t)uid;
	t->entry.gid = t->has_gid ? t->gid : (uint32_t)gid;
	t->entry.is_opaque = t->is_opaque;
	if (t->has_size)
		size = t->size;
	if (size > LIMIT_TAR_FILE)
		return bb_err_set(err, -EFBIG, "archive: '%s' is larger than %lld bytes",
				  BB_ESCAPED(bb_view_str(t->entry.path)), LIMIT_TAR_FILE);
	t->entry.mode = (uint32_t)mode & 07777;
	t->entry.mtime = t->has_mtime ? t->mtime : (int64_t)(mtime & TAR_OCTAL_MAX);
	t->entry.size = t->entry.type == TAR_FILE ? size : 0;
	/* Some writers give a hard link the size of its file but never data; others give it data.
	 * Ours and libarchive's pax give none, and a link with a size cannot be told apart:
	 * refused. */
	if (t->entry.type != TAR_FILE && size != 0)
		return tar_broken(err, "a directory or link with data");
	tar_set_data(t, t->entry.size);
	t->has_path = t->has_link = t->has_size = t->has_mtime = false;
	t->has_uid = t->has_gid = t->is_opaque = false;
	return 1;
}

static int tar_end(struct tar_reader *t, struct bb_err *err)
{
	uint8_t h[TAR_BLOCK];
	int r = tar_get(t, h, sizeof(h), err);

	if (r < 0)
		return r;
	if (!tar_is_zero(h))
		return tar_broken(err, "a single zero block inside");
	t->is_at_end = true;
	return 0;
}

int tar_next(struct tar_reader *t, struct bb_err *err)
{
	uint8_t h[TAR_BLOCK];
	uint64_t size;
	int r;

	if (t->is_at_end)
		return 0;
	for (;;) {
		r = tar_skip(t, err);
		if (r == 0)
			r = tar_get(t, h, sizeof(h), err);
		if (r < 0)
			return r;
		if (tar_is_zero(h))
			return tar_end(t, err);
		if (!tar_sum_is_right(h) || memcmp(h + TAR_MAGIC, "ustar", 5) != 0)
			return tar_broken(err, "a header is damaged or not POSIX");
		if (tar_octal(h + TAR_SIZE, TAR_SIZE_SIZE, &size) < 0)
			return tar_broken(err, "a size is no number");
		if (h[TAR_TYPE] != 'x' && h[TAR_TYPE] != 'g')
			return tar_finish_entry(t, h, size, err);
		r = tar_pax(t, size, h[TAR_TYPE] == 'g', err);
		if (r < 0)
			return r;
	}
}

bool tar_path_is_inside(const char *path)
{
	if (path[0] == '\0' || path[0] == '/')
		return false;
	while (*path != '\0') {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			return false;
		path += n;
		path += strspn(path, "/");
	}
	return true;
}
