/*
 * Secrets in bodies, and compressed bodies. First byte: how long the secret is; second: how long
 * the pieces are; then the secret, then the body. Oracles: a stream gives what one pass over the
 * whole gives; no form of the secret is left; what is not a form is unchanged; decompression ends.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "http/encode.h"
#include "http/inflate.h"
#include "http/scrub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_forms(struct bb_view secret, struct bb_view before, const uint8_t *after)
{
	for (unsigned i = 0; i < HTTP_NUM_ENCODINGS; i++) {
		BB_AUTO_BUF struct bb_buf form = { 0 };

		bb_buf_init(&form, 4096);
		assert(http_encode(&form, secret, (enum http_encoding)i) == 0);
		if (form.len < HTTP_SCRUB_MIN)
			continue;
		for (size_t at = 0; at + form.len <= before.n; at++)
			for (size_t k = 0; k < form.len; k++)
				assert(memcmp(before.p + at, form.p, form.len) != 0 ||
				       after[at + k] == '*');
	}
	for (size_t i = 0; i < before.n; i++)
		assert(after[i] == before.p[i] || after[i] == '*');
}

static void check_stream(const struct http_scrub *scrub, struct bb_view body, size_t step,
			 const uint8_t *want)
{
	struct http_scrub_stream stream;
	size_t n = 0;

	http_scrub_stream_init(&stream, scrub, 256);
	do {
		struct bb_view piece = body, out;

		if (piece.n > step)
			piece.n = step;
		body = bb_view_from(body, piece.n);
		assert(http_scrub_push(&stream, piece, body.n == 0, &out) == 0);
		assert(out.n == 0 || memcmp(out.p, want + n, out.n) == 0);
		n += out.n;
	} while (body.n > 0);
	http_scrub_stream_done(&stream);
}

static void check_inflate(struct bb_view body)
{
	for (unsigned i = HTTP_CODING_GZIP; i <= HTTP_CODING_DEFLATE; i++) {
		struct http_inflate *f = http_inflate_new((enum http_coding)i);
		struct bb_view in = body;
		struct bb_err err = { 0 };
		size_t used = 1, made = 0;
		uint8_t out[4096];
		int r = 0;

		assert(f != NULL);
		while (r == 0 && (used > 0 || made > 0)) {
			r = http_inflate_run(f, in, out, sizeof(out), &used, &made, &err);
			assert(r == 0 ? used <= in.n && made <= sizeof(out) : err.msg[0] != '\0');
			if (r == 0)
				in = bb_view_from(in, used);
		}
		http_inflate_free(f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_scrub *scrub = NULL;
	struct bb_view secret, body;
	uint8_t *masked;

	if (size < 2)
		return 0;
	secret = bb_view_of(data + 2, size - 2 < data[0] ? size - 2 : data[0]);
	body = bb_view_from(bb_view_of(data, size), 2 + secret.n);
	if (secret.n > 64 || body.n > 4096)
		return 0;
	check_inflate(body);
	if (http_scrub_new(secret, &scrub, NULL) < 0) {
		assert(secret.n < HTTP_SCRUB_MIN);
		return 0;
	}
	masked = malloc(body.n + 1);
	assert(masked != NULL);
	if (body.n > 0)
		memcpy(masked, body.p, body.n);
	http_scrub_mask(scrub, masked, body.n);
	check_forms(secret, body, masked);
	check_stream(scrub, body, data[1] == 0 ? 1 : data[1], masked);
	free(masked);
	http_scrub_free(scrub);
	return 0;
}
