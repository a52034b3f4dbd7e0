/* See text.h. */
#include "tui/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "term/term.h"

#define TEXT_MAX 8192 /* bytes; more than any screen's line */

static void put(wchar_t *dst, size_t *n, wchar_t c)
{
	if (c == L'\n' || c == L'\r' || c == L'\t')
		c = L' ';
	if (c == L' ' && (*n == 0 || dst[*n - 1] == L' '))
		return;
	dst[(*n)++] = wcwidth(c) > 0 ? c : L'?';
}

wchar_t *tui_text_clean(const char *text)
{
	BB_AUTO_BUF struct bb_buf out = { 0 };
	struct bb_view in = bb_view_str(text);
	mbstate_t state = { 0 };
	wchar_t *dst;
	size_t n = 0;

	if (in.n > TEXT_MAX)
		in.n = TEXT_MAX;
	bb_buf_init(&out, 4 * TEXT_MAX);
	if (term_filter_text(in, &out) < 0)
		return NULL;
	in = bb_buf_peek(&out);
	dst = calloc(in.n + 1, sizeof(*dst));
	while (dst != NULL && in.n > 0) {
		wchar_t c = 0;
		size_t used = mbrtowc(&c, (const char *)in.p, in.n, &state);

		if (used == 0 || used > in.n) { /* no character of this locale */
			state = (mbstate_t){ 0 };
			c = L'?';
			used = 1;
		}
		put(dst, &n, c);
		in.p += used;
		in.n -= used;
	}
	if (n > 0 && dst != NULL && dst[n - 1] == L' ')
		dst[n - 1] = L'\0';
	return dst;
}

size_t tui_text_fit(const wchar_t *text, size_t width, bool at_word, size_t *ret_columns)
{
	size_t columns = 0, n = 0, word_n = 0, word_columns = 0;

	while (text[n] != L'\0') {
		int w = wcwidth(text[n]);
		size_t wide = w > 0 ? (size_t)w : 0;

		if (wide > width - columns) {
			if (at_word && word_n > 0) {
				n = word_n;
				columns = word_columns;
			}
			break;
		}
		columns += wide;
		n++;
		if (text[n] == L' ' || text[n - 1] == L' ') {
			word_n = n;
			word_columns = columns;
		}
	}
	if (ret_columns != NULL)
		*ret_columns = columns;
	return n;
}
