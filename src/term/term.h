/*
 * The filter for everything that a guest wrote and a terminal shows. An allow-list: printable text,
 * line movement and the escape sequences that only draw (colours, cursor movement, erasing, scroll
 * regions, alternate screen, cursor shape) or choose what the operator's own keys send (cursor and
 * keypad mode, bracketed paste). All else is dropped: titles, clipboard, hyperlinks, window
 * operations, questions that a terminal answers into the input, printer, erasing of the
 * scroll-back, device control strings. Bytes that are not UTF-8, C1 controls and characters that
 * make text look other than it is become U+FFFD.
 *
 * Pure: no I/O, no global. State is kept between calls, so where reads cut the stream makes no
 * difference. Invariants, held by the fuzz target: the output holds allowed sequences only, each
 * whole; filtering it again changes nothing.
 */
#ifndef BB_TERM_TERM_H
#define BB_TERM_TERM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/view.h"

#define TERM_SEQUENCE_MAX 128 /* bytes of one escape sequence; longer ones are dropped */

enum term_state {
	TERM_GROUND,
	TERM_UTF8,          /* pending holds the first bytes of a character */
	TERM_ESCAPE,        /* after ESC */
	TERM_ESCAPE_MIDDLE, /* after ESC and an intermediate byte */
	TERM_CSI,           /* pending holds ESC [ and what followed */
	TERM_CSI_DROP,      /* a CSI that is too long or malformed: up to its final byte */
	TERM_STRING,        /* OSC, DCS, SOS, PM, APC: dropped up to ST, BEL, CAN or SUB */
	TERM_STRING_ESCAPE, /* ESC inside a string */
};
#define TERM_NUM_STATES 8

struct term_filter {
	enum term_state state;
	bool is_plain;   /* no escape sequence passes at all: error texts, console lines */
	bool may_repeat; /* the last thing put out was an ASCII character */
	uint8_t pending[TERM_SEQUENCE_MAX];
	uint32_t used; /* bytes of pending */
	uint32_t need; /* UTF8: bytes of the character */
	uint32_t string_bytes;
	uint32_t modes; /* what term_filter_finish() has to reset: bits of a table of rules.c */
};

/* Caller's memory. is_plain: only text and line ends pass. */
void term_filter_init(struct term_filter *f, bool is_plain);
/* Appends what may be shown to out: at most 3 bytes for each of in and of what was pending. 0 or
 * out's error. */
int term_filter_feed(struct term_filter *f, struct bb_view in, struct bb_buf *out);
/* The stream is over: ends what is pending and appends the sequences that undo every mode it left
 * set. The filter is as new afterwards. 0 or out's error. */
int term_filter_finish(struct term_filter *f, struct bb_buf *out);

/* One text in one call: plain, without the reset. For messages that quote a guest. */
int term_filter_text(struct bb_view in, struct bb_buf *out);

#endif
