/* Typed fields. Oracle: an error carries a sentence; views lie within the input; limits hold. */
#include <assert.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/tlv.h"

static void check(struct bb_view in, struct bb_view part, size_t max)
{
	assert(part.n <= max);
	assert(part.n == 0 || (part.p >= in.p && part.p + part.n <= in.p + in.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bb_view in = bb_view_of(data, size), text = { 0 }, words[4] = { 0 };
	uint32_t number = 0;
	uint64_t big = 0;
	size_t words_count = 0;
	const struct bb_tlv_field fields[] = {
		{ .tag = 1, .type = BB_TLV_U32, .is_required = true, .out = &number },
		{ .tag = 2, .type = BB_TLV_U64, .out = &big },
		{ .tag = 3, .type = BB_TLV_STR, .max = 16, .out = &text },
		{ .tag = 4,
		  .type = BB_TLV_BYTES,
		  .max = 8,
		  .out = words,
		  .count = &words_count,
		  .repeat_max = 4 },
	};
	struct bb_err err = { 0 };
	int r = bb_tlv_read(in, fields, BB_ARRAY_LEN(fields), &err);

	assert(r == 0 || (r < 0 && err.code == r && err.msg[0] != '\0'));
	assert(words_count <= 4);
	check(in, text, 16);
	assert(text.n == 0 || memchr(text.p, '\0', text.n) == NULL);
	for (size_t i = 0; i < words_count; i++)
		check(in, words[i], 8);
	return 0;
}
