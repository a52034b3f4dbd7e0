/* See inflate.h. */
#include "http/inflate.h"

#include <limits.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/limit.h"
#include "http/field.h"

#define WINDOW_RAW  (-15)
#define WINDOW_AUTO (15 + 32) /* the header tells gzip from zlib */

struct http_inflate {
	z_stream z;
	enum http_coding coding;
	bool is_open;  /* z is initialised */
	bool is_whole; /* at the end of a member */
	uint64_t used, made;
};

enum http_coding http_coding_of(struct bb_view value)
{
	enum http_coding coding = HTTP_CODING_IDENTITY;
	struct bb_view member;

	while (http_next_member(&value, &member)) {
		if (bb_view_ieq_str(member, "identity"))
			continue;
		if (coding != HTTP_CODING_IDENTITY)
			return HTTP_CODING_UNKNOWN;
		if (bb_view_ieq_str(member, "gzip") || bb_view_ieq_str(member, "x-gzip"))
			coding = HTTP_CODING_GZIP;
		else if (bb_view_ieq_str(member, "deflate"))
			coding = HTTP_CODING_DEFLATE;
		else
			return HTTP_CODING_UNKNOWN;
	}
	return coding;
}

struct http_inflate *http_inflate_new(enum http_coding coding)
{
	struct http_inflate *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->coding = coding;
	return f;
}

void http_inflate_free(struct http_inflate *f)
{
	if (f == NULL)
		return;
	if (f->is_open)
		(void)inflateEnd(&f->z); /* it fails only on a broken stream struct */
	free(f);
}

/* "deflate" means zlib's format, but some servers send it raw: the first byte tells, as browsers
 * do it. */
static int start(struct http_inflate *f, uint8_t first, struct bb_err *err)
{
	bool is_raw = f->coding == HTTP_CODING_DEFLATE && (first & 0x0f) != Z_DEFLATED;
	int r = f->is_open ? inflateReset2(&f->z, is_raw ? WINDOW_RAW : WINDOW_AUTO)
			   : inflateInit2(&f->z, is_raw ? WINDOW_RAW : WINDOW_AUTO);

	if (r != Z_OK)
		return bb_err_set(err, -ENOMEM, "out of memory");
	f->is_open = true;
	f->is_whole = false;
	return 0;
}

int http_inflate_run(struct http_inflate *f, struct bb_view in, uint8_t *out, size_t cap,
		     size_t *ret_used, size_t *ret_made, struct bb_err *err)
{
	int r = 0;

	*ret_used = *ret_made = 0;
	if (in.n > 0 && (!f->is_open || f->is_whole)) /* gzip: members may follow each other */
		r = start(f, in.p[0], err);
	if (r < 0 || !f->is_open || f->is_whole)
		return r;
	if (in.n > UINT_MAX || cap > UINT_MAX)
		return bb_err_set(err, -EINVAL, "a piece of more than %u bytes", UINT_MAX);
	f->z.next_in = in.p;
	f->z.avail_in = (uInt)in.n;
	f->z.next_out = out;
	f->z.avail_out = (uInt)cap;
	r = inflate(&f->z, Z_NO_FLUSH);
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return bb_err_set(err, -EPROTO, "the compressed body is not valid");
	f->is_whole = r == Z_STREAM_END;
	*ret_used = in.n - f->z.avail_in;
	*ret_made = cap - f->z.avail_out;
	f->used += *ret_used;
	f->made += *ret_made;
	if (f->made > LIMIT_INFLATE_FREE && f->made / LIMIT_INFLATE_RATIO > f->used)
		return bb_err_set(err, -EPROTO,
				  "the compressed body grows to more than %d times its size",
				  LIMIT_INFLATE_RATIO);
	return 0;
}

bool http_inflate_is_whole(const struct http_inflate *f)
{
	return f->is_whole || !f->is_open; /* an empty body is whole */
}
