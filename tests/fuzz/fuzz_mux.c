/*
 * The host's mux against a hostile guest's bytes. The first byte of the input chooses how it is
 * cut. Oracle: an error carries a sentence and stays; the session never holds more than its limits;
 * cutting the input differently gives the same verdict.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limit.h"
#include "mux/mux.h"

struct seen {
	size_t held;
	unsigned opened;
};

static int on_open(void *arg, struct mux_stream *s)
{
	struct seen *seen = arg;

	mux_stream_set_owner(s, seen);
	return ++seen->opened % 7 == 0 ? -1 : 0;
}

static void on_readable(void *arg, struct mux_stream *s, void *owner)
{
	struct bb_view v = mux_stream_peek(s);

	(void)arg;
	(void)owner;
	if (mux_stream_id(s) % 3 == 0)
		mux_stream_consume(s, v.n);
	if (mux_stream_at_eof(s))
		mux_stream_release(s);
}

static void on_writable(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)owner;
	(void)mux_stream_write(s, "x", 1);
}

static void on_reset(void *arg, struct mux_stream *s, void *owner)
{
	(void)arg;
	(void)owner;
	mux_stream_release(s);
}

static void on_output(void *arg)
{
	(void)arg;
}

static const struct mux_handlers handlers = { on_open, on_readable, on_writable, on_reset,
					      on_output };

static int run(const uint8_t *data, size_t size, size_t cut)
{
	const struct mux_config config = { .side = MUX_HOST,
					   .max_streams = 16,
					   .max_buffered = 1 << 20 };
	struct seen seen = { 0 };
	struct mux *m = mux_new(&config, &handlers, &seen);
	struct mux_stream *own = NULL;
	struct bb_err err = { 0 };
	int r = 0;

	if (m == NULL)
		return 0;
	(void)mux_open(m, &seen, &own);
	while (size > 0 && r == 0) {
		size_t n = size < cut ? size : cut;

		r = mux_input(m, data, n, &err);
		assert(mux_open_streams(m) <= 16);
		data += n;
		size -= n;
	}
	if (r < 0) {
		struct bb_err again = { 0 };

		assert(err.code == r && err.msg[0] != '\0');
		assert(mux_input(m, "\0", 1, &again) == r);
	}
	mux_free(m);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int whole;

	if (size < 1)
		return 0;
	whole = run(data + 1, size - 1, SIZE_MAX);
	assert(run(data + 1, size - 1, 1u + data[0]) == whole);
	return 0;
}
