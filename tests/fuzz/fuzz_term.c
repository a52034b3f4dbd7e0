/*
 * The terminal filter. Oracle: the output holds nothing but allowed text and whole allowed
 * sequences (checked by a reader of its own, stricter and simpler than the filter); filtering it
 * again changes nothing; where the input is cut changes nothing.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "term/term.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *p, size_t n, size_t cut, bool is_plain, struct bb_buf *out)
{
	struct term_filter f;

	bb_buf_init(out, 1 << 24);
	term_filter_init(&f, is_plain);
	if (cut > n)
		cut = n;
	assert(term_filter_feed(&f, bb_view_of(p, cut), out) == 0);
	assert(term_filter_feed(&f, bb_view_from(bb_view_of(p, n), cut), out) == 0);
}

static size_t check_csi(const uint8_t *p, size_t n)
{
	size_t i = 2;
	uint8_t prefix = 0;

	if (i < n && p[i] == '?')
		prefix = p[i++];
	while (i < n && ((p[i] >= '0' && p[i] <= '9') || p[i] == ';' || p[i] == ':'))
		i++;
	if (i < n && p[i] == ' ') {
		assert(i + 1 < n && p[i + 1] == 'q');
		i++;
	}
	assert(i < n);
	if (prefix == '?')
		assert(p[i] == 'h' || p[i] == 'l');
	else
		assert(strchr("@ABCDEFGHIJKLMPSTXZ`abdefgmrhlqsu", p[i]) != NULL);
	assert(!(p[i] == 'J' && memchr(p, '3', i) != NULL && i == 3));
	return i + 1;
}

static size_t check_one(const uint8_t *p, size_t n, bool is_plain)
{
	if (p[0] == '\n' || p[0] == '\t' || (p[0] >= 0x20 && p[0] < 0x7f))
		return 1;
	if (p[0] >= 0xc2) {
		size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

		assert(len <= n && p[0] < 0xf5 && !(p[0] == 0xc2 && p[1] < 0xa0));
		for (size_t i = 1; i < len; i++)
			assert((p[i] & 0xc0) == 0x80);
		return len;
	}
	assert(!is_plain);
	if (p[0] == '\r' || p[0] == '\b' || p[0] == 0x0e || p[0] == 0x0f)
		return 1;
	assert(p[0] == 0x1b && n > 1);
	if (p[1] == '[')
		return check_csi(p, n);
	if (p[1] == '(' || p[1] == ')') {
		assert(n > 2 && (p[2] == '0' || p[2] == 'B'));
		return 3;
	}
	assert(strchr("=>78DEHM", p[1]) != NULL && p[1] != '\0');
	return 2;
}

static void check(struct bb_buf *first, bool is_plain)
{
	struct bb_view v = bb_buf_peek(first);
	struct bb_buf again;

	run(v.p, v.n, v.n / 3, is_plain, &again);
	assert(bb_view_eq(bb_buf_peek(&again), v));
	bb_buf_done(&again);
	while (v.n > 0)
		v = bb_view_from(v, check_one(v.p, v.n, is_plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct bb_buf whole, cut;

		run(data, size, size, is_plain, &whole);
		run(data, size, size > 0 ? data[0] % size : 0, is_plain, &cut);
		assert(bb_view_eq(bb_buf_peek(&whole), bb_buf_peek(&cut)));
		check(&whole, is_plain);
		bb_buf_done(&whole);
		bb_buf_done(&cut);
	}
	return 0;
}
