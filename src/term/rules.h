/* The verdict on one whole sequence; what it sets is noted in the filter, to be undone at the end.
 */
#ifndef BB_TERM_RULES_H
#define BB_TERM_RULES_H

#include <stdbool.h>

#include "term/term.h"

/* ESC [ ... final, in f->pending. */
bool term_allow_csi(struct term_filter *f);
/* ESC c. */
bool term_allow_escape(struct term_filter *f, uint8_t c);
/* ESC middle c: ASCII or line drawing into one of two slots. */
bool term_allow_charset(struct term_filter *f, uint8_t middle, uint8_t c);
/* A character set slot is chosen, by a sequence or by shift out and in. */
void term_note_charset(struct term_filter *f);

/* Writes what puts every mode that is left set back to its default. */
int term_undo_modes(const struct term_filter *f, struct bb_buf *out);

#endif
