/* See risky.h. The data is checked by its unit test, not at run time: it is compiled in. */
#include "workspace/risky.h"

#include <string.h>

#include "workspace/pattern.h"

#define PATTERN_MAX 128

/* The next row's pattern and its words; false at the end. */
static bool next_row(const char **at, char pattern[PATTERN_MAX], struct bb_view *words)
{
	while (**at != '\0') {
		const char *line = *at;
		size_t n = strcspn(line, "\n");
		size_t name = strcspn(line, " \n");
		size_t gap = name + strspn(line + name, " ");

		*at = line + n + (line[n] == '\n');
		if (line[0] == '#' || name == 0 || name >= PATTERN_MAX || gap >= n)
			continue;
		memcpy(pattern, line, name);
		pattern[name] = '\0';
		*words = bb_view_of(line + gap, n - gap);
		return true;
	}
	return false;
}

struct bb_view risky_find(const char *path)
{
	const char *at = risky_data;
	char pattern[PATTERN_MAX];
	struct bb_view words;

	while (next_row(&at, pattern, &words))
		if (pattern[0] != ':' && pattern_fits(pattern, path))
			return words;
	return bb_view_of(NULL, 0);
}

struct bb_view risky_special(const char *row)
{
	const char *at = risky_data;
	char pattern[PATTERN_MAX];
	struct bb_view words;

	while (next_row(&at, pattern, &words))
		if (strcmp(pattern, row) == 0)
			return words;
	return bb_view_of("it is unusual", 13); /* fail closed: a row that is missing still asks */
}
