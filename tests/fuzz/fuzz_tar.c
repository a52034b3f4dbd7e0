/* Archives. Oracle: an entry keeps its bounds; what is read is written again and reads back the
 * same; an error carries a sentence. */
#include <assert.h>
#include <stdint.h>

#include "base/buf.h"
#include "guest/tar.h"

static int take(void *arg, void *p, size_t n)
{
	struct bb_view *v = arg;

	if (v->n < n)
		return -ENODATA;
	if (n > 0)
		memcpy(p, v->p, n);
	*v = bb_view_from(*v, n);
	return 0;
}

static int put(void *arg, const void *p, size_t n)
{
	return bb_buf_append(arg, p, n);
}

static void check_round_trip(const struct tar_entry *e)
{
	static struct tar_reader t;
	struct bb_view v;
	struct bb_buf b;

	bb_buf_init(&b, 1 << 20);
	assert(tar_write_header(put, &b, e) == 0);
	v = bb_buf_peek(&b);
	tar_reader_init(&t, take, &v);
	assert(tar_next(&t, NULL) == 1 && v.n == 0);
	assert(t.entry.type == e->type && t.entry.mode == e->mode && t.entry.size == e->size &&
	       t.entry.mtime == e->mtime);
	assert(strcmp(t.entry.path, e->path) == 0 && strcmp(t.entry.link, e->link) == 0);
	bb_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tar_reader t;
	struct bb_view v = bb_view_of(data, size);
	struct bb_err err = { 0 };
	uint8_t chunk[700];
	int r;

	tar_reader_init(&t, take, &v);
	while ((r = tar_next(&t, &err)) > 0) {
		uint64_t seen = 0;

		assert(t.entry.path[0] != '\0' && strlen(t.entry.path) <= LIMIT_TAR_NAME);
		assert(t.entry.size <= LIMIT_TAR_FILE && t.entry.mode <= 07777);
		check_round_trip(&t.entry);
		while ((r = tar_read(&t, chunk, sizeof(chunk), &err)) > 0)
			seen += (uint64_t)r;
		assert(r < 0 || seen == t.entry.size);
		if (r < 0)
			break;
	}
	assert(r == 0 || (err.code == r && err.msg[0] != '\0'));
	return 0;
}
