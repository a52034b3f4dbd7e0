/* Writing of archives: pure. See tar.h; tar.c reads them. */
#include "guest/tar_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

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
	tar_put_octal(h + TAR_UID, 8, e->uid <= TAR_ID_MAX ? e->uid : 0);
	tar_put_octal(h + TAR_GID, 8, e->gid <= TAR_ID_MAX ? e->gid : 0);
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

static int tar_put_id(struct bb_buf *b, const char *key, uint32_t id)
{
	char number[16];

	if (id <= TAR_ID_MAX)
		return 0;
	(void)snprintf(number, sizeof(number), "%u", id);
	return tar_put_record(b, key, number);
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
	if (r == 0)
		r = tar_put_id(&b, "uid", e->uid);
	if (r == 0)
		r = tar_put_id(&b, "gid", e->gid);
	if (r == 0 && e->is_opaque)
		r = tar_put_record(&b, TAR_OPAQUE, "y");
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
		[TAR_FILE] = '0',     [TAR_DIRECTORY] = '5', [TAR_SYMLINK] = '2',
		[TAR_HARDLINK] = '1', [TAR_REMOVED] = '3',
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
