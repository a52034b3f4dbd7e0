/*
 * See scrub.h. Search: the shift table of Wu and Manber over the first bytes of all encodings, so
 * that most bytes are never looked at; what it points to is compared whole.
 */
#include "http/scrub.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "base/text.h"
#include "http/encode.h"

#define SCRUB_NEEDLES  32
#define SCRUB_BLOCK    3 /* bytes that the shift table is asked about */
#define SCRUB_SHIFTS   4096
#define SCRUB_PER_BYTE 64 /* bytes of all encodings of one byte of a secret, and some more */

struct http_scrub {
	struct bb_secret *bytes; /* of all needles, one behind the other */
	struct bb_view needles[SCRUB_NEEDLES];
	size_t needle_count;
	size_t shortest, longest;
	uint16_t shift[SCRUB_SHIFTS]; /* how far on a needle could at least end */
};

static size_t slot(const uint8_t *block)
{
	return ((size_t)block[0] << 8 ^ (size_t)block[1] << 4 ^ block[2]) % SCRUB_SHIFTS;
}

static void fill_shifts(struct http_scrub *s)
{
	size_t far = s->shortest - SCRUB_BLOCK + 1;

	if (far > UINT16_MAX)
		far = UINT16_MAX;
	for (size_t i = 0; i < SCRUB_SHIFTS; i++)
		s->shift[i] = (uint16_t)far;
	for (size_t k = 0; k < s->needle_count; k++)
		for (size_t i = 0; i + SCRUB_BLOCK <= s->shortest; i++) {
			uint16_t *shift = &s->shift[slot(s->needles[k].p + i)];
			size_t left = s->shortest - SCRUB_BLOCK - i;

			if (left < *shift)
				*shift = (uint16_t)left;
		}
}

/* Views into bytes while those are built; the same needle twice is kept once. */
struct needles {
	struct bb_buf bytes;
	size_t start[SCRUB_NEEDLES], size[SCRUB_NEEDLES];
	size_t count;
};

static void add_needle(struct needles *n, size_t start)
{
	size_t size = n->bytes.len - start;
	struct bb_view v = bb_view_of(n->bytes.p + start, size);

	for (size_t i = 0; i < n->count; i++)
		if (bb_view_eq(v, bb_view_of(n->bytes.p + n->start[i], n->size[i])))
			size = 0;
	if (size < HTTP_SCRUB_MIN || n->count == SCRUB_NEEDLES) {
		n->bytes.len = start;
		return;
	}
	n->start[n->count] = start;
	n->size[n->count++] = size;
}

static int build_needles(struct bb_view secret, struct needles *n)
{
	for (unsigned i = 0; i < HTTP_NUM_ENCODINGS; i++) {
		size_t start = n->bytes.len;
		int r = http_encode(&n->bytes, secret, (enum http_encoding)i);

		if (r < 0)
			return r;
		add_needle(n, start);
	}
	return 0;
}

static int take_needles(struct http_scrub *s, const struct needles *n)
{
	struct bb_view bytes;

	s->bytes = bb_secret_new(n->bytes.p, n->bytes.len);
	if (s->bytes == NULL)
		return -ENOMEM;
	bytes = bb_secret_peek(s->bytes);
	s->shortest = SIZE_MAX;
	for (size_t i = 0; i < n->count; i++) {
		s->needles[i] = bb_view_of(bytes.p + n->start[i], n->size[i]);
		if (n->size[i] < s->shortest)
			s->shortest = n->size[i];
		if (n->size[i] > s->longest)
			s->longest = n->size[i];
	}
	s->needle_count = n->count;
	fill_shifts(s);
	return 0;
}

int http_scrub_new(struct bb_view secret, struct http_scrub **ret, struct bb_err *err)
{
	struct http_scrub *s = calloc(1, sizeof(*s));
	struct needles n = { .count = 0 };
	size_t room = secret.n * SCRUB_PER_BYTE + 256;
	int r = -ENOMEM;

	if (secret.n < HTTP_SCRUB_MIN) {
		free(s);
		return bb_err_set(err, -EINVAL,
				  "a secret of fewer than %d bytes cannot be told from text",
				  HTTP_SCRUB_MIN);
	}
	bb_buf_init(&n.bytes, room);
	/* At once in its final size: a growing buffer would leave copies. */
	if (s != NULL && bb_buf_reserve(&n.bytes, room) != NULL)
		r = build_needles(secret, &n);
	if (r == 0)
		r = take_needles(s, &n);
	bb_buf_wipe(&n.bytes);
	if (r < 0) {
		http_scrub_free(s);
		return bb_err_set(err, r, "cannot lock memory for a secret's encodings");
	}
	*ret = s;
	return 0;
}

void http_scrub_free(struct http_scrub *s)
{
	if (s == NULL)
		return;
	bb_secret_free(s->bytes);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

/* Marks each byte of every needle that is whole in data. */
static void find(const struct http_scrub *s, struct bb_view data, uint8_t *marks)
{
	size_t end = s->shortest; /* of the window that is looked at */

	while (end <= data.n) {
		size_t shift = s->shift[slot(data.p + end - SCRUB_BLOCK)];
		struct bb_view here;

		if (shift > 0) {
			end += shift;
			continue;
		}
		here = bb_view_from(data, end - s->shortest);
		for (size_t i = 0; i < s->needle_count; i++) {
			struct bb_view needle = s->needles[i];

			if (here.n >= needle.n && memcmp(here.p, needle.p, needle.n) == 0)
				memset(marks + (here.p - data.p), 1, needle.n);
		}
		end++;
	}
}

/* How many bytes at the end of data may begin a needle. */
static size_t unfinished(const struct http_scrub *s, struct bb_view data)
{
	size_t most = 0;

	for (size_t i = 0; i < s->needle_count; i++) {
		struct bb_view needle = s->needles[i];
		size_t from = data.n < needle.n ? 0 : data.n - needle.n + 1;
		const uint8_t *p = data.p + from;

		while (data.n - (size_t)(p - data.p) > most &&
		       (p = memchr(p, needle.p[0], data.n - (size_t)(p - data.p))) != NULL) {
			size_t n = data.n - (size_t)(p - data.p);

			if (n > most && memcmp(p, needle.p, n) == 0)
				most = n;
			p++;
		}
	}
	return most;
}

static void mask(uint8_t *p, const uint8_t *marks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (marks[i] != 0)
			p[i] = '*';
}

void http_scrub_mask(const struct http_scrub *s, uint8_t *p, size_t n)
{
	BB_AUTO_FREE uint8_t *marks = n < s->shortest ? NULL : calloc(1, n);

	if (n < s->shortest)
		return;
	if (marks == NULL) { /* rather nothing than the secret */
		memset(p, '*', n);
		return;
	}
	find(s, bb_view_of(p, n), marks);
	mask(p, marks, n);
}

void http_scrub_stream_init(struct http_scrub_stream *t, const struct http_scrub *s, size_t max)
{
	*t = (struct http_scrub_stream){ .scrub = s };
	bb_buf_init(&t->data, max + 2 * s->longest);
	bb_buf_init(&t->marks, max + 2 * s->longest);
}

void http_scrub_stream_done(struct http_scrub_stream *t)
{
	bb_buf_wipe(&t->data);
	bb_buf_done(&t->marks);
	t->ready = 0;
}

int http_scrub_push(struct http_scrub_stream *t, struct bb_view piece, bool is_last,
		    struct bb_view *ret)
{
	size_t n;

	bb_buf_consume(&t->data, t->ready);
	bb_buf_consume(&t->marks, t->ready);
	t->ready = 0;
	if (piece.n > 0) {
		uint8_t *marks = bb_buf_reserve(&t->marks, piece.n);

		if (marks == NULL || bb_buf_append_view(&t->data, piece) < 0)
			return -ENOMEM;
		memset(marks, 0, piece.n);
		bb_buf_commit(&t->marks, piece.n);
	}
	n = bb_buf_size(&t->data);
	if (n == 0) {
		*ret = bb_view_of(NULL, 0);
		return 0;
	}
	find(t->scrub, bb_buf_peek(&t->data), t->marks.p + t->marks.off);
	t->ready = is_last ? n : n - unfinished(t->scrub, bb_buf_peek(&t->data));
	mask(t->data.p + t->data.off, t->marks.p + t->marks.off, t->ready);
	*ret = bb_view_of(t->data.p + t->data.off, t->ready);
	return 0;
}
