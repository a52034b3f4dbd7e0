/* Openings and frames. Oracle: what is used lies within the input, views within what is used, and
 * what was understood is encoded to the same bytes again. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/limit.h"
#include "mux/proto.h"

static void check_views(struct bb_view whole, struct bb_view part, int used)
{
	assert(part.p >= whole.p && part.p + part.n == whole.p + used);
}

static int one_opening(struct bb_view in)
{
	struct proto_open open;
	struct bb_err err = { 0 };
	int n = proto_get_open(in, &open, &err);
	struct bb_buf b;

	assert(n >= 0 || (err.code == n && err.msg[0] != '\0'));
	if (n <= 0)
		return 0;
	check_views(in, open.fields, n);
	bb_buf_init(&b, 1 << 20);
	assert(proto_put_open(&b, open.service, open.fields) == 0);
	assert(bb_view_eq(bb_buf_peek(&b), bb_view_of(in.p, (size_t)n)));
	bb_buf_done(&b);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bb_view in = bb_view_of(data, size);

	in = bb_view_from(in, (size_t)one_opening(in));
	for (;;) {
		struct proto_frame f;
		struct bb_err err = { 0 };
		struct bb_buf b;
		int n = proto_get_frame(in, &f, &err);

		assert(n >= 0 || (err.code == n && err.msg[0] != '\0'));
		if (n <= 0)
			return 0;
		assert(f.body.n <= LIMIT_PROTO_FRAME);
		check_views(in, f.body, n);
		bb_buf_init(&b, 1 << 20);
		assert(proto_put_frame(&b, f.type, f.body.p, f.body.n) == 0);
		assert(bb_view_eq(bb_buf_peek(&b), bb_view_of(in.p, (size_t)n)));
		bb_buf_done(&b);
		in = bb_view_from(in, (size_t)n);
	}
}
