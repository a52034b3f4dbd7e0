/* See relative.h. */
#include "base/relative.h"

#include <stddef.h>
#include <string.h>

static bool is_dots(const char *part, size_t n)
{
	return n == 2 && part[0] == '.' && part[1] == '.';
}

bool bb_relative_is_plain(const char *path)
{
	for (;;) {
		size_t n = strcspn(path, "/");

		if (n == 0 || (n == 1 && path[0] == '.') || is_dots(path, n))
			return false;
		if (path[n] == '\0')
			return true;
		path += n + 1;
	}
}

bool bb_relative_link_stays(const char *path, const char *text)
{
	size_t depth = 0;
	bool has_name = false;

	if (text[0] == '/' || text[0] == '\0')
		return false;
	for (const char *p = path; *p != '\0'; p++)
		depth += *p == '/';
	while (*text != '\0') {
		size_t len = strcspn(text, "/");

		if (is_dots(text, len)) {
			if (has_name || depth == 0)
				return false;
			depth--;
		} else if (len > 0 && !(len == 1 && text[0] == '.')) {
			has_name = true;
		}
		text += len;
		text += *text == '/';
	}
	return true;
}
