/*
 * See term.h. The state machine follows ECMA-48 and what xterm does with malformed input: a control
 * byte inside a sequence ends it, ESC begins a new one. A sequence is collected whole and judged by
 * one table row; nothing of it is written before that, so a sequence cut by a read can never be
 * finished by something else that writes to the terminal.
 *
 * Left out on purpose: CSI n (status reports), c (device attributes), t (window), i (printer),
 * q with '>' (version), J with 3 (erases the operator's scroll-back), mouse and focus reporting,
 * everything with the private prefixes <, = and > (they change what the keyboard sends in ways that
 * outlive the session), all strings.
 */
#include "term/term.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/limit.h"

#define ESC 0x1b

static const uint8_t replacement[] = { 0xef, 0xbf, 0xbd };

/* What has to be undone at the end. Order is the order of undoing. */
static const struct term_mode {
	uint16_t number; /* DEC private mode (CSI ? number h/l); 0: set by its own sequence */
	bool is_default_on;
	const char *reset;
} modes[] = {
#define MODE_ALT_SCREEN 0
	{ 1049, false, "\033[?1049l" },
	{ 1047, false, "\033[?1047l" },
	{ 47, false, "\033[?47l" },
	{ 2026, false, "\033[?2026l" },
	{ 2004, false, "\033[?2004l" },
	{ 25, true, "\033[?25h" },
	{ 12, false, "\033[?12l" },
	{ 7, true, "\033[?7h" },
	{ 6, false, "\033[?6l" },
	{ 5, false, "\033[?5l" },
	{ 1, false, "\033[?1l" },
	{ 1048, false, "" }, /* saves and restores the cursor: nothing stays set */
#define MODE_KEYPAD 12
	{ 0, false, "\033>" },
#define MODE_INSERT 13
	{ 0, false, "\033[4l" },
#define MODE_REGION 14 /* setting it moves the cursor, so save and restore around */
	{ 0, false, "\0337\033[r\0338" },
#define MODE_CHARSET 15
	{ 0, false, "\033(B\033)B\017" },
#define MODE_CURSOR_STYLE 16
	{ 0, false, "\033[0 q" },
#define MODE_COLOUR 17
	{ 0, false, "\033[0m" },
};
_Static_assert(BB_ARRAY_LEN(modes) <= 32, "one bit a mode");

/* CSI sequences without a private prefix: final byte, most parameters, intermediate byte. */
static const struct csi_rule {
	char final, middle;
	uint8_t most;
	uint32_t sets; /* mode bit; whether it is on follows from the parameters */
} csi_rules[] = {
	{ '@', 0, 1, 0 },
	{ 'A', 0, 1, 0 },
	{ 'B', 0, 1, 0 },
	{ 'C', 0, 1, 0 },
	{ 'D', 0, 1, 0 },
	{ 'E', 0, 1, 0 },
	{ 'F', 0, 1, 0 },
	{ 'G', 0, 1, 0 },
	{ 'H', 0, 2, 0 },
	{ 'I', 0, 1, 0 },
	{ 'J', 0, 1, 0 },
	{ 'K', 0, 1, 0 },
	{ 'L', 0, 1, 0 },
	{ 'M', 0, 1, 0 },
	{ 'P', 0, 1, 0 },
	{ 'S', 0, 1, 0 },
	{ 'T', 0, 1, 0 },
	{ 'X', 0, 1, 0 },
	{ 'Z', 0, 1, 0 },
	{ '`', 0, 1, 0 },
	{ 'a', 0, 1, 0 },
	{ 'b', 0, 1, 0 },
	{ 'd', 0, 1, 0 },
	{ 'e', 0, 1, 0 },
	{ 'f', 0, 2, 0 },
	{ 'g', 0, 1, 0 },
	{ 's', 0, 0, 0 },
	{ 'u', 0, 0, 0 },
	{ 'm', 0, 32, 1u << MODE_COLOUR },
	{ 'r', 0, 2, 1u << MODE_REGION },
	{ 'h', 0, 1, 1u << MODE_INSERT },
	{ 'l', 0, 1, 1u << MODE_INSERT },
	{ 'q', ' ', 1, 1u << MODE_CURSOR_STYLE },
};

#define CSI_NUMBERS    32
#define CSI_NUMBER_MAX 9999 /* columns, lines, repeats: more is no drawing */

struct csi {
	uint8_t prefix, middle, final; /* 0: none */
	uint32_t number[CSI_NUMBERS];
	size_t count; /* parameters, empty ones included; 0: none was written */
	bool has_colon;
};

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

/* Splits ESC [ ... final. False: malformed, or numbers out of bounds. */
static bool parse_csi(const uint8_t *p, size_t n, struct csi *ret)
{
	size_t i = 2;
	bool has_number = false;

	memset(ret, 0, sizeof(*ret));
	if (p[i] >= '<' && p[i] <= '?')
		ret->prefix = p[i++];
	for (; i < n && p[i] >= '0' && p[i] <= ';'; i++) {
		if (p[i] == ';' || p[i] == ':') {
			ret->has_colon |= p[i] == ':';
			if (++ret->count >= CSI_NUMBERS)
				return false;
			has_number = true; /* an empty one may follow */
			continue;
		}
		has_number = true;
		ret->number[ret->count] = ret->number[ret->count] * 10 + (uint32_t)(p[i] - '0');
		if (ret->number[ret->count] > CSI_NUMBER_MAX)
			return false;
	}
	if (has_number)
		ret->count++;
	if (i < n && p[i] >= ' ' && p[i] <= '/')
		ret->middle = p[i++];
	if (i + 1 != n)
		return false;
	ret->final = p[i];
	return true;
}

static void note_mode(struct term_filter *f, uint32_t bit, bool is_set)
{
	if (is_set)
		f->modes |= bit;
	else
		f->modes &= ~bit;
}

static bool allow_private_mode(struct term_filter *f, const struct csi *c)
{
	if ((c->final != 'h' && c->final != 'l') || c->middle != 0 || c->count == 0 || c->has_colon)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		size_t k = 0;

		while (k < BB_ARRAY_LEN(modes) &&
		       (modes[k].number == 0 || modes[k].number != c->number[i]))
			k++;
		if (k == BB_ARRAY_LEN(modes))
			return false;
	}
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < BB_ARRAY_LEN(modes); k++)
			if (modes[k].number != 0 && modes[k].number == c->number[i])
				note_mode(f, 1u << k, (c->final == 'h') != modes[k].is_default_on);
	return true;
}

/* Is a mode that the sequence sets left other than its default? */
static bool leaves_set(const struct csi *c)
{
	switch (c->final) {
	case 'm':
		return c->count > 1 || (c->count == 1 && c->number[0] != 0);
	case 'r':
		return c->count > 0;
	case 'h':
		return true;
	case 'q':
		return c->count > 0 && c->number[0] != 0;
	default:
		return false;
	}
}

static bool allow_csi(struct term_filter *f)
{
	struct csi c;

	if (!parse_csi(f->pending, f->used, &c))
		return false;
	if (c.prefix == '?')
		return allow_private_mode(f, &c);
	if (c.prefix != 0)
		return false;
	for (size_t i = 0; i < BB_ARRAY_LEN(csi_rules); i++) {
		const struct csi_rule *rule = &csi_rules[i];

		if (rule->final != (char)c.final || rule->middle != (char)c.middle)
			continue;
		if (c.count > rule->most || (c.has_colon && c.final != 'm'))
			return false;
		/* Repeating is defined behind a character only; libvterm 0.1.4 hangs on others. */
		if (c.final == 'b' && !f->may_repeat)
			return false;
		if (c.final == 'J' && c.count == 1 && c.number[0] > 2)
			return false;
		if ((c.final == 'h' || c.final == 'l') && (c.count != 1 || c.number[0] != 4))
			return false;
		if (rule->sets != 0)
			note_mode(f, rule->sets, leaves_set(&c));
		return true;
	}
	return false;
}

/* ESC and one byte. */
static bool allow_escape(struct term_filter *f, uint8_t c)
{
	switch (c) {
	case '=':
	case '>':
		note_mode(f, 1u << MODE_KEYPAD, c == '=');
		return true;
	case '7': /* save and restore the cursor, index, next line, tab stop, reverse index */
	case '8':
	case 'D':
	case 'E':
	case 'H':
	case 'M':
		return true;
	default:
		return false;
	}
}

/* ESC ( x and ESC ) x: ASCII or line drawing into one of two slots. */
static bool allow_charset(struct term_filter *f, uint8_t middle, uint8_t c)
{
	if ((middle != '(' && middle != ')') || (c != '0' && c != 'B'))
		return false;
	f->modes |= 1u << MODE_CHARSET;
	return true;
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
		f->modes |= 1u << MODE_CHARSET;
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
	if (!f->is_plain && allow_escape(f, c))
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
	if (!f->is_plain && f->used == 2 && allow_charset(f, f->pending[1], c)) {
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
	if (f->state == TERM_CSI && !f->is_plain && allow_csi(f)) {
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

	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(modes); i++)
		if ((f->modes & 1u << i) != 0)
			r = bb_buf_append_str(out, modes[i].reset);
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
