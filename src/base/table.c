/* Name tables; see table.h. */
#include "base/table.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define SUGGEST_MAX_LEN 64

int bb_table_index(const char *const *names, size_t count, struct bb_view name)
{
	for (size_t i = 0; i < count; i++)
		if (bb_view_eq_str(name, names[i]))
			return (int)i;
	return -EINVAL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance of two words of at most SUGGEST_MAX_LEN bytes, case folded. */
static size_t edit_distance(struct bb_view a, struct bb_view b)
{
	size_t row[SUGGEST_MAX_LEN + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t above = row[j];
			size_t same =
				bb_ascii_lower(a.p[i - 1]) == bb_ascii_lower(b.p[j - 1]) ? 0 : 1;

			row[j] = min3(row[j - 1] + 1, above + 1, diagonal + same);
			diagonal = above;
		}
	}
	return row[b.n];
}

const char *bb_table_suggest(const char *const *names, size_t count, struct bb_view name)
{
	const char *best = NULL;
	size_t best_distance = name.n / 3 > 2 ? name.n / 3 : 2;

	if (name.n == 0 || name.n > SUGGEST_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct bb_view candidate = bb_view_str(names[i]);
		size_t d;

		if (candidate.n > SUGGEST_MAX_LEN)
			continue;
		d = edit_distance(name, candidate);
		if (d < name.n && (d < best_distance || (best == NULL && d == best_distance))) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}
