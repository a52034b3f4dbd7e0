/* Text that others wrote, on the screen: it passes the terminal filter, is one line, and is never
 * wider than its place. Characters are those of LC_CTYPE. */
#ifndef BB_TUI_TEXT_H
#define BB_TUI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/* One line: line ends, tabs and runs of spaces become one space, what cannot be shown or has no
 * width becomes '?'. Wide characters on the heap, NUL-terminated; NULL: out of memory. */
wchar_t *tui_text_clean(const char *text);

/*
 * How many characters of clean text fit into width columns; *ret_columns (may be NULL) are what
 * they take. With at_word a text that does not fit ends behind a word, where there is one.
 */
size_t tui_text_fit(const wchar_t *text, size_t width, bool at_word, size_t *ret_columns);

#endif
