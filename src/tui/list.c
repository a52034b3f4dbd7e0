/* See list.h. */
#include "tui/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool begins_with(const char *name, const char *filter)
{
	for (; *filter != '\0'; name++, filter++)
		if (fold(*name) != fold(*filter))
			return false;
	return true;
}

static bool contains(const char *name, const char *filter)
{
	for (; *name != '\0'; name++)
		if (begins_with(name, filter))
			return true;
	return filter[0] == '\0';
}

int tui_list_init(struct tui_list *l, const char *const *names, size_t count, struct bb_err *err)
{
	*l = (struct tui_list){ .names = names, .count = count, .rows = 1 };
	l->shown = calloc(count + 1, sizeof(*l->shown));
	l->chosen = calloc(count + 1, sizeof(*l->chosen));
	if (l->shown == NULL || l->chosen == NULL) {
		tui_list_done(l);
		return bb_err_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < count; i++)
		l->shown[i] = i;
	l->shown_count = count;
	return 0;
}

void tui_list_done(struct tui_list *l)
{
	free(l->shown);
	free(l->chosen);
	*l = (struct tui_list){ 0 };
}

/* The rows anew; the cursor at the best match, or on `keep` where that is still shown. */
static void match(struct tui_list *l, const size_t *keep)
{
	l->shown_count = 0;
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < l->count; i++) {
			bool is_first = begins_with(l->names[i], l->filter);

			if (round == 0 ? is_first : !is_first && contains(l->names[i], l->filter))
				l->shown[l->shown_count++] = i;
		}
	l->cursor = 0;
	if (keep != NULL)
		tui_list_go(l, *keep);
	tui_list_fit(l, l->rows);
}

bool tui_list_type(struct tui_list *l, char c)
{
	if (l->filter_length + 1 >= sizeof(l->filter))
		return false;
	l->filter[l->filter_length++] = c;
	l->filter[l->filter_length] = '\0';
	match(l, NULL);
	return true;
}

static bool cut(struct tui_list *l, size_t length)
{
	size_t current = 0;
	bool has_current = tui_list_current(l, &current);

	if (l->filter_length == 0)
		return false;
	l->filter_length = length;
	l->filter[length] = '\0';
	match(l, has_current && length == 0 ? &current : NULL);
	return true;
}

bool tui_list_erase(struct tui_list *l)
{
	return l->filter_length > 0 && cut(l, l->filter_length - 1);
}

bool tui_list_clear(struct tui_list *l)
{
	return cut(l, 0);
}

void tui_list_move(struct tui_list *l, long by)
{
	size_t last = l->shown_count == 0 ? 0 : l->shown_count - 1;

	if (by < 0)
		l->cursor = (size_t)-by > l->cursor ? 0 : l->cursor - (size_t)-by;
	else
		l->cursor = (size_t)by > last - l->cursor ? last : l->cursor + (size_t)by;
	tui_list_fit(l, l->rows);
}

void tui_list_page(struct tui_list *l, int by)
{
	long step = l->rows > 1 ? (long)l->rows - 1 : 1;

	tui_list_move(l, by * step);
}

void tui_list_first(struct tui_list *l)
{
	l->cursor = 0;
	tui_list_fit(l, l->rows);
}

void tui_list_last(struct tui_list *l)
{
	l->cursor = l->shown_count == 0 ? 0 : l->shown_count - 1;
	tui_list_fit(l, l->rows);
}

void tui_list_go(struct tui_list *l, size_t index)
{
	for (size_t i = 0; i < l->shown_count; i++)
		if (l->shown[i] == index)
			l->cursor = i;
	tui_list_fit(l, l->rows);
}

void tui_list_fit(struct tui_list *l, size_t rows)
{
	l->rows = rows == 0 ? 1 : rows;
	if (l->cursor < l->top)
		l->top = l->cursor;
	if (l->cursor - l->top >= l->rows)
		l->top = l->cursor - l->rows + 1;
	if (l->shown_count <= l->rows)
		l->top = 0;
	else if (l->top > l->shown_count - l->rows)
		l->top = l->shown_count - l->rows;
}

bool tui_list_current(const struct tui_list *l, size_t *ret_index)
{
	if (l->shown_count == 0)
		return false;
	*ret_index = l->shown[l->cursor];
	return true;
}

size_t tui_list_place(const struct tui_list *l, size_t index)
{
	for (size_t i = 0; i < l->chosen_count; i++)
		if (l->chosen[i] == index)
			return i + 1;
	return 0;
}

void tui_list_toggle(struct tui_list *l, size_t index)
{
	size_t place = tui_list_place(l, index);

	if (place == 0) {
		l->chosen[l->chosen_count++] = index;
		return;
	}
	memmove(&l->chosen[place - 1], &l->chosen[place],
		(l->chosen_count - place) * sizeof(l->chosen[0]));
	l->chosen_count--;
}

void tui_list_shift(struct tui_list *l, size_t index, int by)
{
	size_t place = tui_list_place(l, index);
	size_t other;

	if (place == 0 || (by < 0 ? place == 1 : place == l->chosen_count))
		return;
	other = by < 0 ? place - 2 : place;
	l->chosen[place - 1] = l->chosen[other];
	l->chosen[other] = index;
}
