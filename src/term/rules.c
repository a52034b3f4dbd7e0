/*
 * Which sequences may pass, as tables, and what they leave set; see term.h. Pure: the state machine
 * (term.c) collects a sequence whole and asks here.
 *
 * Left out on purpose: CSI n (status reports), c (device attributes), t (window), i (printer),
 * q with '>' (version), J with 3 (erases the operator's scroll-back), mouse and focus reporting,
 * everything with the private prefixes <, = and > (they change what the keyboard sends in ways that
 * outlive the session), all strings.
 */
#include "term/rules.h"

#include <string.h>

#include "base/cleanup.h"

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

bool term_allow_csi(struct term_filter *f)
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
bool term_allow_escape(struct term_filter *f, uint8_t c)
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

void term_note_charset(struct term_filter *f)
{
	f->modes |= 1u << MODE_CHARSET;
}

/* ESC ( x and ESC ) x: ASCII or line drawing into one of two slots. */
bool term_allow_charset(struct term_filter *f, uint8_t middle, uint8_t c)
{
	if ((middle != '(' && middle != ')') || (c != '0' && c != 'B'))
		return false;
	term_note_charset(f);
	return true;
}

int term_undo_modes(const struct term_filter *f, struct bb_buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < BB_ARRAY_LEN(modes); i++)
		if ((f->modes & 1u << i) != 0)
			r = bb_buf_append_str(out, modes[i].reset);
	return r;
}
