/*
 * See term.h. The state machine follows ECMA-48 and what xterm does with malformed input: a control
 * byte inside a sequence ends it, ESC begins a new one. A sequence is collected whole and judged by
 * one row of a table (rules.c); nothing of it is written before that, so a sequence cut by a read
 * can never be finished by something else that writes to the terminal.
 */
#include "term/term.h"

#include <string.h>

#include "base/limit.h"
#include "term/rules.h"

#define ESC 0x1b

static const uint8_t replacement[] = { 0xef, 0xbf, 0xbd };

void term_filter_init(struct term_filter *f, bool is_plain)
{
	memset(f, 0, sizeof(*f));
	f->is_plain = is_plain;
}

static int put_replacement(struct term_filter *f, struct bb_buf *out)
{
	f->may_repeat = false;
	return bb_buf_append(out, replacement, sizeof(replacement));
}

static int put_pending(struct term_filter *f, struct bb_buf *out)
{
	int r = bb_buf_append(out, f->pending, f->used);

	f->may_repeat = false;
	f->used = 0;
	return r;
}

static int put_control(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	f->may_repeat = false;
	return bb_buf_append_byte(out, c);
}

static int feed_control(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	f->state = TERM_GROUND;
	f->used = 0;
	switch (c) {
	case '\n':
	case '\t':
		return put_control(f, c, out);
	case '\r':
	case '\b':
		return f->is_plain ? 0 : put_control(f, c, out);
	case 0x0e: /* shift out and in choose a character set slot */
	case 0x0f:
		if (f->is_plain)
			return 0;
		term_note_charset(f);
		return put_control(f, c, out);
	case ESC:
		f->state = TERM_ESCAPE;
		return 0;
	default:
		return 0;
	}
}

static bool is_hidden(const uint8_t *p, size_t n)
{
	uint32_t c;

	if (n == 2)
		return p[0] == 0xc2 && p[1] < 0xa0; /* C1 */
	if (n == 3) {
		c = (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
		return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
	}
	return p[0] == 0xf3 && p[1] == 0xa0 && (p[2] & 0xfe) == 0x80; /* tag characters */
}

/* The second byte narrows what the first may begin: no overlong forms, surrogates, > U+10FFFF. */
static bool is_second(uint8_t first, uint8_t c)
{
	switch (first) {
	case 0xe0:
		return c >= 0xa0 && c <= 0xbf;
	case 0xed:
		return c >= 0x80 && c <= 0x9f;
	case 0xf0:
		return c >= 0x90 && c <= 0xbf;
	case 0xf4:
		return c >= 0x80 && c <= 0x8f;
	default:
		return c >= 0x80 && c <= 0xbf;
	}
}

static int feed_ground(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	if (c < 0x20)
		return feed_control(f, c, out);
	if (c < 0x7f) {
		f->may_repeat = true;
		return bb_buf_append_byte(out, c);
	}
	if (c == 0x7f)
		return 0;
	if (c < 0xc2 || c > 0xf4)
		return put_replacement(f, out);
	f->need = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	f->pending[0] = c;
	f->used = 1;
	f->state = TERM_UTF8;
	return 0;
}

static int feed_utf8(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	bool is_good = f->used == 1 ? is_second(f->pending[0], c) : (c & 0xc0) == 0x80;
	int r;

	if (!is_good) {
		f->used = 0;
		f->state = TERM_GROUND;
		r = put_replacement(f, out);
		return r < 0 ? r : feed_ground(f, c, out);
	}
	f->pending[f->used++] = c;
	if (f->used < f->need)
		return 0;
	f->state = TERM_GROUND;
	if (!is_hidden(f->pending, f->used))
		return put_pending(f, out);
	f->used = 0;
	return put_replacement(f, out);
}

static int feed_escape(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	f->pending[0] = ESC;
	f->pending[1] = c;
	f->used = 2;
	f->state = TERM_GROUND;
	switch (c) {
	case '[':
		f->state = TERM_CSI;
		return 0;
	case ']':
	case 'P':
	case 'X':
	case '^':
	case '_':
		f->state = TERM_STRING;
		f->string_bytes = 0;
		f->used = 0;
		return 0;
	default:
		break;
	}
	if (c >= ' ' && c <= '/') {
		f->state = TERM_ESCAPE_MIDDLE;
		return 0;
	}
	if (c >= 0x80) { /* no sequence: the byte may begin a character */
		f->used = 0;
		return feed_ground(f, c, out);
	}
	if (!f->is_plain && term_allow_escape(f, c))
		return put_pending(f, out);
	f->used = 0;
	return 0;
}

static int feed_escape_middle(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	if (c >= ' ' && c <= '/') {
		if (f->used < 4) /* more intermediates than any known sequence: never allowed */
			f->pending[f->used++] = c;
		return 0;
	}
	f->state = TERM_GROUND;
	if (c >= 0x80) {
		f->used = 0;
		return feed_ground(f, c, out);
	}
	if (!f->is_plain && f->used == 2 && term_allow_charset(f, f->pending[1], c)) {
		f->pending[f->used++] = c;
		return put_pending(f, out);
	}
	f->used = 0;
	return 0;
}

static int feed_csi(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	if (c >= 0x7f) {
		f->state = TERM_GROUND;
		f->used = 0;
		return feed_ground(f, c, out);
	}
	if (f->state == TERM_CSI && f->used == TERM_SEQUENCE_MAX)
		f->state = TERM_CSI_DROP;
	if (f->state == TERM_CSI)
		f->pending[f->used++] = c;
	if (c < '@')
		return 0;
	if (f->state == TERM_CSI && !f->is_plain && term_allow_csi(f)) {
		f->state = TERM_GROUND;
		return put_pending(f, out);
	}
	f->state = TERM_GROUND;
	f->used = 0;
	return 0;
}

static int feed_string(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	if (f->state == TERM_STRING_ESCAPE && c != '\\')
		return feed_escape(f, c, out); /* ESC ends the string and begins a sequence */
	if (f->state == TERM_STRING_ESCAPE) {
		f->state = TERM_GROUND;
		return 0;
	}
	if (c == ESC)
		f->state = TERM_STRING_ESCAPE;
	else if (c == 0x07 || c == 0x18 || c == 0x1a || ++f->string_bytes > LIMIT_TERM_STRING)
		f->state = TERM_GROUND;
	return 0;
}

static int feed_byte(struct term_filter *f, uint8_t c, struct bb_buf *out)
{
	/* A control byte inside a sequence ends it; strings and characters see to it themselves. */
	switch (f->state) {
	case TERM_GROUND:
		return feed_ground(f, c, out);
	case TERM_UTF8:
		return feed_utf8(f, c, out);
	case TERM_ESCAPE:
		return c < 0x20 ? feed_control(f, c, out) : feed_escape(f, c, out);
	case TERM_ESCAPE_MIDDLE:
		return c < 0x20 ? feed_control(f, c, out) : feed_escape_middle(f, c, out);
	case TERM_CSI:
	case TERM_CSI_DROP:
		return c < 0x20 ? feed_control(f, c, out) : feed_csi(f, c, out);
	case TERM_STRING:
		return feed_string(f, c, out);
	case TERM_STRING_ESCAPE:
		return c < 0x20 ? feed_control(f, c, out) : feed_string(f, c, out);
	}
	return 0;
}

/* Bytes from the front that are printable ASCII: the common case, copied in one piece. */
static size_t plain_run(struct bb_view v)
{
	size_t n = 0;

	while (n < v.n && v.p[n] >= 0x20 && v.p[n] < 0x7f)
		n++;
	return n;
}

int term_filter_feed(struct term_filter *f, struct bb_view in, struct bb_buf *out)
{
	while (in.n > 0) {
		size_t n = f->state == TERM_GROUND ? plain_run(in) : 0;
		int r;

		if (n > 0) {
			f->may_repeat = true;
			r = bb_buf_append(out, in.p, n);
		} else {
			r = feed_byte(f, in.p[0], out);
			n = 1;
		}
		if (r < 0)
			return r;
		in = bb_view_from(in, n);
	}
	return 0;
}

int term_filter_finish(struct term_filter *f, struct bb_buf *out)
{
	int r = f->state == TERM_UTF8 ? put_replacement(f, out) : 0;

	if (r == 0)
		r = term_undo_modes(f, out);
	term_filter_init(f, f->is_plain);
	return r;
}

int term_filter_text(struct bb_view in, struct bb_buf *out)
{
	struct term_filter f;
	int r;

	term_filter_init(&f, true);
	r = term_filter_feed(&f, in, out);
	return r < 0 ? r : term_filter_finish(&f, out);
}
