/* http/inflate.c: compressed bodies as streams, with an end and a limit. */
#include "../unit.h"

#include <stdlib.h>

#include <zlib.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "http/inflate.h"

BB_DEFINE_AUTO(http_inflate, http_inflate_free)

static size_t compress_as(int window, const uint8_t *from, size_t n, uint8_t *to, size_t cap)
{
	z_stream z = { 0 };
	size_t made;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)from;
	z.avail_in = (uInt)n;
	z.next_out = to;
	z.avail_out = (uInt)cap;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	made = cap - z.avail_out;
	assert_int_equal(deflateEnd(&z), Z_OK);
	return made;
}

/* Decodes in steps of in_step and out_step bytes; the length, or negative. */
static ssize_t decode(struct http_inflate *f, struct bb_view in, size_t in_step, size_t out_step,
		      uint8_t *to, size_t cap, struct bb_err *err)
{
	size_t total = 0;

	for (;;) {
		struct bb_view piece = in;
		size_t used, made, room = cap - total < out_step ? cap - total : out_step;
		int r;

		if (piece.n > in_step)
			piece.n = in_step;
		r = http_inflate_run(f, piece, to + total, room, &used, &made, err);
		if (r < 0)
			return r;
		in = bb_view_from(in, used);
		total += made;
		if (used == 0 && made == 0)
			return in.n > 0 ? -EPROTO : (ssize_t)total;
	}
}

static void bodies_come_out_as_they_went_in(void **state)
{
	static const struct {
		int window;
		enum http_coding coding;
	} table[] = {
		{ 15 + 16, HTTP_CODING_GZIP },
		{ 15, HTTP_CODING_DEFLATE },
		{ -15, HTTP_CODING_DEFLATE }, /* raw, as some servers send it */
	};
	const size_t steps[] = { 1, 7, 65536 };
	uint8_t text[5000], packed[8192], got[8192];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * i / 7);
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++) {
		size_t n = compress_as(table[i].window, text, sizeof(text), packed, sizeof(packed));

		for (size_t k = 0; k < 9; k++) {
			BB_AUTO(http_inflate)
			struct http_inflate *f = http_inflate_new(table[i].coding);
			struct bb_err err = { 0 };

			assert_int_equal(decode(f, bb_view_of(packed, n), steps[k / 3],
						steps[k % 3], got, sizeof(got), &err),
					 sizeof(text));
			assert_memory_equal(got, text, sizeof(text));
			assert_true(http_inflate_is_whole(f));
		}
		for (size_t cut = 1; cut < n; cut += 97) {
			BB_AUTO(http_inflate)
			struct http_inflate *f = http_inflate_new(table[i].coding);
			struct bb_err err = { 0 };

			assert_true(decode(f, bb_view_of(packed, cut), 65536, 65536, got,
					   sizeof(got), &err) >= 0);
			assert_false(http_inflate_is_whole(f));
		}
	}
}

static void members_follow_each_other_and_rubbish_does_not(void **state)
{
	BB_AUTO(http_inflate) struct http_inflate *f = http_inflate_new(HTTP_CODING_GZIP);
	BB_AUTO(http_inflate) struct http_inflate *g = http_inflate_new(HTTP_CODING_GZIP);
	uint8_t packed[256], got[64];
	size_t n = compress_as(31, (const uint8_t *)"one", 3, packed, sizeof(packed));
	struct bb_err err = { 0 };

	(void)state;
	n += compress_as(31, (const uint8_t *)"two", 3, packed + n, sizeof(packed) - n);
	assert_int_equal(decode(f, bb_view_of(packed, n), 5, 64, got, sizeof(got), &err), 6);
	assert_memory_equal(got, "onetwo", 6);
	memcpy(packed + n, "rubbish", 7);
	assert_int_equal(decode(g, bb_view_of(packed, n + 7), 500, 64, got, sizeof(got), &err),
			 -EPROTO);
	assert_string_equal(err.msg, "the compressed body is not valid");
}

static void a_bomb_is_cut_off(void **state)
{
	BB_AUTO_FREE uint8_t *zeros = calloc(1, 64 * 1024 * 1024);
	BB_AUTO_FREE uint8_t *packed = malloc(1024 * 1024);
	BB_AUTO(http_inflate) struct http_inflate *f = http_inflate_new(HTTP_CODING_GZIP);
	size_t n = compress_as(31, zeros, 64 * 1024 * 1024, packed, 1024 * 1024);
	struct bb_err err = { 0 };

	(void)state;
	assert_int_equal(
		decode(f, bb_view_of(packed, n), 1024, 32768, zeros, 64 * 1024 * 1024, &err),
		-EPROTO);
	assert_non_null(strstr(err.msg, "more than 200 times"));
}

static void codings_are_known_by_their_names(void **state)
{
	static const struct {
		const char *value;
		enum http_coding want;
	} table[] = {
		{ "", HTTP_CODING_IDENTITY },           { "identity", HTTP_CODING_IDENTITY },
		{ "gzip", HTTP_CODING_GZIP },           { "X-GZip", HTTP_CODING_GZIP },
		{ "identity, gzip", HTTP_CODING_GZIP }, { "deflate", HTTP_CODING_DEFLATE },
		{ "gzip, gzip", HTTP_CODING_UNKNOWN },  { "br", HTTP_CODING_UNKNOWN },
		{ "zstd", HTTP_CODING_UNKNOWN },        { "compress", HTTP_CODING_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < BB_ARRAY_LEN(table); i++)
		assert_int_equal(http_coding_of(bb_view_str(table[i].value)), table[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_come_out_as_they_went_in),
		cmocka_unit_test(members_follow_each_other_and_rubbish_does_not),
		cmocka_unit_test(a_bomb_is_cut_off),
		cmocka_unit_test(codings_are_known_by_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
