/* See line.h. */
#include "tui/line.h"

#include <string.h>

static bool is_printable(char c)
{
	return c >= 0x20 && c < 0x7f;
}

void tui_line_init(struct tui_line *l, const char *prefill)
{
	size_t n = prefill == NULL ? 0 : strnlen(prefill, TUI_LINE_MAX - 1);

	*l = (struct tui_line){ 0 };
	for (size_t i = 0; i < n; i++)
		if (!is_printable(prefill[i]))
			return;
	memcpy(l->text, n > 0 ? prefill : "", n);
	l->length = n;
	l->cursor = n;
	l->is_prefill = n > 0;
}

void tui_line_clear(struct tui_line *l)
{
	*l = (struct tui_line){ 0 };
}

void tui_line_type(struct tui_line *l, char c)
{
	if (!is_printable(c))
		return;
	if (l->is_prefill)
		tui_line_clear(l);
	if (l->length + 1 >= TUI_LINE_MAX)
		return;
	memmove(&l->text[l->cursor + 1], &l->text[l->cursor], l->length - l->cursor);
	l->text[l->cursor++] = c;
	l->text[++l->length] = '\0';
}

void tui_line_delete(struct tui_line *l)
{
	l->is_prefill = false;
	if (l->cursor == l->length)
		return;
	memmove(&l->text[l->cursor], &l->text[l->cursor + 1], l->length - l->cursor);
	l->length--;
}

void tui_line_erase(struct tui_line *l)
{
	if (l->is_prefill) {
		tui_line_clear(l);
		return;
	}
	if (l->cursor == 0)
		return;
	l->cursor--;
	tui_line_delete(l);
}

void tui_line_move(struct tui_line *l, int by, bool far)
{
	l->is_prefill = false;
	if (far)
		l->cursor = by < 0 ? 0 : l->length;
	else if (by < 0 && l->cursor > 0)
		l->cursor--;
	else if (by > 0 && l->cursor < l->length)
		l->cursor++;
}
