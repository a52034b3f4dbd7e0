/* Reading and writing of archives: pure. See tar.h. */
#include "guest/tar.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/text.h"

/* Offsets and sizes of the fields of a ustar header. */
enum {
	TAR_NAME = 0,
	TAR_NAME_SIZE = 100,
	TAR_MODE = 100,
	TAR_UID = 108,
	TAR_GID = 116,
	TAR_SIZE = 124,
	TAR_SIZE_SIZE = 12,
	TAR_MTIME = 136,
	TAR_SUM = 148,
	TAR_TYPE = 156,
	TAR_LINK = 157,
	TAR_MAGIC = 257,
	TAR_PREFIX = 345,
	TAR_PREFIX_SIZE = 155,
};
#define TAR_OCTAL_MAX 077777777777ULL /* of an eleven-digit field */

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
	if (key.n >= 11 && memcmp(key.p, "GNU.sparse.", 11) == 0)
		return tar_broken(err, "sparse files are not supported");
	return 0; /* owners, times, attributes: not taken over */
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

static int tar_type_of(struct tar_reader *t, uint8_t type, struct bb_err *err)
{
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
	uint64_t mode, mtime;
	int r = tar_names(t, h, err);

	if (r == 0)
		r = tar_type_of(t, h[TAR_TYPE], err);
	if (r < 0)
		return r;
	if (tar_octal(h + TAR_MODE, 8, &mode) < 0 || tar_octal(h + TAR_MTIME, 12, &mtime) < 0)
		return tar_broken(err, "a mode or time is no number");
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

/* Digits and a NUL; the value was checked to fit. */
static void tar_put_octal(uint8_t *p, size_t n, uint64_t v)
{
	p[n - 1] = '\0';
	for (size_t i = n - 1; i > 0; i--) {
		p[i - 1] = (uint8_t)('0' + (v & 7));
		v >>= 3;
	}
}

/* A field that is full has no terminator; a longer text is cut: an extended header has the whole.
 */
static void tar_put_text(uint8_t *p, size_t n, const char *s)
{
	for (size_t i = 0; i < n && s[i] != '\0'; i++)
		p[i] = (uint8_t)s[i];
}

static int tar_put_header(tar_write_cb *write, void *arg, const struct tar_entry *e, char type,
			  uint64_t size)
{
	static const uint8_t magic[8] = { 'u', 's', 't', 'a', 'r', 0, '0', '0' };
	uint8_t h[TAR_BLOCK] = { 0 };
	bool fits_time = e->mtime >= 0 && (uint64_t)e->mtime <= TAR_OCTAL_MAX;
	uint64_t sum = 0;

	tar_put_text(h + TAR_NAME, TAR_NAME_SIZE, e->path);
	tar_put_octal(h + TAR_MODE, 8, e->mode & 07777);
	tar_put_octal(h + TAR_UID, 8, 0);
	tar_put_octal(h + TAR_GID, 8, 0);
	tar_put_octal(h + TAR_SIZE, 12, size <= TAR_OCTAL_MAX ? size : 0);
	tar_put_octal(h + TAR_MTIME, 12, fits_time ? (uint64_t)e->mtime : 0);
	memset(h + TAR_SUM, ' ', 8);
	h[TAR_TYPE] = (uint8_t)type;
	tar_put_text(h + TAR_LINK, TAR_NAME_SIZE, e->link);
	memcpy(h + TAR_MAGIC, magic, sizeof(magic));
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += h[i];
	tar_put_octal(h + TAR_SUM, 7, sum);
	return write(arg, h, sizeof(h));
}

static int tar_put_record(struct bb_buf *b, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3; /* " ", "=", newline */
	size_t n = rest + 1, digits = 1;

	/* The length counts its own digits. */
	for (size_t limit = 10; n >= limit; limit *= 10)
		n = rest + ++digits;
	return bb_buf_printf(b, "%zu %s=%s\n", n, key, value);
}

static int tar_put_pax(tar_write_cb *write, void *arg, const struct tar_entry *e)
{
	static const struct tar_entry carrier = { .path = "pax", .mode = 0644 };
	BB_AUTO_BUF struct bb_buf b = { 0 };
	char number[32];
	int r = 0;

	bb_buf_init(&b, LIMIT_TAR_PAX);
	if (strlen(e->path) > TAR_NAME_SIZE)
		r = tar_put_record(&b, "path", e->path);
	if (r == 0 && strlen(e->link) > TAR_NAME_SIZE)
		r = tar_put_record(&b, "linkpath", e->link);
	if (r == 0 && e->size > TAR_OCTAL_MAX) {
		(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)e->size);
		r = tar_put_record(&b, "size", number);
	}
	if (r == 0 && (e->mtime < 0 || (uint64_t)e->mtime > TAR_OCTAL_MAX)) {
		(void)snprintf(number, sizeof(number), "%lld", (long long)e->mtime);
		r = tar_put_record(&b, "mtime", number);
	}
	if (r < 0 || bb_buf_size(&b) == 0)
		return r;
	r = tar_put_header(write, arg, &carrier, 'x', bb_buf_size(&b));
	if (r == 0)
		r = write(arg, bb_buf_peek(&b).p, bb_buf_size(&b));
	return r == 0 ? tar_write_pad(write, arg, bb_buf_size(&b)) : r;
}

int tar_write_header(tar_write_cb *write, void *arg, const struct tar_entry *e)
{
	static const char types[] = {
		[TAR_FILE] = '0', [TAR_DIRECTORY] = '5', [TAR_SYMLINK] = '2', [TAR_HARDLINK] = '1'
	};
	int r = tar_put_pax(write, arg, e);

	return r < 0 ? r : tar_put_header(write, arg, e, types[e->type], e->size);
}

int tar_write_pad(tar_write_cb *write, void *arg, uint64_t size)
{
	static const uint8_t zero[TAR_BLOCK];
	size_t n = (size_t)(-size & (TAR_BLOCK - 1));

	return n == 0 ? 0 : write(arg, zero, n);
}

int tar_write_end(tar_write_cb *write, void *arg)
{
	static const uint8_t zero[2 * TAR_BLOCK];

	return write(arg, zero, sizeof(zero));
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
