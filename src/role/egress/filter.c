/*
 * A response's body from a host with a bound credential: decompressed where the host compressed it
 * although it was asked not to, and then without the credential. Works in small steps, so that what
 * waits for the guest stays bounded however much comes out of a compressed piece.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "role/egress/egress_impl.h"

#define FILTER_IN  (72 * 1024) /* one piece of a body */
#define FILTER_OUT 32768

struct filter {
	struct http_inflate *inflate; /* NULL: the body is not compressed */
	struct http_scrub_stream scrub;
	struct bb_buf in; /* what was given and not taken yet */
	bool has_more;    /* inflate filled its buffer: there may be more without input */
	bool has_end, is_over;
};

struct filter *filter_new(const struct http_scrub *scrub, enum http_coding coding)
{
	struct filter *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	http_scrub_stream_init(&f->scrub, scrub, FILTER_IN);
	bb_buf_init(&f->in, FILTER_IN);
	if (coding != HTTP_CODING_IDENTITY) {
		f->inflate = http_inflate_new(coding);
		if (f->inflate == NULL) {
			filter_free(f);
			return NULL;
		}
	}
	return f;
}

void filter_free(struct filter *f)
{
	if (f == NULL)
		return;
	http_inflate_free(f->inflate);
	http_scrub_stream_done(&f->scrub);
	bb_buf_wipe(&f->in);
	free(f);
}

bool filter_is_busy(const struct filter *f)
{
	return bb_buf_size(&f->in) > 0 || f->has_more || (f->has_end && !f->is_over);
}

int filter_give(struct filter *f, struct bb_view piece, bool is_end)
{
	f->has_end = is_end;
	return bb_buf_append_view(&f->in, piece);
}

static int take_inflated(struct filter *f, struct bb_view *ret, struct bb_err *err)
{
	uint8_t out[FILTER_OUT];
	size_t used = 0, made = 0;
	int r = http_inflate_run(f->inflate, bb_buf_peek(&f->in), out, sizeof(out), &used, &made,
				 err);

	if (r < 0)
		return r;
	bb_buf_consume(&f->in, used);
	f->has_more = made == sizeof(out);
	if (used == 0 && made == 0 && bb_buf_size(&f->in) > 0)
		return bb_err_set(err, -EPROTO, "the compressed body is not valid");
	f->is_over = f->has_end && !f->has_more && bb_buf_size(&f->in) == 0;
	if (f->is_over && !http_inflate_is_whole(f->inflate))
		return bb_err_set(err, -EPROTO, "the compressed body is cut off");
	return http_scrub_push(&f->scrub, bb_view_of(out, made), f->is_over, ret);
}

int filter_take(struct filter *f, struct bb_view *ret, struct bb_err *err)
{
	int r;

	*ret = bb_view_of(NULL, 0);
	if (f->inflate != NULL) {
		r = take_inflated(f, ret, err);
	} else {
		f->is_over = f->has_end;
		r = http_scrub_push(&f->scrub, bb_buf_peek(&f->in), f->is_over, ret);
		bb_buf_reset(&f->in);
	}
	if (r == -ENOMEM)
		return bb_err_set(err, r, "out of memory");
	return r < 0 ? r : f->is_over;
}
